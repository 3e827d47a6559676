//! Running parts beside each other.

use super::{Part, Schemas};
use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use std::{
    env,
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

/// Runs each part in a process of its own, `lanes` at a time, and shows what each printed when it ends.
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
                    if let Err(error) = run_part(part, schemas) {
                        println!("{error:#}");
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(name(part));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        bail!("interop: failed: {}", failed.join(", "));
    }
    Ok(())
}

fn run_part(part: Part, schemas: &Schemas) -> anyhow::Result<()> {
    let name = name(part);
    let begin = Instant::now();
    let mut command = Command::new(env::current_exe()?);
    command.arg("interop").arg(&name).args(schemas.arguments());
    let output = command.output().with_context(|| format!("{name} cannot be started"))?;
    println!(
        "-- {name} ({} s)\n{}{}",
        begin.elapsed().as_secs(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    match output.status.success() {
        true => Ok(()),
        false => bail!("interop {name} failed: {}", output.status),
    }
}

fn name(part: Part) -> String {
    part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
