//! The control group that this process is in: how much processor and memory it may use, and what
//! came of it. Both versions of the interface are read (cgroups(7)).
//!
//! The names begin with `cgroup_`, not `container_`: the kubelet's cAdvisor shows the same numbers
//! under that name, and a sum over both would count everything twice.

mod find;
mod read;

pub(crate) use find::Cgroup;

use super::{Sink, whole};
use crate::names;
use std::time::Duration;

/// What a control group shows; `None` for what its kernel or version does not.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Usage {
    cpu: Option<Throttling>,
    /// How many processors' time it may take.
    cpu_limit: Option<f64>,
    memory: Option<u64>,
    working_set: Option<u64>,
    memory_limit: Option<u64>,
    /// Times that memory ran out.
    ooms: Option<u64>,
    /// Processes killed for that.
    oom_kills: Option<u64>,
}

/// How often the scheduler stopped the group because the limit was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Throttling {
    periods: u64,
    throttled: u64,
    time: Duration,
}

/// Shows it, and returns how many processors' time it may take.
pub(crate) fn collect(cgroup: &Cgroup, sink: &Sink<'_>) -> Option<f64> {
    let usage = cgroup.usage();
    if let Some(cpu) = usage.cpu {
        sink.counter(names::CGROUP_CPU_PERIODS, vec![], cpu.periods);
        sink.counter(names::CGROUP_CPU_THROTTLED_PERIODS, vec![], cpu.throttled);
        sink.seconds(names::CGROUP_CPU_THROTTLED, vec![], cpu.time);
    }
    if let Some(limit) = usage.cpu_limit {
        sink.gauge(names::CGROUP_CPU_LIMIT, vec![], limit);
    }
    for (name, bytes) in [
        (names::CGROUP_MEMORY_USAGE, usage.memory),
        (names::CGROUP_MEMORY_WORKING_SET, usage.working_set),
        (names::CGROUP_MEMORY_LIMIT, usage.memory_limit),
    ] {
        if let Some(bytes) = bytes {
            sink.gauge(name, vec![], whole(bytes));
        }
    }
    for (name, count) in
        [(names::CGROUP_OOM_EVENTS, usage.ooms), (names::CGROUP_OOM_KILLS, usage.oom_kills)]
    {
        if let Some(count) = count {
            sink.counter(name, vec![], count);
        }
    }
    usage.cpu_limit
}

#[cfg(test)]
mod tests;
