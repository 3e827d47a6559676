//! This process, as Linux shows it in `/proc` (proc(5)). Elsewhere there is nothing to read, and
//! these metrics are left out.
//!
//! Names and meaning are those of the Prometheus client libraries' process collectors.

use super::{Sink, read, whole};
use crate::names;
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

/// Length of the tick that `/proc/<pid>/stat` counts in, in milliseconds. `USER_HZ` is part of
/// Linux's interface to programs and is 100 on every architecture that Rust has a Linux target for.
const TICK: u64 = 10;

/// Reads a `proc` file system.
#[derive(Debug)]
pub(crate) struct Process {
    proc: PathBuf,
    /// When the machine was started, since 1970. It is the one thing that `/proc/stat`, a long
    /// file, is read for.
    boot: OnceLock<Option<Duration>>,
}

impl Process {
    pub(crate) fn new(proc: impl Into<PathBuf>) -> Self {
        Self { proc: proc.into(), boot: OnceLock::new() }
    }

    pub(crate) fn collect(&self, sink: &Sink<'_>) {
        let own = self.proc.join("self");
        if let Some(stat) = read(&own.join("stat")).as_deref().and_then(Stat::parse) {
            sink.seconds(names::PROCESS_CPU, vec![], stat.cpu);
            sink.gauge(names::PROCESS_THREADS, vec![], whole(stat.threads));
            sink.gauge(names::PROCESS_VIRTUAL_MEMORY, vec![], whole(stat.virtual_memory));
            if let Some(started) = self.boot().and_then(|boot| boot.checked_add(stat.started)) {
                sink.gauge(names::PROCESS_START_TIME, vec![], started.as_secs_f64());
            }
        }
        if let Some(resident) = read(&own.join("status")).as_deref().and_then(resident_memory) {
            sink.gauge(names::PROCESS_RESIDENT_MEMORY, vec![], whole(resident));
        }
        if let Some(max) = read(&own.join("limits")).as_deref().and_then(max_open_files) {
            sink.gauge(names::PROCESS_MAX_FDS, vec![], whole(max));
        }
        if let Some(open) = open_files(&own.join("fd")) {
            sink.gauge(names::PROCESS_OPEN_FDS, vec![], whole(open));
        }
    }

    fn boot(&self) -> Option<Duration> {
        *self.boot.get_or_init(|| boot_time(&read(&self.proc.join("stat"))?))
    }
}

/// Holds what is used of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Time on a processor, in user and in kernel mode.
    cpu: Duration,
    threads: u64,
    /// When it was started, since boot.
    started: Duration,
    /// Bytes.
    virtual_memory: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // proc(5) counts fields from 1; the first one here is number 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        // Ticks of 64 cores fill 32 bits in a week; 64 bits last.
        let ticks = |n: u64| Duration::from_millis(n.saturating_mul(TICK));
        Some(Self {
            cpu: ticks(field(14)?.saturating_add(field(15)?)),
            threads: field(20)?,
            started: ticks(field(22)?),
            virtual_memory: field(23)?,
        })
    }
}

/// Reads `VmRSS` of `/proc/<pid>/status`, in bytes.
fn resident_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Reads the soft limit of open files in `/proc/<pid>/limits`; `None` if there is none.
fn max_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Reads `btime` of `/proc/stat`, since 1970.
fn boot_time(stat: &str) -> Option<Duration> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok().map(Duration::from_secs)
}

/// Counts open files.
fn open_files(fd: &Path) -> Option<u64> {
    // Since Linux 6.2 the folder's size is their number: no need to list thousands.
    match fd.metadata().ok()?.len() {
        // Listing a folder opens it.
        0 => u64::try_from(fd.read_dir().ok()?.count()).ok()?.checked_sub(1),
        count => Some(count),
    }
}

#[cfg(test)]
mod tests;
