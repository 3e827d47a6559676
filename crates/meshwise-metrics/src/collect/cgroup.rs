//! The control group that this process is in: how much processor and memory it may use, and what
//! came of it. Both versions of the interface are read (cgroups(7)).
//!
//! The names begin with `cgroup_`, not `container_`: the kubelet's cAdvisor shows the same numbers
//! under that name, and a sum over both would count everything twice.

mod find;
mod read;
mod usage;

pub(crate) use find::Cgroup;

use super::{Sink, whole};
use crate::names;

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
