//! What the command line asks for.

use crate::{Callgrind, Contest, Effort, Report, Row};
use std::{env, process::ExitCode};

/// Runs contests, and prints one table of them all.
///
/// | argument | meaning |
/// |---|---|
/// | `--test` | run each contestant just to see that it works, and check the budgets |
/// | `NAME` | run only contests whose name contains one of the names given |
/// | `--only CONTEST CONTESTANT CALLS` | nothing but so many calls of one contestant, for callgrind |
#[derive(Debug)]
pub struct Bench {
    effort: Effort,
    names: Vec<String>,
    only: Option<Only>,
    callgrind: Option<Callgrind>,
    report: Report,
    over_budget: Vec<String>,
}

#[derive(Debug)]
struct Only {
    contest: String,
    contestant: String,
    calls: usize,
}

impl Bench {
    /// Reads the command line.
    #[must_use]
    pub fn from_args() -> Self {
        let args: Vec<String> = env::args().skip(1).collect();
        let only = match args.as_slice() {
            [flag, contest, contestant, calls] if flag == "--only" => Some(Only {
                contest: contest.clone(),
                contestant: contestant.clone(),
                calls: calls.parse().unwrap_or(1),
            }),
            _ => None,
        };
        let quick = args.iter().any(|arg| arg == "--test");
        Self {
            effort: if quick { Effort::Quick } else { Effort::Full },
            names: args.into_iter().filter(|arg| !arg.starts_with("--")).collect(),
            callgrind: only.is_none().then(Callgrind::find),
            only,
            report: Report::default(),
            over_budget: Vec::new(),
        }
    }

    /// Tells how much is to be run.
    #[must_use]
    pub const fn effort(&self) -> Effort {
        self.effort
    }

    /// Tells whether a row of this name is wanted that is no [`Contest`].
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_none() && self.is_named(name)
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|part| name.contains(part.as_str()))
    }

    /// Runs a contest, if it is wanted; `enter` puts the contestants into it.
    pub fn contest(&mut self, name: &str, enter: impl FnOnce(&mut Contest)) {
        if let Some(only) = &self.only {
            if only.contest == name {
                let mut contest = Contest::new(name);
                enter(&mut contest);
                contest.run_only(&only.contestant, only.calls);
            }
        } else if self.is_named(name) {
            eprintln!("{name} ...");
            let mut contest = Contest::new(name);
            enter(&mut contest);
            let (rows, over) = contest.run(self.effort, self.callgrind);
            rows.into_iter().for_each(|row| self.add(row));
            self.over_budget.extend(over);
        }
    }

    /// Adds a row that was measured elsewhere.
    pub fn add(&mut self, row: Row) {
        eprintln!("    {}", row.line());
        self.report.add(row);
    }

    /// Returns what counts instructions, unless it is missing.
    #[must_use]
    pub const fn callgrind(&self) -> Option<Callgrind> {
        self.callgrind
    }

    /// Tells of a budget that was broken, by a row that was measured elsewhere.
    pub fn over_budget(&mut self, what: String) {
        self.over_budget.push(what);
    }

    /// Prints the table; fails if a budget was broken.
    #[must_use]
    pub fn finish(self) -> ExitCode {
        if self.only.is_some() {
            return ExitCode::SUCCESS;
        }
        println!("\n{}", self.report);
        for line in &self.over_budget {
            println!("over budget: {line}");
        }
        ExitCode::from(u8::from(!self.over_budget.is_empty()))
    }
}
