//! A mesh that keeps everything in memory.

use crate::{lines::Lines, metric::Metric, spans::Spans};
use meshwise::{
    Mesh, MeshBuilder,
    core::Env,
    log::{LogFormat, LogLines, LogOutput},
    metrics::SharedRecorder,
    opentelemetry,
    trace::{MemorySpans, SpanExport},
};
use std::ops::Deref;

/// All that a service says; not what the HTTP stack below it mutters.
const FILTER: &str = "trace,h2=off,hyper=off,hyper_util=off,mio=off,reqwest=off,tower=off";

/// A mesh that keeps everything in memory, and is not installed process-wide.
///
/// Dereferences to [`Mesh`]: layers, clients and routers are made as from a real one. It ignores
/// the process's environment, logs at `trace` (without the HTTP stack's own lines and spans), samples
/// every trace unless told otherwise, and its ops routes have a free port (`mesh.ops_addr()`).
#[derive(Debug)]
pub struct TestMesh {
    mesh: Mesh,
    recorder: SharedRecorder,
    spans: MemorySpans,
    lines: LogLines,
}

impl TestMesh {
    /// Makes the mesh of a service of this name, version `0.0.0`.
    ///
    /// # Panics
    /// If the mesh cannot be made.
    #[must_use]
    #[track_caller]
    pub fn new(name: &str) -> Self {
        Self::with(name, |builder| builder)
    }

    /// Makes a mesh with other settings; a variable of the environment is set by
    /// `builder.with_env(..)`.
    ///
    /// # Panics
    /// If the settings are bad.
    #[must_use]
    #[track_caller]
    pub fn with(name: &str, change: impl FnOnce(MeshBuilder) -> MeshBuilder) -> Self {
        let (spans, lines) = (MemorySpans::new(), LogLines::new());
        let builder = meshwise::builder(name, "0.0.0")
            .with_env(Env::from_pairs([("MESHWISE_OPS_ADDR", "127.0.0.1:0")]))
            .with_span_filter(FILTER)
            .logs({
                let lines = lines.clone();
                move |logs| {
                    logs.with_output(LogOutput::memory(&lines))
                        .with_format(LogFormat::Json)
                        .with_filter(FILTER)
                }
            })
            .traces({
                let spans = spans.clone();
                move |traces| traces.with_exporter(SpanExport::memory(&spans))
            });
        let mesh = match change(builder).build() {
            Ok(mesh) => mesh,
            Err(error) => panic!("the test mesh cannot be made: {error}"),
        };
        Self { recorder: mesh.metrics().recorder(), mesh, spans, lines }
    }

    /// Makes this thread's log events, `tracing` spans and `metrics` macros go to this mesh until
    /// the guard is dropped, for code that no layer of the mesh surrounds.
    ///
    /// Tasks spawned on a single-threaded runtime (`#[tokio::test]`'s default) run under it too.
    #[must_use = "the guard's drop ends it"]
    pub fn enter(&self) -> Entered<'_> {
        Entered {
            _cx: opentelemetry::Context::new().attach(),
            _recorder: metrics::set_default_local_recorder(&self.recorder),
            _dispatch: tracing::dispatcher::set_default(self.mesh.dispatch()),
        }
    }

    /// Returns all spans that have ended.
    pub fn spans(&self) -> Spans {
        Spans::new(self.spans.spans())
    }

    /// Returns all log lines.
    pub fn lines(&self) -> Lines {
        Lines::new(&self.lines.lines())
    }

    /// Starts a question about a metric, by its name on `/metrics`.
    pub fn metric(&self, name: &str) -> Metric {
        Metric::new(name, self.mesh.metrics().render_text())
    }

    /// Returns all metrics, as `/metrics` shows them.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.mesh.metrics().render_text()
    }
}

impl Deref for TestMesh {
    type Target = Mesh;

    fn deref(&self) -> &Mesh {
        &self.mesh
    }
}

/// Makes a thread's telemetry go to a [`TestMesh`] until it is dropped.
pub struct Entered<'a> {
    _cx: opentelemetry::ContextGuard,
    _recorder: metrics::LocalRecorderGuard<'a>,
    _dispatch: tracing::dispatcher::DefaultGuard,
}

impl std::fmt::Debug for Entered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entered(..)")
    }
}
