//! Subscribers of a thread, now and in the past, are none of the process, and do not keep a mesh
//! from being installed.

use meshwise::{
    core::Env,
    log::{LogFormat, LogLines, LogOutput},
};

#[test]
fn a_scoped_subscriber_does_not_keep_from_installing() {
    // A logger for the start, gone again; a mesh of its own that logs; and one that is still there.
    drop(tracing::subscriber::set_default(tracing_subscriber::registry()));
    let side = meshwise::builder("side", "1").with_env(Env::empty()).build().expect("a mesh");
    tracing::dispatcher::with_default(side.dispatch(), || tracing::debug!("aside"));
    let _still_there = tracing::subscriber::set_default(tracing_subscriber::registry());
    assert!(tracing::dispatcher::has_been_set(), "the question that is not asked");

    let lines = LogLines::new();
    let mesh = meshwise::builder("orders", "1")
        .with_env(Env::from_pairs([("OTEL_LOG_LEVEL", "debug")]))
        .logs({
            let lines = lines.clone();
            move |logs| logs.with_output(LogOutput::memory(&lines)).with_format(LogFormat::Json)
        })
        .install();
    let mesh = mesh.expect("nothing is set for the process");
    std::thread::spawn(|| tracing::info!("on another thread")).join().expect("it ends");
    let lines = lines.lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("set and not used: OTEL_LOG_LEVEL"), "{lines:#?}");
    assert!(lines[1].contains("on another thread"), "{lines:#?}");
    drop(mesh);
}
