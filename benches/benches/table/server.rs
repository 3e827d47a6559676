//! What observing an incoming call adds to a bare axum service.

use crate::stacks::{self, Ours, Stack, call};
use benches::{Bench, Contestant};

const LOGGING: &str = "/orders/7";
const QUIET: &str = "/quiet/7";

fn contestant(stack: Stack, path: &'static str) -> Contestant {
    let Stack { app, dispatch, settle } = stack;
    let app = stacks::served(app);
    let contestant = Contestant::new(move || call(&app, path)).with_settle(settle);
    match dispatch {
        Some(dispatch) => contestant.with_dispatch(dispatch),
        None => contestant,
    }
}

pub(crate) fn run(bench: &mut Bench) {
    for (sampled, word) in [(true, "sampled"), (false, "unsampled")] {
        let traced = move |span| Ours {
            sampled: Some(sampled),
            metrics: true,
            logs: true,
            access: false,
            span,
        };
        bench.contest(&format!("server, {word}, one log line"), |contest| {
            contest.bare("bare axum", || contestant(stacks::bare(), LOGGING));
            contest.ours("meshwise", move || contestant(stacks::ours(traced(true)), LOGGING));
            contest.ours("meshwise, no tracing spans", move || {
                contestant(stacks::ours(traced(false)), LOGGING)
            });
            contest.peer("axum-tracing-opentelemetry, axum-prometheus, JSON fmt", move || {
                contestant(stacks::usual(sampled, true), LOGGING)
            });
            contest.peer("opentelemetry-instrumentation-tower, JSON fmt", move || {
                contestant(stacks::instrumentation_tower(Some(sampled), true), LOGGING)
            });
        });
        bench.contest(&format!("server, {word}, no log line"), |contest| {
            contest.bare("bare axum", || contestant(stacks::bare(), QUIET));
            contest.ours("meshwise", move || contestant(stacks::ours(traced(true)), QUIET));
            contest.ours("meshwise, no tracing spans", move || {
                contestant(stacks::ours(traced(false)), QUIET)
            });
            contest.peer("axum-tracing-opentelemetry, axum-prometheus", move || {
                contestant(stacks::usual(sampled, false), QUIET)
            });
            contest.peer("opentelemetry-instrumentation-tower", move || {
                contestant(stacks::instrumentation_tower(Some(sampled), false), QUIET)
            });
        });
    }
    bench.contest("server, metrics only", |contest| {
        contest.bare("bare axum", || contestant(stacks::bare(), QUIET));
        contest.ours("meshwise", || {
            let what =
                Ours { sampled: None, metrics: true, logs: false, access: false, span: false };
            contestant(stacks::ours(what), QUIET)
        });
        contest.peer("axum-prometheus", || contestant(stacks::prometheus(), QUIET));
        contest.peer("opentelemetry-instrumentation-tower", || {
            contestant(stacks::instrumentation_tower(None, false), QUIET)
        });
    });
    bench.contest("server, map, register and capacity", |contest| {
        let what = Ours { sampled: None, metrics: true, logs: false, access: false, span: false };
        contest.bare("meshwise without them", move || {
            contestant(stacks::ours_without_overview(what), QUIET)
        });
        contest.ours("meshwise", move || contestant(stacks::ours(what), QUIET));
    });
    bench.contest("server, access log only", |contest| {
        contest.bare("bare axum", || contestant(stacks::bare(), QUIET));
        contest.ours("meshwise", || {
            let what =
                Ours { sampled: None, metrics: false, logs: true, access: true, span: false };
            contestant(stacks::ours(what), QUIET)
        });
        contest
            .peer("tower-http TraceLayer, JSON fmt", || contestant(stacks::trace_layer(), QUIET));
    });
}
