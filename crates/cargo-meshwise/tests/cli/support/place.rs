//! A temporary folder in which the real command runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The day on which the tests take place.
pub(crate) const TODAY: &str = "2026-11-21";

/// A folder with a dictionary and some services in it.
#[derive(Debug)]
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// What a run of the command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// An empty folder with an empty folder `dictionary` in it.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("dictionary")).expect("a folder");
        fs::write(folder.path().join("dictionary/dictionary.toml"), "format = 1\n")
            .expect("writes");
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a folder");
        }
        fs::write(&path, text).expect("writes");
        path
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).expect(path)
    }

    /// The command, ready to run in this folder against `dictionary`, with an environment of its
    /// own: neither CI's nor the developer's variables reach it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"));
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("MESHWISE_TODAY", TODAY)
            .env("MESHWISE_DICTIONARY", "dictionary")
            .env("MESHWISE_CACHE", self.path().join("cache"))
            // No git checkout above the temporary folder is this test's.
            .env("GIT_CEILING_DIRECTORIES", self.path().parent().unwrap_or(self.path()))
            .env("HOME", self.path())
            .args(["meshwise", "--clock", "2026-11-21T00:00:00Z"])
            .args(args)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the command. What it wrote has the folder's name replaced by `[place]`.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.finish(&mut self.command(args))
    }

    pub(crate) fn finish(&self, command: &mut Command) -> Ran {
        let output = command.output().expect("runs");
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("utf-8");
            text.replace(&self.path().display().to_string(), "[place]")
        };
        Ran {
            code: output.status.code().expect("exits by itself"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs the command and wants this exit code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "cargo meshwise {}\n{ran}", args.join(" "));
        ran
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit {}", self.code)?;
        writeln!(f, "--- stdout")?;
        write!(f, "{}", self.stdout)?;
        writeln!(f, "--- stderr")?;
        write!(f, "{}", self.stderr)
    }
}
