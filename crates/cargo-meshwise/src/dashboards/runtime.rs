//! The process, its runtime, and telemetry's own health.

use super::grafana::{CHOSEN, Dashboard, Panel, WINDOW};
use meshwise_core::internal::catalogue::{
    CGROUP_CPU_THROTTLED, CGROUP_MEMORY_WORKING_SET, LABEL_OVERFLOW, PROCESS_CPU, PROCESS_OPEN_FDS,
    PROCESS_RESIDENT_MEMORY, PROCESS_START_TIME, PROCESS_THREADS, TELEMETRY_DROPPED,
    TELEMETRY_EXPORTED, TOKIO_ALIVE_TASKS, TOKIO_GLOBAL_QUEUE_DEPTH, TOKIO_WORKER_BUSY,
    TOKIO_WORKERS,
};

pub(super) fn page() -> Dashboard {
    let gauge = |metric: String| format!("sum by (job, instance) ({metric}{{{CHOSEN}}})");
    let rate =
        |metric: String| format!("sum by (job, instance) (rate({metric}{{{CHOSEN}}}[{WINDOW}]))");
    let of = |panel: Panel, expression: String| panel.query("{{job}} {{instance}}", expression);
    let process = vec![
        of(
            Panel::lines("Processors in use", "Seconds of processor time used in a second."),
            rate(PROCESS_CPU.to_string()),
        ),
        of(
            Panel::lines("Memory", "Memory of the process that is in RAM.").unit("bytes"),
            gauge(PROCESS_RESIDENT_MEMORY.to_string()),
        ),
        of(
            Panel::lines("Memory of the cgroup", "What a memory limit acts on.").unit("bytes"),
            gauge(CGROUP_MEMORY_WORKING_SET.to_string()),
        ),
        of(
            Panel::lines("Throttled", "Seconds that threads waited in a second, for a CPU limit."),
            rate(CGROUP_CPU_THROTTLED.to_string()),
        ),
        of(
            Panel::lines("Open files", "Open file descriptors, sockets among them."),
            gauge(PROCESS_OPEN_FDS.to_string()),
        ),
        of(Panel::lines("Threads", "Threads of the process."), gauge(PROCESS_THREADS.to_string())),
        of(
            Panel::table("Up for", "How long ago the process was started.").unit("s"),
            format!("time() - max by (job, instance) ({PROCESS_START_TIME}{{{CHOSEN}}})"),
        ),
    ];
    let tokio = vec![
        of(
            Panel::lines("Busy workers", "Share of the workers' time that was spent working.")
                .unit("percentunit"),
            format!(
                "{} / {}",
                rate(TOKIO_WORKER_BUSY.to_string()),
                gauge(TOKIO_WORKERS.to_string())
            ),
        ),
        of(
            Panel::lines("Tasks", "Tasks that have not ended."),
            gauge(TOKIO_ALIVE_TASKS.to_string()),
        ),
        of(
            Panel::lines("Queue", "Tasks that wait in the queue of the whole runtime."),
            gauge(TOKIO_GLOBAL_QUEUE_DEPTH.to_string()),
        ),
    ];
    let telemetry = vec![
        Panel::lines("Delivered a second", "Log lines, spans and points that reached their end.")
            .query(
                "{{job}} {{signal}}",
                format!("sum by (job, signal) (rate({TELEMETRY_EXPORTED}{{{CHOSEN}}}[{WINDOW}]))"),
            ),
        Panel::lines("Lost a second", "Log lines, spans and points that were lost, by reason.")
            .query(
                "{{job}} {{signal}} {{reason}}",
                format!(
                    "sum by (job, signal, reason) (rate({TELEMETRY_DROPPED}{{{CHOSEN}}}[{WINDOW}]))"
                ),
            ),
        Panel::lines("Labels beyond their bound", "Uses of label values that became _other.")
            .query(
                "{{job}} {{metric}} {{label}}",
                format!(
                    "sum by (job, metric, label) (rate({LABEL_OVERFLOW}{{{CHOSEN}}}[{WINDOW}]))"
                ),
            ),
    ];
    Dashboard {
        name: "runtime",
        title: "meshwise / Runtime",
        description: "Processes, their tokio runtimes, and what became of their telemetry.",
        rows: vec![("Process", process), ("tokio", tokio), ("Telemetry", telemetry)],
    }
}
