//! Another tool that compares two descriptions, such as `oasdiff` or `buf`.

use std::{
    io::Read,
    path::Path,
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a command may run.
const TIME: Duration = Duration::from_secs(60);
/// How much of a command's output is kept, in bytes.
const OUTPUT: u64 = 64 << 10;

/// A command with the places of the two files, as it is written in `api.toml`.
///
/// It is started without a shell: words are parted by white space, and quotes hold them together.
/// `{old}` and `{new}` are the files' paths. Exit code 0 means compatible; 1 and 100 (`buf`'s) mean
/// that something breaks; any other that the command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContractCommand {
    words: Vec<String>,
    time: Duration,
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Whether nothing breaks.
    pub compatible: bool,
    /// What it wrote, line by line.
    pub lines: Vec<String>,
}

/// Says why a command gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CommandError {
    /// The command line cannot be used.
    #[error("contract-command {0:?} {1}")]
    Form(String, &'static str),
    /// It could not be started.
    #[error("cannot start {program}: is it installed and on the path?")]
    Start {
        /// The program.
        program: String,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The files could not be written for it.
    #[error("cannot write the descriptions for {program}")]
    Files {
        /// The program.
        program: String,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// It ran for too long.
    #[error("{program} did not end within {} s, and was stopped", .time.as_secs())]
    Time {
        /// The program.
        program: String,
        /// How long it may run.
        time: Duration,
    },
    /// It failed.
    #[error("{program} failed with {status}: {output}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        output: String,
    },
}

impl ContractCommand {
    /// Reads a command line.
    ///
    /// # Errors
    /// If a quote is not closed, or it does not name both files.
    pub(crate) fn parse(text: &str) -> Result<Self, CommandError> {
        let error = |reason| CommandError::Form(text.to_owned(), reason);
        let words = words(text).ok_or_else(|| error("has a quote that is not closed"))?;
        if words.is_empty() {
            return Err(error("is empty"));
        }
        let names = |place: &str| words.iter().skip(1).any(|word| word.contains(place));
        if !names("{old}") || !names("{new}") {
            return Err(error("must name the files as {old} and {new}"));
        }
        Ok(Self { words, time: TIME })
    }

    /// Sets how long it may run. Default: 60 s.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Runs it on two descriptions, each given by its file's name and its text.
    ///
    /// # Errors
    /// If it cannot be started, does not end in time, or fails.
    pub(crate) fn run(
        &self,
        old: (&str, &[u8]),
        new: (&str, &[u8]),
    ) -> Result<Judgement, CommandError> {
        let program = self.words.first().cloned().unwrap_or_default();
        let files = |source| CommandError::Files { program: program.clone(), source };
        let folder = tempfile::tempdir().map_err(files)?;
        let mut paths = Vec::new();
        for (side, (name, text)) in [("old", old), ("new", new)] {
            let path = folder.path().join(side);
            std::fs::create_dir(&path).map_err(files)?;
            let path = path.join(safe(name));
            std::fs::write(&path, text).map_err(files)?;
            paths.push(path.display().to_string());
        }
        let args = self.words.iter().skip(1).map(|word| {
            let word = word.replace("{old}", &paths[0]);
            word.replace("{new}", &paths[1])
        });
        let mut child = std::process::Command::new(&program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| CommandError::Start { program: program.clone(), source })?;
        let readers: Vec<_> = [
            child.stdout.take().map(|out| reader(Box::new(out))),
            child.stderr.take().map(|out| reader(Box::new(out))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let started = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if started.elapsed() < self.time => {
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    // What it started may hold its output open; that is not waited for.
                    return Err(CommandError::Time { program, time: self.time });
                }
                Err(source) => return Err(CommandError::Start { program, source }),
            }
        };
        let output: String =
            readers.into_iter().map(|reader| reader.join().unwrap_or_default()).collect();
        let lines = output.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let lines = lines.map(|line| line.replace(&paths[0], "old").replace(&paths[1], "new"));
        let lines: Vec<String> = lines.collect();
        match status.code() {
            Some(code @ (0 | 1 | 100)) => Ok(Judgement { compatible: code == 0, lines }),
            _ => {
                let output = lines.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
                Err(CommandError::Failed { program, status, output })
            }
        }
    }
}

fn reader(out: Box<dyn Read + Send>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut out = out.take(OUTPUT);
        let _ = out.read_to_end(&mut bytes);
        // The rest is read too, so that the command does not wait for its reader.
        let _ = std::io::copy(&mut out.into_inner(), &mut std::io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Returns a name that is no path: it comes from the dictionary.
fn safe(name: &str) -> String {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or("txt");
    let known = ["json", "yaml", "yml", "proto"]
        .into_iter()
        .find(|known| ending.eq_ignore_ascii_case(known));
    format!("description.{}", known.unwrap_or("txt"))
}

/// Parts a command line into words.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Judgement, CommandError> {
        ContractCommand::parse(line)?.run(("a.proto", b"old text"), ("../../b.json", b"new text"))
    }

    #[test]
    fn words_are_parted_without_a_shell() {
        let parsed = |text| ContractCommand::parse(text).map(|command| command.words);
        let wanted = ["x y", "", "{old}", "a{new}b"].map(str::to_owned).to_vec();
        assert_eq!(parsed("'x y' \"\" {old} a{new}'b'").ok(), Some(wanted));
        for (text, reason) in [
            ("", "is empty"),
            ("x {old}", "{new}"),
            ("x '{old} {new}", "not closed"),
            ("{old} {new}", "must name"),
        ] {
            let error = parsed(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_exit_code_is_the_answer() {
        let same = run("cmp {old} {old} {new}").expect_err("too many operands");
        assert!(same.to_string().contains("cmp failed"), "{same}");
        let differ = run("cmp {old} {new}").expect("an answer");
        assert!(!differ.compatible);
        assert!(differ.lines[0].contains("old") && !differ.lines[0].contains('/'), "{differ:?}");
        let equal = run("test -f {old} -a -f {new}").expect("an answer");
        assert!(equal.compatible && equal.lines.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_there_or_hangs_is_an_error() {
        let error = run("no-such-program {old} {new}").expect_err("not there");
        assert!(error.to_string().contains("is it installed"), "{error}");
        let command = ContractCommand::parse("sh -c 'sleep 600' {old} {new}").expect("a command");
        let error = command
            .with_time(Duration::from_millis(50))
            .run(("a", b""), ("b", b""))
            .expect_err("hangs");
        assert!(error.to_string().contains("was stopped"), "{error}");
    }
}
