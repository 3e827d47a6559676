use super::{
    usage::{Throttling, Usage},
    *,
};
use crate::{collect::Sink, config::MetricsConfig};
use meshwise_core::Service;
use std::{fs, path::Path, time::Duration};

/// Writes a `/proc/self` and a cgroup file system, and reads them.
fn usage(cgroup: &str, mounts: &str, files: &[(&str, &str)]) -> Usage {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("self");
    fs::create_dir(&own).unwrap();
    let mounts = mounts.replace("ROOT", root.path().to_str().unwrap());
    fs::write(own.join("cgroup"), cgroup).unwrap();
    fs::write(own.join("mountinfo"), mounts).unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Cgroup::find(&own).usage()
}

const V2: &str = "1 2 0:30 / ROOT/cg rw - cgroup2 cgroup rw\n";

#[test]
fn version_2_shows_all_and_the_lowest_limit_on_the_way_up() {
    let found = usage(
        "0::/pod/app\n",
        V2,
        &[
            (
                "cg/pod/app/cpu.stat",
                "usage_usec 9\nnr_periods 100\nnr_throttled 7\nthrottled_usec 2500000\n",
            ),
            ("cg/pod/app/cpu.max", "200000 100000\n"),
            ("cg/pod/cpu.max", "150000 100000\n"),
            ("cg/cpu.max", "400000 100000\n"),
            ("cg/pod/app/memory.current", "1000000\n"),
            ("cg/pod/app/memory.max", "max\n"),
            ("cg/pod/memory.max", "5000000\n"),
            ("cg/memory.max", "3000000\n"),
            ("cg/pod/app/memory.stat", "anon 5\ninactive_file 400000\nactive_file 3\n"),
            ("cg/pod/app/memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\n"),
        ],
    );
    let time = Duration::from_millis(2500);
    assert_eq!(
        found,
        Usage {
            cpu: Some(Throttling { periods: 100, throttled: 7, time }),
            cpu_limit: Some(1.5),
            memory: Some(1_000_000),
            working_set: Some(600_000),
            memory_limit: Some(3_000_000),
            ooms: Some(3),
            oom_kills: Some(4),
        }
    );
}

#[test]
fn version_1_counts_in_other_units() {
    let mounts = "1 2 0:1 / ROOT/cpu rw - cgroup c rw,cpu,cpuacct\n\
                  2 2 0:2 / ROOT/memory rw - cgroup c rw,memory\n";
    let found = usage(
        "2:memory:/app\n1:cpu,cpuacct:/app\n",
        mounts,
        &[
            ("cpu/app/cpu.stat", "nr_periods 5\nnr_throttled 1\nthrottled_time 1000\n"),
            ("cpu/app/cpu.cfs_quota_us", "50000\n"),
            ("cpu/app/cpu.cfs_period_us", "100000\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("memory/app/memory.usage_in_bytes", "100\n"),
            ("memory/app/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/app/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n"),
            ("memory/app/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        ],
    );
    let time = Duration::from_micros(1);
    assert_eq!(
        found,
        Usage {
            cpu: Some(Throttling { periods: 5, throttled: 1, time }),
            cpu_limit: Some(0.5),
            memory: Some(100),
            working_set: Some(0),
            memory_limit: None,
            ooms: None,
            oom_kills: Some(2),
        }
    );
}

#[test]
fn what_is_missing_or_odd_is_left_out() {
    assert_eq!(usage("0::/", V2, &[]), Usage::default());
    assert_eq!(usage("", "", &[]), Usage::default());
    let odd = [
        ("cg/cpu.stat", "usage_usec 9\n"),
        ("cg/cpu.max", "1 0"),
        ("cg/memory.current", "-1"),
        ("cg/memory.max", ""),
        ("cg/memory.stat", "inactive_file\n"),
        ("cg/memory.events", "oom x\n\n \n"),
    ];
    assert_eq!(usage("0::/", V2, &odd), Usage::default());
}

#[test]
fn everything_has_a_metric() {
    let metrics =
        MetricsConfig::new(Service::new("test", "0")).with_process_metrics(false).build().unwrap();
    let root = tempfile::tempdir().unwrap();
    let group = root.path().to_str().unwrap();
    for (name, text) in [
        ("cgroup", "0::/\n"),
        ("mountinfo", &format!("1 2 0:30 / {group} rw - cgroup2 cgroup rw\n")),
        ("cpu.stat", "nr_periods 10\nnr_throttled 7\nthrottled_usec 2500000\n"),
        ("cpu.max", "50000 100000"),
        ("memory.current", "1000"),
        ("memory.max", "3000"),
        ("memory.stat", "inactive_file 400"),
        ("memory.events", "oom 3\noom_kill 4"),
    ] {
        fs::write(root.path().join(name), text).unwrap();
    }
    collect(&Cgroup::find(root.path()), &Sink(&**metrics.backend()));
    let text = metrics.render_text();
    for line in [
        "cgroup_cpu_periods_total 10\n",
        "cgroup_cpu_throttled_periods_total 7\n",
        "cgroup_cpu_throttled_seconds_total 2.5\n",
        "cgroup_cpu_limit_cores 0.5\n",
        "cgroup_memory_usage_bytes 1000\n",
        "cgroup_memory_working_set_bytes 600\n",
        "cgroup_memory_limit_bytes 3000\n",
        "cgroup_memory_oom_events_total 3\n",
        "cgroup_memory_oom_kills_total 4\n",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn this_machine_s_groups_are_read_without_harm() {
    let _ = Cgroup::find(Path::new("/proc/self")).usage();
}
