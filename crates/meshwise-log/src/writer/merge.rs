//! Putting the lines of several threads in order.

use super::lines::Lines;
use crate::delivery::{Batch, MAX_BATCH_BYTES};
use std::ops::Range;

/// Returns all lines in the order of their times, those of one block always in their own; `buffer`
/// holds them if they come from more than one.
pub(super) fn merged<'a>(taken: &'a [Lines], buffer: &'a mut Vec<u8>) -> &'a [u8] {
    let mut filled = taken.iter().filter(|lines| !lines.marks.is_empty());
    match (filled.next(), filled.next()) {
        (None, _) => &[],
        (Some(only), None) => &only.bytes,
        _ => {
            buffer.clear();
            merge(taken, |shard, lines| buffer.extend_from_slice(&taken[shard].bytes[lines]));
            buffer
        }
    }
}

/// Counts the whole lines among the first so many bytes of [`merged`].
pub(super) fn whole(taken: &[Lines], mut bytes: usize) -> u64 {
    let mut count = 0;
    merge(taken, |shard, lines| {
        let start = lines.start;
        let ends = taken[shard].marks.iter().map(|mark| mark.end);
        let ends = ends.filter(|end| lines.start < *end && *end <= lines.end);
        count += ends.filter(|end| end - start <= bytes).count() as u64;
        bytes = bytes.saturating_sub(lines.len());
    });
    count
}

/// Returns all lines in the order of [`merged`], in batches.
pub(super) fn batches(taken: &[Lines]) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut batch = Batch::new();
    // For each shard, the next mark.
    let mut next = vec![0; taken.len()];
    merge(taken, |shard, lines| {
        let mut start = lines.start;
        while let Some(mark) = taken[shard].marks.get(next[shard])
            && mark.end <= lines.end
        {
            batch.push(&taken[shard].bytes[start..mark.end], mark.at);
            (start, next[shard]) = (mark.end, next[shard] + 1);
            if batch.bytes().len() >= MAX_BATCH_BYTES {
                batches.push(std::mem::replace(&mut batch, Batch::new()));
            }
        }
    });
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Gives parts of the shards in the order of their lines' times: whole lines, one behind the other.
fn merge(taken: &[Lines], mut part: impl FnMut(usize, Range<usize>)) {
    // For each shard, how many lines and bytes of it are done.
    let mut done = vec![(0, 0); taken.len()];
    let next = |done: &[(usize, usize)], shard: usize| {
        taken[shard].marks.get(done[shard].0).map(|mark| mark.at)
    };
    loop {
        // The two shards whose next lines are the oldest.
        let (mut first, mut second) = (None, None);
        for shard in 0..taken.len() {
            let Some(at) = next(&done, shard) else { continue };
            if first.is_none_or(|(oldest, _)| at < oldest) {
                second = first;
                first = Some((at, shard));
            } else if second.is_none_or(|(oldest, _)| at < oldest) {
                second = Some((at, shard));
            }
        }
        let Some((_, shard)) = first else { return };
        // All lines of the first that are no younger go together.
        let from = done[shard].1;
        while let Some(mark) = taken[shard].marks.get(done[shard].0)
            && second.is_none_or(|(at, _)| mark.at <= at)
        {
            done[shard] = (done[shard].0 + 1, mark.end);
        }
        part(shard, from..done[shard].1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::lines::Mark;

    fn shard(lines: &[(u64, &str)]) -> Lines {
        let mut shard = Lines::default();
        for (at, line) in lines {
            shard.bytes.extend_from_slice(line.as_bytes());
            shard.marks.push(Mark { at: *at, end: shard.bytes.len() });
        }
        shard
    }

    fn text(taken: &[Lines]) -> String {
        String::from_utf8(merged(taken, &mut Vec::new()).to_vec()).expect("UTF-8")
    }

    #[test]
    fn lines_stand_in_the_order_of_their_times() {
        let one = || shard(&[(1, "a"), (2, "b"), (7, "g"), (9, "i")]);
        let other = || shard(&[(3, "c"), (4, "d"), (8, "h")]);
        let third = || shard(&[(5, "e"), (6, "f")]);
        assert_eq!(text(&[one(), other(), third()]), "abcdefghi");
        assert_eq!(
            text(&[Lines::default(), third(), one(), Lines::default(), other()]),
            "abcdefghi"
        );
        assert_eq!(text(&[one(), Lines::default()]), "abgi");
        assert_eq!(text(&[Lines::default(), Lines::default()]), "");
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn whole_lines_are_counted_in_the_order_in_which_they_are_written() {
        let taken =
            [shard(&[(1, "a\n"), (2, "bb\n"), (7, "g\n")]), shard(&[(3, "ccc\n"), (8, "h\n")])];
        assert_eq!(text(&taken), "a\nbb\nccc\ng\nh\n");
        for bytes in 0..=15 {
            let wanted = text(&taken).bytes().take(bytes).filter(|byte| *byte == b'\n').count();
            assert_eq!(whole(&taken, bytes), wanted as u64, "{bytes}");
        }
        assert_eq!(whole(&[], 9), 0);
    }

    #[test]
    fn batches_hold_the_lines_in_order_with_their_times() {
        let taken = [shard(&[(1, "a\n"), (7, "g\n")]), shard(&[(3, "c\n"), (8, "h\n")])];
        let batches = batches(&taken);
        let lines: Vec<_> = batches.iter().flat_map(Batch::lines).collect();
        let seen: Vec<_> = lines.iter().map(|line| (line.nanos(), line.text())).collect();
        assert_eq!(seen, [(1, &b"a"[..]), (3, b"c"), (7, b"g"), (8, b"h")]);
        let long = "x".repeat(MAX_BATCH_BYTES / 2);
        let taken = [shard(&[(1, &long), (2, &long), (3, &long)]), Lines::default()];
        let lengths: Vec<_> = super::batches(&taken).iter().map(Batch::len).collect();
        assert_eq!(lengths, [2, 1]);
        assert!(super::batches(&[]).is_empty());
    }

    #[test]
    fn a_thread_s_lines_keep_their_order_whatever_the_clock_does() {
        assert_eq!(text(&[shard(&[(9, "a"), (1, "b"), (2, "c")]), shard(&[(5, "x")])]), "xabc");
        let same = || shard(&[(3, "a"), (3, "b")]);
        assert_eq!(text(&[same(), same()]), "abab");
    }

    /// Compares with sorting, for lines whose clock runs well.
    #[test]
    fn no_line_is_lost_or_doubled() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for _ in 0..200 {
            let mut all = Vec::new();
            let taken: Vec<Lines> = (0..random() % 5)
                .map(|_| {
                    let mut at = 0;
                    let lines: Vec<(u64, String)> = (0..random() % 20)
                        .map(|_| {
                            at += 1 + random() % 9;
                            (at, format!("{at} {}\n", "x".repeat(random() as usize % 3)))
                        })
                        .collect();
                    all.extend(lines.iter().map(|(at, line)| (*at, line.clone())));
                    shard(&lines.iter().map(|(at, line)| (*at, &**line)).collect::<Vec<_>>())
                })
                .collect();
            let merged = text(&taken);
            let times: Vec<u64> = merged
                .lines()
                .map(|line| line.split(' ').next().and_then(|at| at.parse().ok()).expect("a time"))
                .collect();
            assert!(times.is_sorted(), "{merged}");
            let mut lines: Vec<_> = merged.lines().collect();
            let mut wanted: Vec<_> =
                all.iter().map(|(_, line)| line.trim_end_matches('\n')).collect();
            lines.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(lines, wanted);
        }
    }
}
