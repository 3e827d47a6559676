//! A call's `tracing` span is there once it is asked for, in whatever order, and wherever.

use super::*;
use meshwise::opentelemetry::trace::get_active_span;

/// The name and the id of the current span.
fn current() -> (Option<&'static str>, Option<tracing::Id>) {
    let span = Span::current();
    (span.metadata().map(tracing::Metadata::name), span.id())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_span_is_current_in_each_poll_and_around_spans_of_one_s_own() {
    async fn handler() {
        // The first polls do not ask.
        tokio::task::yield_now().await;
        {
            let own = tracing::info_span!("an own span").entered();
            assert_eq!(current(), (Some("an own span"), own.id()));
            ids();
        }
        let call = current();
        assert_eq!(call.0, Some("call"));
        tokio::task::yield_now().await;
        assert_eq!(current(), call);
        let inner = tracing::info_span!("another own span");
        async {
            tokio::task::yield_now().await;
            assert_eq!(current().0, Some("another own span"));
            // Leaves the call's span as it was.
            Span::none().in_scope(|| ());
        }
        .instrument(inner)
        .await;
        assert_eq!(current(), call);
        let entered = Span::current().entered();
        assert_eq!(current(), call);
        drop(entered);
        assert_eq!(current(), call);
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/asked", get(handler))).await;
    call(&served, "/asked").await;
    let span = world.span("GET /asked").await;
    let own = world.span("an own span").await;
    assert_eq!(own.parent_span_id, span.span_context.span_id());
    assert_eq!(attribute(&span, "http.response.status_code"), Some(&200.into()));
    assert_eq!(current(), (None, None), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_asked_for_while_opentelemetry_lends_the_current_context() {
    async fn handler() {
        Context::map_current(|cx| {
            tracing::info!("logged within the context");
            let asked = Span::current().context();
            assert_eq!(asked.span().span_context(), cx.span().span_context());
        });
        tokio::task::yield_now().await;
        get_active_span(|span| {
            assert_eq!(current().0, Some("call"));
            tracing::info!("logged within the span");
            span.add_event("by hand", Vec::new());
        });
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/lent", get(handler))).await;
    call(&served, "/lent").await;
    let span = world.span("GET /lent").await;
    let events = ["logged within the context", "logged within the span", "by hand"];
    assert_eq!(event_names(&span), events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_call_went_is_not_said_by_its_code_which_has_asked_for_nothing() {
    async fn handler() {
        let cx = Context::current();
        cx.span().set_status(Status::error("set by hand"));
        cx.span().end();
        cx.span().set_attribute(KeyValue::new("after", true));
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/unsaid", get(handler))).await;
    call(&served, "/unsaid").await;
    let span = world.span("GET /unsaid").await;
    assert_eq!(span.status, Status::Unset);
    assert_eq!(attribute(&span, "after"), Some(&true.into()));
    assert_eq!(attribute(&span, "http.response.status_code"), Some(&200.into()));
}

#[tokio::test]
async fn a_call_within_a_call_leaves_the_outer_one_s_span_current() {
    let mesh = TestMesh::new("outer");
    let layer = mesh.client_layer("stock");
    let handler = async move || {
        let own = tracing::info_span!("own").entered();
        let transport = service_fn(|_: Request<String>| async {
            assert_eq!(current().0, Some("call"), "asked for in the inner call alone");
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let request = Request::get("http://stock/items").body(String::new()).expect("a request");
        let asked = layer.layer(transport).oneshot(request);
        let asked = futures_util::FutureExt::now_or_never(asked);
        drop(asked.expect("nothing waits").expect("an answer"));
        assert_eq!(current().0, Some("own"));
        drop(own);
        assert_eq!(current().0, Some("call"));
        Span::current().set_attribute("side", "outer");
    };
    let served = serve_with(&mesh, Router::new().route("/outer", get(handler))).await;
    call(&served, "/outer").await;
    mesh.spans().named("GET /outer").one().assert_attribute("side", "outer");
    mesh.spans().of_kind(&SpanKind::Client).one().assert_no_attribute("side");
}
