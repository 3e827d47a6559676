//! Reading the files of a control group.

use super::{
    find::{Folder, Version},
    usage::{Throttling, Usage},
};
use crate::collect;
use std::{path::Path, time::Duration};

/// From here on a limit of version 1 means that there is none: it is the largest number of pages.
const NO_LIMIT: u64 = 1 << 60;

pub(super) fn cpu(folder: &Folder, usage: &mut Usage) {
    let version = folder.version;
    usage.cpu = read(&folder.path, "cpu.stat").and_then(|text| throttling(version, &text));
    usage.cpu_limit = match version {
        Version::V2 => least(folder, |path| read(path, "cpu.max").and_then(|text| cpu_max(&text))),
        Version::V1 => least(folder, |path| {
            let quota = number::<i64>(&read(path, "cpu.cfs_quota_us")?)?;
            ratio(u64::try_from(quota).ok()?, number(&read(path, "cpu.cfs_period_us")?)?)
        }),
    };
}

pub(super) fn memory(folder: &Folder, usage: &mut Usage) {
    let text = |name| read(&folder.path, name);
    let stat = text("memory.stat").unwrap_or_default();
    let (current, inactive) = match folder.version {
        Version::V2 => {
            let limit = |path: &Path| number(&read(path, "memory.max")?);
            usage.memory_limit = least(folder, limit);
            let events = text("memory.events").unwrap_or_default();
            usage.ooms = field(&events, "oom");
            usage.oom_kills = field(&events, "oom_kill");
            ("memory.current", "inactive_file")
        }
        Version::V1 => {
            let limit = |path: &Path| number(&read(path, "memory.limit_in_bytes")?);
            usage.memory_limit = least(folder, limit).filter(|limit| *limit < NO_LIMIT);
            let control = text("memory.oom_control").unwrap_or_default();
            usage.oom_kills = field(&control, "oom_kill");
            ("memory.usage_in_bytes", "total_inactive_file")
        }
    };
    usage.memory = text(current).and_then(|text| number(&text));
    // As cAdvisor and the kubelet count it: without file pages that can go at once.
    let cache = field(&stat, inactive);
    usage.working_set = usage.memory.zip(cache).map(|(all, cache)| all.saturating_sub(cache));
}

fn throttling(version: Version, stat: &str) -> Option<Throttling> {
    let time = match version {
        Version::V2 => Duration::from_micros(field(stat, "throttled_usec")?),
        Version::V1 => Duration::from_nanos(field(stat, "throttled_time")?),
    };
    Some(Throttling {
        periods: field(stat, "nr_periods")?,
        throttled: field(stat, "nr_throttled")?,
        time,
    })
}

/// Reads `quota period`, where the quota may be `max`.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota.parse().ok()?, period.parse().ok()?)
}

fn ratio(quota: u64, period: u64) -> Option<f64> {
    (period > 0).then(|| collect::whole(quota) / collect::whole(period))
}

/// Finds the lowest limit of a group and those above it: each of them holds.
fn least<T: PartialOrd>(folder: &Folder, limit: impl Fn(&Path) -> Option<T>) -> Option<T> {
    let groups = folder.path.ancestors().take_while(|path| path.starts_with(&folder.top));
    groups.filter_map(limit).reduce(|least, next| if next < least { next } else { least })
}

/// Reads the number behind a name, one pair a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        if found == name { value.trim().parse().ok() } else { None }
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

fn read(folder: &Path, name: &str) -> Option<String> {
    collect::read(&folder.join(name))
}
