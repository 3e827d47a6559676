//! Dictionaries in git: what is published is committed and pushed, also by many at once.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::place::{Place, Ran};

/// A bare repository with a dictionary, and checkouts of it.
struct Remote {
    place: Place,
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = command(folder).args(args).output().expect("git runs");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).stdin(Stdio::null());
    for (name, value) in IDENTITY {
        command.env(name, value);
    }
    command
}

const IDENTITY: [(&str, &str); 6] = [
    ("GIT_AUTHOR_NAME", "ci"),
    ("GIT_AUTHOR_EMAIL", "ci@example.com"),
    ("GIT_COMMITTER_NAME", "ci"),
    ("GIT_COMMITTER_EMAIL", "ci@example.com"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
];

impl Remote {
    fn new() -> Self {
        let place = Place::new();
        let remote = Self { place };
        let root = remote.place.path();
        git(root, &["init", "--quiet", "--bare", "--initial-branch=main", "remote.git"]);
        git(root, &["clone", "--quiet", "remote.git", "first"]);
        remote.place.write("first/dictionary.toml", "format = 1\n");
        let first = root.join("first");
        git(&first, &["add", "."]);
        git(&first, &["commit", "--quiet", "-m", "Begin"]);
        git(&first, &["push", "--quiet", "-u", "origin", "HEAD:main"]);
        git(root, &["--git-dir=remote.git", "symbolic-ref", "HEAD", "refs/heads/main"]);
        remote
    }

    fn checkout(&self, name: &str) -> PathBuf {
        // As from a server: what is cloned from a path is copied file by file, while others push into it.
        git(
            self.place.path(),
            &["clone", "--quiet", "--no-local", "--template=", "remote.git", name],
        );
        self.place.path().join(name)
    }

    fn publish(&self, checkout: &str, service: &str, owner: &str, extra: &[&str]) -> Command {
        let file = format!("{checkout}-{service}.toml");
        let text = format!("schema = 1\n[service]\nname = \"{service}\"\nowner = \"{owner}\"\n");
        self.place.write(&file, &text);
        let args = ["publish", "--git", "--dictionary", checkout, "--declaration", &file];
        let mut command = self.place.command(&[&args[..], extra].concat());
        command.envs(IDENTITY);
        command
    }

    fn run(&self, checkout: &str, service: &str, owner: &str, extra: &[&str]) -> Ran {
        self.place.finish(&mut self.publish(checkout, service, owner, extra))
    }

    /// Counts the documents that all can see.
    fn documents(&self) -> u64 {
        let folder = format!("seen{}", fastrand::u32(..));
        self.checkout(&folder);
        let json =
            self.place.expect(0, &["index", "--dictionary", &folder, "--format", "json"]).json();
        json["documents"].as_u64().expect("a number")
    }
}

#[test]
fn what_is_published_is_pushed() {
    let remote = Remote::new();
    remote.checkout("a");
    remote.checkout("b");
    let ran = remote.run("a", "pay", "one", &[]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(remote.documents(), 1);
    // The other checkout is behind: another service gets in, and this one's next, too.
    assert_eq!(remote.run("b", "shop", "one", &[]).code, 0);
    assert_eq!(remote.run("b", "pay", "two", &[]).code, 0);
    assert_eq!(remote.documents(), 3);
    let ran = remote.run("a", "pay", "two", &[]);
    assert!(ran.code == 0 && ran.stdout.contains("nothing new"), "{ran}");
    // Nothing is left behind.
    for checkout in ["a", "b"] {
        let folder = remote.place.path().join(checkout);
        assert_eq!(git(&folder, &["status", "--porcelain"]), "");
        assert_eq!(git(&folder, &["rev-list", "--count", "@{u}..HEAD"]), "0");
    }
}

#[test]
fn what_waits_in_the_checkout_is_not_taken_along() {
    let remote = Remote::new();
    let folder = remote.checkout("a");
    std::fs::write(folder.join("notes.md"), "mine").expect("written");
    let ran = remote.run("a", "pay", "one", &[]);
    assert!(ran.code == 2 && ran.stderr.contains("not committed"), "{ran}");
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "--quiet", "-m", "Mine"]);
    let ran = remote.run("a", "pay", "one", &[]);
    assert!(ran.code == 2 && ran.stderr.contains("not pushed"), "{ran}");
    git(&folder, &["push", "--quiet"]);
    git(&folder, &["checkout", "--quiet", "-b", "other"]);
    let ran = remote.run("a", "pay", "one", &[]);
    assert!(ran.code == 2 && ran.stderr.contains("follows no other"), "{ran}");
    let ran = remote.place.run(&["publish", "--git", "--declaration", "a-pay.toml"]);
    assert!(ran.code == 2 && ran.stderr.contains("no git checkout"), "{ran}");
}

#[test]
fn many_publishers_at_once_lose_nothing() {
    // 200 in the long proof.
    let writers = match std::env::var("MESHWISE_PROOF").as_deref() {
        Ok("full") => 200,
        _ => 12,
    };
    let remote = Remote::new();
    for writer in 0..writers {
        remote.checkout(&format!("w{writer}"));
    }
    let children: Vec<_> = (0..writers)
        .map(|writer| {
            let checkout = format!("w{writer}");
            // A few write the same service.
            let service = format!("s{}", writer % (writers / 3));
            let mut command = remote.publish(&checkout, &service, &checkout, &["--last-wins"]);
            let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
            (checkout, child.expect("starts"))
        })
        .collect();
    for (checkout, child) in children {
        let output = child.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{checkout}: {said}");
        // While the others publish: at the end it takes longer than all the rest.
        std::fs::remove_dir_all(remote.place.path().join(checkout)).expect("removed");
    }
    assert_eq!(remote.documents(), u64::try_from(writers).expect("few"));
}

#[test]
fn a_race_with_oneself_is_a_conflict_and_leaves_nothing_behind() {
    let remote = Remote::new();
    let (a, _) = (remote.checkout("a"), remote.checkout("b"));
    // Another pipeline of the same service pushes between this one's pull and its push.
    let hook = a.join(".git/hooks/pre-push");
    std::fs::create_dir_all(a.join(".git/hooks")).expect("a folder");
    let other = remote.publish("b", "pay", "two", &[]);
    let program = other.get_program().to_string_lossy().into_owned();
    let args: Vec<String> =
        other.get_args().map(|arg| format!("'{}'", arg.to_string_lossy())).collect();
    let root = remote.place.path().display();
    let text = format!(
        "#!/bin/sh\nrm -f \"$0\"\nunset GIT_DIR GIT_INDEX_FILE GIT_PREFIX\ncd '{root}' && exec '{program}' {}\n",
        args.join(" ")
    );
    std::fs::write(&hook, text).expect("written");
    Command::new("chmod").arg("+x").arg(&hook).status().expect("chmod runs");
    let ran = remote.run("a", "pay", "one", &[]);
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.stderr.contains("nothing of this is left in the checkout"), "{ran}");
    assert_eq!(git(&a, &["status", "--porcelain"]), "");
    assert_eq!(git(&a, &["rev-list", "--count", "@{u}..HEAD"]), "0");
    assert_eq!(remote.documents(), 1);
    // The way out.
    assert_eq!(remote.run("a", "pay", "one", &["--last-wins"]).code, 0);
    assert_eq!(remote.documents(), 2);
}
