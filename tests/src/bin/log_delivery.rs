//! Logs numbered lines to the outputs that the environment names, for those who judge what arrives:
//! `cargo xtask interop delivery`.
//!
//! `log_delivery FROM COUNT`; says `written N` each time that all lines before `N` are written or
//! spooled, and in the end, for each output, what became of its lines.

use std::{
    error::Error,
    io::{self, Write as _},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(from), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("log_delivery FROM COUNT".into());
    };
    let (from, count) = (from?, count?);
    let runtime = tokio::runtime::Runtime::new()?;
    let mesh = runtime.block_on(async { meshwise::builder("orders", "1.2.3").install() })?;
    let logs = mesh.logs().clone();
    for n in from..from + count {
        tracing::info!(n, "order placed");
        if n % 100 == 99 {
            if !logs.flush(PATIENCE) {
                return Err("not written in time".into());
            }
            say(&format!("written {}", n + 1))?;
        }
    }
    if std::env::var_os("CLASH").is_some() {
        // No cluster takes both of them.
        tracing::info!(clash = 7, "a leaf");
        tracing::info!(clash.inner = 7, "an object");
    }
    let _ = runtime.block_on(mesh.shutdown());
    for output in logs.outputs() {
        say(&format!(
            "{}: {} delivered, {} lost, {} spooled, {} recovered",
            output.name,
            output.lines.delivered,
            output.lines.total_dropped(),
            output.spooled,
            output.recovered
        ))?;
    }
    Ok(())
}

/// Tells the judge, whose pipe must have it before this process is killed.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
