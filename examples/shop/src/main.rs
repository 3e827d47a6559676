//! Five services that call each other, and what meshwise shows of it.
//!
//! `cargo run -p shop` starts them on free loopback ports, and a console that shows them, drives requests
//! through them, tells what was seen, and goes on serving under a light load until Ctrl-C. `--once` ends
//! after the report; the exit code is 0 only if one request's trace has every hop and all its ids agree.

#[macro_use]
mod say;

mod args;
mod capacity;
mod console;
mod load;
mod outage;
#[cfg(test)]
mod proof;
mod queue;
mod report;
mod services;
mod site;

use anyhow::Context as _;
use args::{Args, Breakable};
use clap::Parser;
use queue::Queue;
use site::Site;
use std::{io::IsTerminal as _, process::ExitCode, time::Duration};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if args.capacity {
        capacity::run().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let console = console::Beside::start(!args.no_console).await?;
    let queue = Queue::open(args.queue.as_deref()).await.context("could not open the queue")?;
    let site = Site::start(!args.no_guards, queue, args.log_file.as_deref(), console.otlp())
        .await
        .context("could not start the shop")?;
    report::urls(&site);
    if let Some(Breakable::Stock) = args.broken {
        let summary = outage::run(&site).await?;
        let verdict = report::outage(&summary, !args.no_guards);
        // Who looks at the page looks on; a script waits for the end.
        if !args.once && !args.no_console && std::io::stdout().is_terminal() {
            serve_on(&site, args.rate).await;
        }
        site.shutdown().await;
        return Ok(verdict);
    }

    let before = site.metrics();
    let calls = load::tour(&site).await?;
    report::calls(&calls);
    load::tea(&site, args.requests).await?;
    let verdict = report::story(&site, &calls, &before);
    if !args.once {
        serve_on(&site, args.rate).await;
    }
    let memories: Vec<_> = site.services.iter().map(|service| service.spans.clone()).collect();
    for (name, report) in site.shutdown().await {
        say!("{name:8} {report}");
    }
    if let Some(file) = args.span_ids {
        let spans = memories.iter().flat_map(meshwise::trace::MemorySpans::spans);
        let ids: Vec<_> = spans.map(|span| span.span_context.span_id().to_string()).collect();
        std::fs::write(&file, ids.join("\n")).with_context(|| format!("{}", file.display()))?;
    }
    match verdict {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) => {
            eprintln!("shop: {why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Keeps the shop busy until it is told to end.
async fn serve_on(site: &Site, rate: u32) {
    say!("\nServing on, {rate} requests a second; Ctrl-C ends it.");
    let pause = Duration::from_secs(1) / rate.clamp(1, 1000);
    tokio::select! {
        () = load::steady(site, pause) => {}
        () = site.shutdown_signal() => say!("\nStopping."),
    }
}
