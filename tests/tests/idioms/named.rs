//! Spans that code names, and that need not be current: parents of events, and what a span follows from.

use super::*;
use std::{sync::mpsc, thread};

#[tokio::test]
async fn an_event_is_of_the_span_that_it_names_as_its_parent() {
    let Installed { lines, .. } = installed();
    let own = tracing::info_span!("current");
    let other = tracing::info_span!(parent: None, "named");
    let ids = |span: &Span| span.context().span().span_context().clone();
    let (own_ids, other_ids) = (ids(&own), ids(&other));
    assert_ne!(own_ids.trace_id(), other_ids.trace_id());
    own.in_scope(|| {
        tracing::info!(parent: &other, "of the span that is named");
        tracing::info!("of the span that is current");
    });
    for (message, ids) in
        [("of the span that is named", &other_ids), ("of the span that is current", &own_ids)]
    {
        let lines = lines.lines();
        let line = lines.iter().find(|line| line.contains(message)).expect("a line");
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["trace_id"], ids.trace_id().to_string(), "{line}");
        assert_eq!(line["span_id"], ids.span_id().to_string(), "{line}");
    }
    drop((own, other));
    let named = installed().span("named").await;
    assert_eq!(event_names(&named), ["of the span that is named"]);
}

#[test]
fn a_span_that_follows_from_itself_holds_nothing_up() {
    let _installed = installed();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let span = tracing::info_span!("itself");
        span.in_scope(|| span.follows_from(Span::current()));
        drop(span);
        done.send(())
    });
    ended.recv_timeout(PATIENCE).expect("it goes on");
}
