//! Running parts beside each other.

use super::{Part, Schemas};
use anyhow::bail;
use clap::ValueEnum as _;
use std::{
    env,
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

/// How many lines of a failed part's output are shown once more at the end.
const TAIL: usize = 40;

/// Runs each part in a process of its own, `lanes` at a time, and shows what each printed when it ends. The last
/// lines of those that failed come once more at the end: who reads only a log's tail learns what went wrong.
///
/// # Errors
/// If any has failed; all run in any case, so that one failure does not hide another.
pub(super) fn run(parts: &[Part], lanes: usize, schemas: &Schemas) -> anyhow::Result<()> {
    let waiting = Mutex::new(parts.iter().copied());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(part) = next else { return };
                    if let Err(output) = run_part(part, schemas) {
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((name(part), output));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() {
        return Ok(());
    }
    for (name, output) in &failed {
        println!("-- {name} failed; its last lines once more:\n{}", tail(output));
    }
    let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    bail!("interop: failed: {}", names.join(", "));
}

/// Runs one part and shows what it printed, which comes back if it failed.
fn run_part(part: Part, schemas: &Schemas) -> Result<(), String> {
    let name = name(part);
    let begin = Instant::now();
    let output = env::current_exe().and_then(|this| {
        Command::new(this).arg("interop").arg(&name).args(schemas.arguments()).output()
    });
    let (printed, status) = match output {
        Ok(output) => {
            let printed = [output.stdout, output.stderr].concat();
            (String::from_utf8_lossy(&printed).into_owned(), Some(output.status))
        }
        Err(error) => (format!("{name} cannot be started: {error}\n"), None),
    };
    println!("-- {name} ({} s)\n{printed}", begin.elapsed().as_secs());
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{printed}{status}\n")),
        None => Err(printed),
    }
}

/// The last [`TAIL`] lines.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

fn name(part: Part) -> String {
    part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn a_tail_is_the_last_lines() {
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let tail_of_it = tail(&long);
        assert_eq!(tail_of_it.lines().count(), 40);
        assert!(
            tail_of_it.starts_with("line 60\n") && tail_of_it.ends_with("line 99"),
            "{tail_of_it}"
        );
        assert_eq!(tail("one\ntwo\n"), "one\ntwo");
    }
}
