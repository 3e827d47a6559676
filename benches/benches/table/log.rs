//! One log line, outside of any call.

use benches::{Bench, Contestant};
use meshwise::{
    core::Service,
    log::{LogConfig, LogFormat, LogOutput},
};
use std::{io, time::Duration};
use tracing::Dispatch;
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt};

pub(crate) fn line() {
    tracing::info!(id = 7, user = "gold-4711", elapsed_ms = 12.5, "order placed");
}

/// Our layer and its writer's thread.
pub(crate) fn ours() -> (Dispatch, Box<dyn Fn() + Send + Sync>) {
    let (layer, logs) = LogConfig::new(Service::new("bench", "0.0.0"))
        .with_format(LogFormat::Json)
        .with_output(LogOutput::writer(io::sink()))
        .build()
        .expect("a layer");
    let settle = move || assert!(logs.flush(Duration::from_secs(20)), "lines are stuck");
    (Dispatch::new(Registry::default().with(layer)), Box::new(settle))
}

/// tracing-subscriber's JSON lines, each written at once to where writing costs nothing.
pub(crate) fn fmt() -> Dispatch {
    let layer = tracing_subscriber::fmt::layer().json().with_writer(io::sink);
    Dispatch::new(Registry::default().with(EnvFilter::new("info")).with(layer))
}

pub(crate) fn run(bench: &mut Bench) {
    bench.contest("one JSON log line", |contest| {
        contest.ours("meshwise", || {
            let (dispatch, settle) = ours();
            Contestant::new(line).with_dispatch(dispatch).with_settle(settle)
        });
        contest.peer("tracing-subscriber JSON", || Contestant::new(line).with_dispatch(fmt()));
        contest.peer("tracing-subscriber JSON, tracing-appender", || {
            let (writer, guard) = tracing_appender::non_blocking(io::sink());
            let layer = tracing_subscriber::fmt::layer().json().with_writer(writer);
            let subscriber = Registry::default().with(EnvFilter::new("info")).with(layer);
            Contestant::new(move || {
                let _guard = &guard;
                line();
            })
            .with_dispatch(Dispatch::new(subscriber))
        });
    });
    bench.contest("one log line that the filter refuses", |contest| {
        let refused = || tracing::debug!(id = 7, "nobody reads this");
        contest.ours("meshwise", move || Contestant::new(refused).with_dispatch(ours().0));
        contest
            .peer("tracing-subscriber JSON", move || Contestant::new(refused).with_dispatch(fmt()));
    });
}
