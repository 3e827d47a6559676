//! Counting instructions with valgrind's callgrind: a figure that hardly depends on the machine.

use std::{
    env, fs,
    process::{self, Command, Stdio},
};

/// Runs this very program under callgrind, if valgrind is there.
#[derive(Clone, Copy, Debug)]
pub struct Callgrind {
    there: bool,
}

impl Callgrind {
    /// Looks for valgrind, and says so if it is missing.
    #[must_use]
    pub fn find() -> Self {
        let found = Command::new("valgrind")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let there = found.is_ok_and(|status| status.success());
        if !there {
            println!("no valgrind here: instructions are not counted");
        }
        Self { there }
    }

    /// Counts the instructions of one call, on the thread that calls.
    ///
    /// `arguments` make this program do nothing but the calls whose number is appended to them:
    /// first to warm up, then as many again, which are counted. `None` without valgrind, or if the
    /// program fails there.
    #[must_use]
    pub fn count(self, arguments: &[&str], calls: u64) -> Option<u64> {
        if !self.there {
            return None;
        }
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg("--toggle-collect=benches::contestant::counted*")
            .arg(env::current_exe().ok()?)
            .args(arguments)
            .arg(calls.to_string())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr);
        let count = collected(&text).filter(|_| output.status.success());
        if count.is_none() {
            let why = text.lines().find(|line| line.contains("terminating")).unwrap_or_default();
            println!("callgrind failed for {arguments:?}: {why}");
        }
        Some(count? / calls.max(1))
    }
}

/// Finds `==123== Collected : 456`.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("Collected : "))?;
    line.split_whitespace().last()?.parse().ok()
}

impl Callgrind {
    /// Counts the instructions of one call on all threads but the one that calls.
    ///
    /// `arguments` make this program do nothing but the calls whose number is appended to them. `None`
    /// without valgrind, or if the program fails there.
    #[must_use]
    pub fn count_others(self, arguments: &[&str], calls: u64) -> Option<u64> {
        // What the first calls take, and getting ready, is in both.
        let few = self.others(arguments, calls)?;
        let many = self.others(arguments, 3 * calls)?;
        Some(many.saturating_sub(few) / (2 * calls).max(1))
    }

    fn others(self, arguments: &[&str], calls: u64) -> Option<u64> {
        if !self.there {
            return None;
        }
        let folder = env::temp_dir().join(format!("benches-{}", process::id()));
        fs::create_dir_all(&folder).ok()?;
        let status = Command::new("valgrind")
            .args(["--tool=callgrind", "--separate-threads=yes"])
            .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
            .arg(env::current_exe().ok()?)
            .args(arguments)
            .arg(calls.to_string())
            .stderr(Stdio::null())
            .status();
        let files = fs::read_dir(&folder).ok()?.flatten();
        let totals = files.filter(|file| !file.file_name().to_string_lossy().ends_with("-01"));
        let totals: u64 =
            totals.filter_map(|file| total(&fs::read_to_string(file.path()).ok()?)).sum();
        let _ = fs::remove_dir_all(&folder);
        let count = Some(totals).filter(|count| *count > 0 && status.is_ok_and(|it| it.success()));
        if count.is_none() {
            println!("callgrind failed for {arguments:?}");
        }
        count
    }
}

/// Finds `totals: 456` in what callgrind wrote of one thread.
fn total(file: &str) -> Option<u64> {
    file.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        let text = "==7== Events    : Ir\n==7== Collected : 120945\n==7==\n";
        assert_eq!(super::collected(text), Some(120_945));
        assert_eq!(super::collected("==7== Events : Ir"), None);
    }
}
