//! Publishing through git: what is written to a dictionary's checkout is committed and pushed.
//!
//! ```text
//! pull (fast-forward) ── write ── commit ── push ──> done
//!        ^                                  └─ others were faster: fetch, rebase
//!        │                                       ├─ it fits ──> push again
//!        └── begin anew, or tell <── take it back ┴─ it does not: both wrote one file
//! ```
//!
//! Each file is written once, so a rebase fails only where two wrote the same number of one service.
//!
//! Of many who push at once one is first, and all others do their work in vain. So each waits at random
//! before it tries again, the longer the more often it lost: N publishers make about N log N pushes in all,
//! not N².

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use super::Store;
use crate::exit::{Exit, Failure};

/// How often a push gives way to others: more than it takes among a thousand at once.
const ATTEMPTS: u32 = 200;
/// How often git may fail though nothing is new before that is an error: half a minute or so.
const FAILURES: u32 = 10;
/// The longest wait of one who lost.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// A dictionary in a git checkout whose branch follows one of a remote.
#[derive(Debug)]
pub(crate) struct Checkout {
    folder: PathBuf,
}

/// Says how a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is there for all.
    Yes,
    /// Nothing was written.
    Nothing,
    /// Others wrote one of the files first; this commit was taken back.
    Conflict,
}

impl Checkout {
    /// Finds the checkout that a dictionary lies in, and proves that nothing else waits in it.
    ///
    /// # Errors
    /// `Usage` when it lies in none, when its branch follows no other, or when there are changes or
    /// commits that this would take along.
    pub(crate) fn of(store: &Store) -> Result<Self, Failure> {
        let usage = |message: String| Failure::message(Exit::Usage, message);
        let Some(folder) = store.location().folder() else {
            return Err(usage(
                "--git is for a dictionary in a folder of a git checkout".to_owned(),
            ));
        };
        let checkout = Self { folder: folder.to_path_buf() };
        let shown = folder.display();
        if !checkout.git(&["rev-parse", "--is-inside-work-tree"])?.status.success() {
            return Err(usage(format!("{shown} is in no git checkout")));
        }
        if !checkout.git(&["rev-parse", "--verify", "--quiet", "@{u}"])?.status.success() {
            return Err(usage(format!(
                "the branch in {shown} follows no other; set one with `git push -u origin HEAD`"
            )));
        }
        if !checkout.text(&["status", "--porcelain", "--", "."])?.is_empty() {
            return Err(usage(format!(
                "{shown} has changes that are not committed; commit or remove them first"
            )));
        }
        if checkout.text(&["rev-list", "--count", "@{u}..HEAD"])? != "0" {
            return Err(usage(format!("{shown} has commits that are not pushed; push them first")));
        }
        Ok(checkout)
    }

    /// Brings the checkout up to date.
    ///
    /// # Errors
    /// `Undetermined` when the remote is out of reach.
    pub(crate) fn pull(&self) -> Result<(), Failure> {
        self.must(&["fetch", "--quiet"])?;
        self.must(&["merge", "--quiet", "--ff-only", "@{u}"])
    }

    /// Commits what was written, and pushes it.
    ///
    /// # Errors
    /// `Undetermined` when git fails for another reason than others who push.
    pub(crate) fn push(&self, message: &str) -> Result<Pushed, Failure> {
        self.must(&["add", "--all", "--", "."])?;
        if self.text(&["status", "--porcelain", "--", "."])?.is_empty() {
            return Ok(Pushed::Nothing);
        }
        self.must(&["commit", "--quiet", "-m", message, "--", "."])?;
        let (mut failures, mut losses) = (0, 0);
        while losses < ATTEMPTS {
            let began = Instant::now();
            let pushed = self.git(&["push", "--quiet"])?;
            if pushed.status.success() {
                return Ok(Pushed::Yes);
            }
            let fetched = self.git(&["fetch", "--quiet"])?;
            let news = self.text(&["rev-list", "--count", "HEAD..@{u}"])?;
            if !fetched.status.success() || news == "0" {
                // Two may meet at a lock of the remote; what fails for good fails again.
                failures += 1;
                if failures >= FAILURES {
                    self.must(&["reset", "--quiet", "--keep", "@{u}"])?;
                    let (what, output) = match fetched.status.success() {
                        true => ("push", &pushed),
                        false => ("fetch", &fetched),
                    };
                    return Err(self.failure(what, output));
                }
                wait(Duration::from_millis(50), failures);
                continue;
            }
            (failures, losses) = (0, losses + 1);
            wait(began.elapsed(), losses);
            // As late as can be: what others push from here on is in vain for this one.
            self.git(&["fetch", "--quiet"])?;
            if !self.git(&["rebase", "--quiet", "@{u}"])?.status.success() {
                self.must(&["rebase", "--abort"])?;
                self.must(&["reset", "--quiet", "--keep", "@{u}"])?;
                return Ok(Pushed::Conflict);
            }
        }
        self.must(&["reset", "--quiet", "--keep", "@{u}"])?;
        let message = format!("gave up after {ATTEMPTS} pushes; nothing is half done");
        Err(Failure::message(Exit::Undetermined, message))
    }

    fn must(&self, args: &[&str]) -> Result<(), Failure> {
        let output = self.git(args)?;
        if output.status.success() { Ok(()) } else { Err(self.failure(args[0], &output)) }
    }

    fn text(&self, args: &[&str]) -> Result<String, Failure> {
        let output = self.git(args)?;
        if !output.status.success() {
            return Err(self.failure(args[0], &output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn failure(&self, what: &str, output: &Output) -> Failure {
        let said = String::from_utf8_lossy(&output.stderr);
        let message = format!("git {what} failed in {}: {}", self.folder.display(), said.trim());
        Failure::message(Exit::Undetermined, message)
    }

    fn git(&self, args: &[&str]) -> Result<Output, Failure> {
        run(&self.folder, args).map_err(|error| {
            let error = anyhow::Error::new(error).context("git cannot be run");
            Failure::new(Exit::Undetermined, error)
        })
    }
}

/// Waits at random, up to twice as long with each time.
fn wait(unit: Duration, times: u32) {
    let longest = unit.saturating_mul(1 << times.min(10)).min(LONGEST_WAIT);
    std::thread::sleep(longest.mul_f64(meshwise_core::internal::random::f64()));
}

fn run(folder: &Path, args: &[&str]) -> std::io::Result<Output> {
    Command::new("git")
        // To pack what is old is not for a publisher, who may be one of many. What it fetches stays packed:
        // a file for each object of all others is what takes time on a busy machine.
        .args(["-c", "maintenance.auto=false", "-c", "gc.auto=0", "-c", "fetch.unpackLimit=1"])
        .args(args)
        .current_dir(folder)
        // Nothing is asked for at a terminal that may not be there.
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_EDITOR", "true")
        .stdin(Stdio::null())
        .output()
}
