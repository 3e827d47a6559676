//! Several contestants that do the same thing.

use crate::{Callgrind, Contestant, Effort, Row, budgets};
use std::{fmt, thread, time::Duration};

/// Compares contestants that do the same thing.
pub struct Contest {
    name: String,
    entries: Vec<Entry>,
    batch: usize,
    instructions: bool,
}

struct Entry {
    role: Role,
    name: String,
    /// Made only when it is needed: callgrind's run shall hold no one else's threads.
    make: Option<Box<dyn FnOnce() -> Contestant>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// What there is without any of the contestants.
    Bare,
    Ours,
    Peer,
}

/// What one call of a contestant takes, beyond the bare one's if there is one.
struct Taken {
    nanoseconds: f64,
    allocations: i64,
    bytes: i64,
    instructions: Option<i64>,
}

impl Contest {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), entries: Vec::new(), batch: 1000, instructions: true }
    }

    /// Makes batches no longer than this many calls, so that no queue runs over; 1000 by default.
    pub fn batch(&mut self, calls: usize) {
        self.batch = calls;
    }

    /// Counts no instructions: what the first calls do is not what all do.
    pub fn skip_instructions(&mut self) {
        self.instructions = false;
    }

    /// Adds what there is without anyone; what those who come after it, up to the next one, take
    /// is counted on top of it.
    pub fn bare(&mut self, name: &str, make: impl FnOnce() -> Contestant + 'static) {
        self.enter(Role::Bare, name, make);
    }

    /// Adds one of ours.
    pub fn ours(&mut self, name: &str, make: impl FnOnce() -> Contestant + 'static) {
        self.enter(Role::Ours, name, make);
    }

    /// Adds one of theirs.
    pub fn peer(&mut self, name: &str, make: impl FnOnce() -> Contestant + 'static) {
        self.enter(Role::Peer, name, make);
    }

    fn enter(&mut self, role: Role, name: &str, make: impl FnOnce() -> Contestant + 'static) {
        let entry = Entry { role, name: name.to_owned(), make: Some(Box::new(make)) };
        self.entries.push(entry);
    }

    pub(crate) fn run_only(self, name: &str, calls: usize) {
        let entry = self.entries.into_iter().find(|entry| entry.name == name);
        let Some(make) = entry.and_then(|entry| entry.make) else { return };
        let mut contestant = make();
        contestant.run(calls.min(self.batch));
        contestant.run_counted(calls.min(self.batch));
    }

    /// Measures all; returns the rows, and which budgets were broken.
    pub(crate) fn run(
        mut self,
        effort: Effort,
        callgrind: Option<Callgrind>,
    ) -> (Vec<Row>, Vec<String>) {
        let made = self.entries.iter_mut().filter_map(|entry| Some(entry.make.take()?()));
        let mut contestants: Vec<Contestant> = made.collect();
        let times = interleave(effort, self.batch, &mut contestants);
        let counts: Vec<_> = contestants.iter_mut().map(Contestant::allocations).collect();
        drop(contestants);
        let bare = self.bare_of_each();
        // A budget is on what comes on top of the bare one, so that is counted, too.
        let budget = budgets::of(&self.name).and_then(|budget| budget.instructions);
        let budgeted = |i: usize| budget.is_some() && self.entries[i].role == Role::Ours;
        let wanted = (0..self.entries.len()).map(|i| {
            let base = (0..bare.len()).any(|own| bare[own] == Some(i) && budgeted(own));
            let wanted = effort == Effort::Full || budgeted(i) || base;
            let callgrind = callgrind.filter(|_| wanted && self.instructions)?;
            // Under callgrind all takes some fifty times as long.
            let one = times.iter().map(|round| round[i]).fold(f64::INFINITY, f64::min);
            let calls = (5e7 / one.max(1.0)).min(self.batch.min(COUNTED) as f64) as u64;
            (calls > 0).then(|| (callgrind, self.entries[i].name.clone(), calls))
        });
        let instructions = counted(&self.name, wanted.collect());

        let taken: Vec<Taken> = (0..self.entries.len())
            .map(|i| {
                let base = bare[i];
                let of = |values: &[i64]| values[i] - base.map_or(0, |base| values[base]);
                let list = |value: fn(&allocation_counter::AllocationInfo) -> u64| -> Vec<i64> {
                    counts.iter().map(|count| value(count).cast_signed()).collect()
                };
                let differences =
                    times.iter().map(|round| round[i] - base.map_or(0.0, |b| round[b]));
                Taken {
                    nanoseconds: median(differences.collect()),
                    allocations: of(&list(|count| count.count_total)),
                    bytes: of(&list(|count| count.bytes_total)),
                    instructions: instructions[i].and_then(|own| {
                        Some(own - base.map_or(Some(0), |base| instructions[base])?)
                    }),
                }
            })
            .collect();
        (self.rows(&taken, &bare), self.over_budget(&taken))
    }

    /// Says for each entry which bare one stands before it.
    fn bare_of_each(&self) -> Vec<Option<usize>> {
        let mut bare = None;
        let each = self.entries.iter().enumerate().map(|(i, entry)| {
            if entry.role == Role::Bare {
                bare = Some(i);
                return None;
            }
            bare
        });
        each.collect()
    }

    fn rows(&self, taken: &[Taken], bare: &[Option<usize>]) -> Vec<Row> {
        let ours = self.entries.iter().position(|entry| entry.role == Role::Ours);
        let rows = self.entries.iter().zip(taken).enumerate().map(|(i, (entry, own))| {
            let sign = if bare[i].is_some() { "+" } else { "" };
            let signed = |value: i64| match bare[i] {
                Some(_) => format!("{value:+}"),
                None => value.to_string(),
            };
            let ratio = ours.filter(|_| entry.role != Role::Bare).map(|ours| {
                let ratio = own.nanoseconds / taken[ours].nanoseconds.max(0.01);
                format!("{ratio:.2}")
            });
            Row {
                what: self.name.clone(),
                who: entry.name.clone(),
                time: format!("{sign}{}", nanoseconds(own.nanoseconds)),
                ratio: ratio.unwrap_or_default(),
                allocations: signed(own.allocations),
                bytes: signed(own.bytes),
                instructions: own.instructions.map(signed).unwrap_or_default(),
            }
        });
        rows.collect()
    }

    fn over_budget(&self, taken: &[Taken]) -> Vec<String> {
        let Some(budget) = budgets::of(&self.name) else { return Vec::new() };
        let ours = self.entries.iter().zip(taken).filter(|(entry, _)| entry.role == Role::Ours);
        let counts = ours.flat_map(|(_, taken)| {
            let allocations = (taken.allocations, budget.allocations, "allocations");
            let instructions = taken.instructions.zip(budget.instructions);
            let instructions =
                instructions.map(|(taken, allowed)| (taken, allowed, "instructions"));
            [Some(allocations), instructions]
        });
        let over = counts.flatten().filter(|(taken, allowed, _)| taken > allowed);
        over.map(|(taken, allowed, of)| format!("{}: {taken} {of}, {allowed} allowed", self.name))
            .collect()
    }
}

