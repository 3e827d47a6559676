use super::*;
use crate::{config::MetricsConfig, hub::Metrics};
use meshwise_core::Service;
use std::fs;

const STAT: &str = "4242 (a (b) c) S 1 4242 4242 0 -1 4194560 1234 0 5 0 250 50 7 8 20 0 12 0 \
                    100000 104857600 2560 18446744073709551615 1 1 0 0 0 0 0 4096 17642 0 0 0 17 1 \
                    0 0 0 0 0 0 0 0 0 0 0 0 0";
const STATUS: &str = "Name:\ta (b) c\nVmPeak:\t  102400 kB\nVmRSS:\t   10240 kB\nThreads:\t12\n";
const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 524288               files
";
const PROC_STAT: &str = "cpu  1 2 3 4\nintr 5 6\nctxt 7\nbtime 1700000000\nprocesses 8\n";

fn metrics() -> Metrics {
    let config = MetricsConfig::new(Service::new("test", "0")).with_process_metrics(false);
    config.build().unwrap()
}

#[test]
fn a_program_s_name_does_not_confuse_the_fields() {
    let expected = Stat {
        cpu: Duration::from_secs(3),
        threads: 12,
        started: Duration::from_secs(1000),
        virtual_memory: 104_857_600,
    };
    assert_eq!(Stat::parse(STAT), Some(expected));
}

#[test]
fn processor_time_and_start_time_never_stand_still() {
    const DAY: u64 = 24 * 60 * 60;
    // 64 busy cores for ten years, in a process started 600 days after the machine: in ticks of
    // 10 ms both fill more than 32 bits.
    for days in [7, 8, 600, 3650] {
        let cpu = days * DAY * 64;
        let stat = STAT
            .replace(" 250 50 ", &format!(" {} {} ", cpu * 100 - 7, 7))
            .replace(" 100000 ", &format!(" {} ", 600 * DAY * 100));
        let stat = Stat::parse(&stat).unwrap();
        assert_eq!(stat.cpu, Duration::from_secs(cpu));
        assert_eq!(stat.started, Duration::from_secs(600 * DAY));
        // On the page too, for 1024 cores.
        let metrics = metrics();
        Sink(&**metrics.backend()).seconds(names::PROCESS_CPU, vec![], stat.cpu * 16);
        let line = format!("process_cpu_seconds_total {}\n", cpu * 16);
        assert!(metrics.render_text().contains(&line), "{line}");
    }
    let huge = STAT.replace(" 250 ", " 18446744073709551615 ");
    assert!(Stat::parse(&huge).unwrap().cpu > Duration::from_secs(1 << 53));
}

#[test]
fn a_moment_beyond_all_time_is_left_out() {
    let proc = tempfile::tempdir().unwrap();
    fs::create_dir_all(proc.path().join("self")).unwrap();
    fs::write(proc.path().join("self/stat"), STAT).unwrap();
    fs::write(proc.path().join("stat"), "btime 18446744073709551615\n").unwrap();
    let metrics = metrics();
    Process::new(proc.path()).collect(&Sink(&**metrics.backend()));
    let text = metrics.render_text();
    assert!(text.contains("process_threads 12\n") && !text.contains("process_start"), "{text}");
}

#[test]
fn texts_that_are_cut_or_odd_give_nothing() {
    for end in 0..STAT.find(" 2560").unwrap() - 9 {
        assert_eq!(Stat::parse(&STAT[..end]), None, "{}", &STAT[..end]);
    }
    for text in ["", "VmRSS:", "VmRSS: x kB", "VmRSS: 1 MB", "VmRSS: 18446744073709551615 kB"] {
        assert_eq!(resident_memory(text), None);
    }
    for text in ["", "Max open files", "Max open files  unlimited unlimited files"] {
        assert_eq!(max_open_files(text), None);
    }
    assert_eq!(boot_time("btime x"), None);
}

#[test]
fn a_whole_proc_is_shown() {
    let proc = tempfile::tempdir().unwrap();
    let own = proc.path().join("self");
    fs::create_dir_all(own.join("fd")).unwrap();
    for (name, text) in [("stat", STAT), ("status", STATUS), ("limits", LIMITS)] {
        fs::write(own.join(name), text).unwrap();
    }
    fs::write(proc.path().join("stat"), PROC_STAT).unwrap();
    let metrics = metrics();
    Process::new(proc.path()).collect(&Sink(&**metrics.backend()));
    let text = metrics.render_text();
    for line in [
        "process_cpu_seconds_total 3\n",
        "process_threads 12\n",
        "process_virtual_memory_bytes 104857600\n",
        "process_start_time_seconds 1700001000\n",
        "process_resident_memory_bytes 10485760\n",
        "process_max_fds 1024\n",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn without_proc_nothing_is_shown() {
    let metrics = metrics();
    let empty = tempfile::tempdir().unwrap();
    Process::new(empty.path()).collect(&Sink(&**metrics.backend()));
    assert!(!metrics.render_text().contains("process_"));
}

#[cfg(target_os = "linux")]
#[test]
fn this_process_has_plausible_numbers() {
    let metrics = MetricsConfig::new(Service::new("test", "0")).build().unwrap();
    let value = |name: &str| -> f64 {
        let text = metrics.render_text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = now.as_secs_f64() - value("process_start_time_seconds");
    assert!((-5.0..3600.0).contains(&age), "started {age} s ago");
    assert!(value("process_resident_memory_bytes") > 500_000.0);
    assert!(value("process_threads") >= 1.0);
    let before = value("process_open_fds");
    let files: Vec<_> = (0..20).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
    // Other tests open and close files meanwhile.
    assert!(value("process_open_fds") >= before + 10.0);
    drop(files);
}
