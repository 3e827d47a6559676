//! The story in `docs/guide.md`, replayed command by command.

use std::{path::Path, process::Command};

/// One command of the guide, and what it says that the command prints.
struct Step {
    command: String,
    printed: String,
}

/// Reads the console blocks that follow a `<!-- story -->` mark.
fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for part in guide.split("<!-- story -->").skip(1) {
        let block = part.split("```").nth(1).expect("a block follows the mark");
        for line in block.strip_prefix("console\n").expect("a console block").lines() {
            match line.strip_prefix("$ cargo meshwise ") {
                Some(command) => {
                    steps.push(Step { command: command.to_owned(), printed: String::new() });
                }
                None => {
                    let step = steps.last_mut().expect("a command comes first");
                    step.printed += line.trim_end();
                    step.printed.push('\n');
                }
            }
        }
    }
    steps
}

#[test]
fn the_guide_s_story_is_what_happens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = std::fs::read_to_string(root.join("docs/guide.md")).expect("the guide");
    let steps = steps(&guide);
    assert!(steps.len() >= 5, "the story has {} steps", steps.len());
    for Step { command, printed } in steps {
        let output = Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"))
            .arg("meshwise")
            .args(command.split(' '))
            .current_dir(&root)
            .env("MESHWISE_TODAY", "2026-11-21")
            .env("MESHWISE_DICTIONARY", "examples/shop/apis/dictionary")
            .env_remove("CARGO_TERM_COLOR")
            .output()
            .expect("it runs");
        let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
        said += &String::from_utf8_lossy(&output.stdout);
        let mut said: String = said.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        match output.status.code() {
            Some(0) => {}
            code => said += &format!("[exit {}]\n", code.unwrap_or(-1)),
        }
        assert_eq!(said, printed, "cargo meshwise {command}");
    }
}
