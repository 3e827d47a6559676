//! Someone else's subscriber is a clear error, and stays.

#[test]
fn a_foreign_subscriber_is_a_clear_error() {
    let foreign = tracing_subscriber::registry();
    tracing::subscriber::set_global_default(foreign).expect("the first");
    let builder = || meshwise::builder("orders", "1").with_env(meshwise::core::Env::empty());
    for _ in 0..2 {
        let error = builder().install().expect_err("taken");
        assert!(matches!(error, meshwise::InstallError::SubscriberTaken), "{error}");
        let error = error.to_string();
        for words in ["tracing_subscriber::fmt::init", "LogConfig::build", "Telemetry::new"] {
            assert!(error.contains(words), "{error}");
        }
    }
    // The recorder was left alone, and a mesh that sets nothing process-wide works.
    metrics::set_global_recorder(metrics::NoopRecorder).expect("still free");
    builder().build().expect("a mesh of its own");
}