/// How many calls are counted at most: fewer than a batch of spans, so that each call finds the place of a span
/// of those before, and the count does not hang on when the exporter's thread gives one back.
const COUNTED: usize = 500;

/// How long a contest may last.
const LASTING: Duration = Duration::from_secs(8);

/// Counts the instructions of several contestants at once: a count does not hang on who else runs.
fn counted(contest: &str, wanted: Vec<Option<(Callgrind, String, u64)>>) -> Vec<Option<i64>> {
    thread::scope(|scope| {
        let running: Vec<_> = wanted
            .into_iter()
            .map(|one| {
                let (callgrind, name, calls) = one?;
                Some(scope.spawn(move || callgrind.count(&["--only", contest, &name], calls)))
            })
            .collect();
        let counts = running.into_iter().map(|count| count?.join().ok()?.map(u64::cast_signed));
        counts.collect()
    })
}

/// Runs all in turn, round after round; returns the nanoseconds of one call, by round.
fn interleave(effort: Effort, batch: usize, contestants: &mut [Contestant]) -> Vec<Vec<f64>> {
    let mut round = Duration::ZERO;
    let calls: Vec<usize> = contestants
        .iter_mut()
        .map(|contestant| {
            let mut one = contestant.run(1).as_secs_f64();
            if one < 1e-3 {
                // The second time caches are warm.
                contestant.run(effort.pick(batch.min(100), batch));
                let probe = batch.min(50);
                one = contestant.run(probe).as_secs_f64() / probe as f64;
            }
            let fit = (effort.round().as_secs_f64() / one.max(1e-9)) as usize;
            let calls = fit.clamp(1, batch);
            round += Duration::from_secs_f64(one * calls as f64);
            calls
        })
        .collect();
    let affordable = (LASTING.as_secs_f64() / round.as_secs_f64().max(1e-9)) as usize;
    let rounds = effort.rounds().min(affordable.max(5));
    let mut all = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let mut times = vec![0.0; contestants.len()];
        for turn in 0..contestants.len() {
            // No one always comes first, or always after the same one.
            let i = (turn + round) % contestants.len();
            times[i] = per_call(contestants[i].run(calls[i]), calls[i]);
        }
        all.push(times);
    }
    all
}

fn per_call(taken: Duration, calls: usize) -> f64 {
    taken.as_secs_f64() * 1e9 / calls as f64
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Writes a time with three digits that mean something.
#[must_use]
pub fn nanoseconds(time: f64) -> String {
    match time.abs() {
        value if value < 100.0 => format!("{time:.1} ns"),
        value if value < 1e3 => format!("{time:.0} ns"),
        value if value < 1e4 => format!("{:.2} us", time / 1e3),
        value if value < 1e6 => format!("{:.1} us", time / 1e3),
        value if value < 1e9 => format!("{:.1} ms", time / 1e6),
        _ => format!("{:.2} s", time / 1e9),
    }
}

impl fmt::Debug for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contest").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_budget_is_told_in_each_of_its_counts() {
        let mut contest = Contest::new("one JSON log line");
        contest.ours("meshwise", || Contestant::new(|| ()));
        contest.peer("a peer", || Contestant::new(|| ()));
        let taken = |allocations, instructions| Taken {
            nanoseconds: 1.0,
            allocations,
            bytes: 0,
            instructions: Some(instructions),
        };
        let peer = || taken(1000, i64::MAX);
        assert_eq!(contest.over_budget(&[taken(0, 1), peer()]), Vec::<String>::new());
        assert_eq!(contest.over_budget(&[taken(1, 1), peer()]).len(), 1);
        assert_eq!(contest.over_budget(&[taken(1, i64::MAX), peer()]).len(), 2);
    }
}
