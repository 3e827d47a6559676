//! `install` sets what is process-wide, once. One test, because it is one process.

use meshwise::InstallError;

#[tokio::test]
async fn install_works_once_and_the_macros_with_it() {
    let lines = meshwise::log::LogLines::new();
    let spans = meshwise::trace::MemorySpans::new();
    let builder = || {
        let (lines, spans) = (lines.clone(), spans.clone());
        meshwise::builder("orders", "1.2.3")
            .with_env(meshwise::core::Env::empty())
            .logs(move |logs| {
                logs.with_output(meshwise::log::LogOutput::memory(&lines))
                    .with_format(meshwise::log::LogFormat::Json)
            })
            .traces(move |traces| traces.with_exporter(meshwise::trace::SpanExport::memory(&spans)))
    };

    let bad = builder().with_env(meshwise::core::Env::from_pairs([("MESHWISE_LOG_FULL", "b7")]));
    let error = bad.install().expect_err("b7 is no policy").to_string();
    assert_eq!(error, "MESHWISE_LOG_FULL is `b7`; allowed: one of \"drop\", \"wait\"");

    let mesh = builder().install().expect("a failed attempt leaves nothing behind");
    let error = builder().install().expect_err("once is enough");
    assert!(matches!(error, InstallError::InstalledAlready), "{error}");
    assert!(error.to_string().contains("pass the mesh on"), "{error}");

    tracing::info_span!("work").in_scope(|| tracing::info!("a line"));
    metrics::counter!("jobs_total").increment(3);
    let line = lines.lines().into_iter().find(|line| line.contains("a line")).expect("the line");
    let span = spans.spans().into_iter().find(|span| span.name == "work").expect("the span");
    assert!(line.contains(&span.span_context.trace_id().to_string()), "{line}");
    assert!(mesh.metrics().render_text().contains("jobs_total 3"));

    let report = mesh.shutdown().await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.traces.delivered, 1);
}
