//! Small helpers for text that comes from outside.

/// How much of a foreign text a message repeats, in characters.
const SHOWN: usize = 80;

/// Cuts a text for a message: a long one ends in an ellipsis.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// How many names a message lists.
const LISTED: usize = 10;

/// Lists names for a message: the first ten, and how many more there are.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let mut text = names.by_ref().take(LISTED).collect::<Vec<_>>().join(", ");
    let more = names.count();
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Finds the candidate that a misspelt word most likely meant, if one is near.
///
/// Near is up to a third of the word's length in edits (at least one), or the one being a
/// prefix of the other by three characters or more.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Edit distance takes time by the product of the lengths; no key is this long.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace('_', "-");
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 64)
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let edits = edits(&word, &lower);
            let limit = (word.chars().count().max(3) / 3).max(1);
            let prefix = word.len().min(lower.len()) >= 3
                && (lower.starts_with(&word) || word.starts_with(&lower));
            (edits <= limit || prefix).then_some((edits, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Counts the edits between two words: insertions, deletions, replacements, and swaps of peers
/// (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_none_from_afar() {
        let keys = ["api", "scheme", "transport", "versions", "description"];
        assert_eq!(nearest("schema", keys), Some("scheme"));
        assert_eq!(nearest("verisons", keys), Some("versions"));
        assert_eq!(nearest("version", keys), Some("versions"));
        assert_eq!(nearest("desc", keys), Some("description"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), keys), None);
        assert_eq!(nearest("same_or_later", ["same-or-later"]), Some("same-or-later"));
    }

    #[test]
    fn lists_end() {
        assert_eq!(listed([]), "");
        assert_eq!(listed(["a", "b"]), "a, b");
        assert_eq!(listed(["a"; 12]), "a, a, a, a, a, a, a, a, a, a and 2 more");
    }

    #[test]
    fn edits_count_a_swap_as_one() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
        assert_eq!(edits("abc", "acb"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten("short"), "short");
        let cut = shorten(&"ü".repeat(100));
        assert_eq!(cut.chars().count(), SHOWN + 1);
        assert!(cut.ends_with('…'));
    }
}
