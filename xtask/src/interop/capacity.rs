//! What calls cost, and the headroom, against what a load tool then finds.

use super::{
    kits,
    process::{Server, get},
    shop,
};
use anyhow::{Context as _, bail, ensure};
use std::{
    net::SocketAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How long the light load lasts: longer than the headroom looks back.
const LIGHT: Duration = Duration::from_secs(12);
/// The pause between two calls of it.
const PAUSE: Duration = Duration::from_millis(40);
/// How long the load tool tries all it can.
const FULL: u32 = 8;
/// How far the headroom may be off.
const TOLERANCE: f64 = 0.25;
/// How often it is tried: what else runs on the machine takes from one of the two loads.
const TRIES: u32 = 3;

pub(crate) fn run() -> anyhow::Result<()> {
    kits::debian("wrk", "wrk")?;
    let server = Server::start(shop::command().arg("--capacity"))?;
    let lines = server.lines_until(|line| line.contains("kitchen"))?;
    let mut addresses = lines.iter().flat_map(|line| line.split("http://").skip(1));
    let mut address = || -> anyhow::Result<SocketAddr> {
        Ok(addresses.next().context("an address is missing")?.trim().parse()?)
    };
    let (service, ops) = (address()?, address()?);

    for _ in 0..50 {
        ensure!(get(service, "/wait")?.0 == 200);
    }
    for _ in 0..TRIES {
        if compared(service, ops)?.abs() <= TOLERANCE {
            return Ok(());
        }
        // The headroom looks back: not at the load of the last try.
        thread::sleep(LIGHT);
    }
    bail!("the headroom is off, {TRIES} times")
}

/// Puts a light load on the service, and then all that it can take; returns how far the headroom under
/// the first was off, as a share of what the second found.
fn compared(service: SocketAddr, ops: SocketAddr) -> anyhow::Result<f64> {
    let begun = seen(ops, "/compute")?;
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < LIGHT {
        ensure!(get(service, "/compute")?.0 == 200);
        calls += 1;
        thread::sleep(PAUSE);
    }
    let rate = f64::from(calls) / start.elapsed().as_secs_f64();
    let light = seen(ops, "/compute")?;
    let waiting = seen(ops, "/wait")?;
    let (cost, wait) = ((light.cpu - begun.cpu) / f64::from(calls), waiting.cpu / 50.0);
    println!(
        "capacity: /compute takes {:.1} ms of the processor a call, /wait {:.2} ms; busy {:.2} ms",
        cost * 1e3,
        wait * 1e3,
        waiting.busy / 50.0 * 1e3,
    );
    ensure!((0.009..0.02).contains(&cost), "10 ms are {cost} s");
    ensure!(wait < 0.002, "a call that waits takes {wait} s of the processor");
    let promised = rate / (1.0 - light.headroom);

    let full = Command::new("wrk")
        .args(["-t1", "-c8", &format!("-d{FULL}s")])
        .arg(format!("http://{service}/compute"))
        .output()?;
    let said = String::from_utf8_lossy(&full.stdout).into_owned();
    let found = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let found: f64 = found.with_context(|| said.clone())?.trim().parse()?;
    let end = seen(ops, "/compute")?;
    println!(
        "capacity: at {rate:.1} calls/s the headroom is {:.2}: {promised:.0} calls/s; wrk finds \
         {found:.0} ({:+.0} %)",
        light.headroom,
        (promised / found - 1.0) * 100.0
    );
    let (routes, process) = (end.cpu - light.cpu, end.process - light.process);
    println!("capacity: under wrk routes had {routes:.2} s of the process's {process:.2} s");
    ensure!((routes / process - 1.0).abs() <= 0.1, "routes' time is not the process's");
    ensure!(end.headroom < light.headroom, "nothing of the load is seen");
    Ok(promised / found - 1.0)
}

/// What `/metrics` says of a route and of the process, in seconds.
struct Seen {
    cpu: f64,
    busy: f64,
    process: f64,
    headroom: f64,
}

fn seen(ops: SocketAddr, route: &str) -> anyhow::Result<Seen> {
    let (_, text) = get(ops, "/metrics")?;
    let value = |series: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok())
    };
    let of = |what: &str| {
        value(&format!("meshwise_route_{what}_seconds_total{{route=\"{route}\"}}")).unwrap_or(0.0)
    };
    Ok(Seen {
        cpu: of("cpu"),
        busy: of("busy"),
        process: value("process_cpu_seconds_total ").context("no processor time")?,
        headroom: value("meshwise_capacity_headroom_ratio ").unwrap_or(1.0),
    })
}
