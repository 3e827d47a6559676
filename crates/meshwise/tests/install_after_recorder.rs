//! Someone else's recorder is a clear error, and nothing is installed then.

#[test]
fn a_foreign_recorder_is_a_clear_error() {
    metrics::set_global_recorder(metrics::NoopRecorder).expect("the first");
    let builder = meshwise::builder("orders", "1").with_env(meshwise::core::Env::empty());
    let error = builder.install().expect_err("taken");
    assert!(matches!(error, meshwise::InstallError::RecorderTaken), "{error}");
    assert!(error.to_string().contains("Metrics::from_recorder"), "{error}");
    let free = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new());
    assert!(free.is_ok(), "the subscriber was left alone");
}
