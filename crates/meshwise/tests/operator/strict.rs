//! With `MESHWISE_STRICT` a start names what is wrong, and nothing that is not.

use super::{File, builder};
use meshwise::core::settings::{Settings, SettingsError};
use std::time::Duration;

/// What every one of these starts has, none of it wrong; `code` may be.
fn refused(env: &[(&str, &str)], code: impl FnOnce(&mut Settings)) -> String {
    let mut env = env.to_vec();
    env.extend([
        ("MESHWISE_STRICT", "true"),
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=blue"),
        ("OTEL_PROPAGATORS", "tracecontext"),
        ("OTEL_BSP_SCHEDULE_DELAY", "700"),
    ]);
    let mut settings = Settings::default();
    code(&mut settings);
    let error = builder(&env).with_settings(settings).build().expect_err("strict");
    let meshwise::InstallError::Settings(error) = &error else { panic!("{error:?}") };
    SettingsError::to_string(error)
}

#[test]
fn what_was_not_asked_for_yet_is_not_called_unused() {
    let shed = [
        ("MESHWISE_SHED_ENABLED", "true"),
        ("MESHWISE_SHED_ADAPTIVE_ENABLED", "true"),
        ("MESHWISE_SHED_ADAPTIVE_FLOOR", "90"),
        ("MESHWISE_SHED_ADAPTIVE_CEILING", "80"),
    ];
    let code = |settings: &mut Settings| {
        settings.drain.flush.set(Duration::MAX);
    };
    let both = |env: &[(&str, &str)], other: &str| {
        let bad_code = refused(env, code);
        assert!(bad_code.contains("drain.flush"), "{bad_code}");
        let contradicting = refused(&[&shed[..], env].concat(), |_| {});
        assert!(contradicting.contains("_CEILING"), "{contradicting}");
        for error in [bad_code, contradicting] {
            assert!(error.contains(other), "{error}");
            for name in ["OTEL_SERVICE_NAME", "OTEL_RESOURCE", "OTEL_PROPAGATORS", "OTEL_BSP_S"] {
                assert!(!error.contains(name), "{name}: {error}");
            }
        }
    };
    both(&[], "");
    both(&[("OTEL_PAPYRUS", "1")], "OTEL_PAPYRUS is set and not used");
    both(&[("OTEL_BSP_MAX_QUEUE_SIZE", "0")], "OTEL_BSP_MAX_QUEUE_SIZE is `0`");
}

/// One that no sampler takes is not used: all traces are recorded, and the operator believes in a tenth.
#[test]
fn a_sampler_s_argument_is_used_by_the_samplers_that_take_one() {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let with = |sampler: Option<&str>, argument: &str| {
        let mut env = vec![(ARGUMENT, argument), ("OTEL_PAPYRUS", "1")];
        env.extend(sampler.map(|sampler| ("OTEL_TRACES_SAMPLER", sampler)));
        refused(&env, |_| {})
    };
    for sampler in [None, Some("always_on"), Some("parentbased_always_off")] {
        let error = with(sampler, "0.1");
        assert!(error.contains(&format!("{ARGUMENT} is set and not used")), "{sampler:?}: {error}");
    }
    for (sampler, argument) in [
        ("traceidratio", "0.1"),
        ("parentbased_ratelimited", "10"),
        ("keep_errors", "0.1"),
        ("keep_errors", "2s"),
    ] {
        let error = with(Some(sampler), argument);
        assert!(!error.contains(ARGUMENT) && error.contains("OTEL_PAPYRUS"), "{sampler}: {error}");
    }
}

#[test]
fn mistakes_of_code_and_operator_are_one_error_without_strict_too() {
    let mut settings = Settings::default();
    settings.drain.flush.set(Duration::MAX);
    let env = [("MESHWISE_LOG_FROMAT", "json"), ("OTEL_SERVICE_NAME", "shop")];
    let error = builder(&env).with_settings(settings).build().expect_err("mistakes").to_string();
    assert!(error.starts_with("2 settings are wrong: "), "{error}");
    assert!(error.contains("drain.flush") && error.contains("MESHWISE_LOG_FROMAT"), "{error}");
}

#[test]
fn the_rest_of_a_source_with_a_mistake_is_read_and_nothing_is_made() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("orders.log");
    let right = format!("[log.file]\npath = {path:?}\n");
    let wrong = format!("{right}[log.fiel]\nx = 1\n");
    for (config, env) in [(&right, &[("MESHWISE_LGO_QUEUE", "1")][..]), (&wrong, &[])] {
        let config = File::new(config);
        let mut env = env.to_vec();
        env.extend([("MESHWISE_CONFIG", config.path()), ("MESHWISE_LOG_OUTPUTS", "file")]);
        let error = refused(&env, |_| {});
        assert!(!error.contains('\n') && error.contains("is not known"), "{error}");
        assert!(!path.exists(), "{error}");
    }
}

#[test]
fn what_does_nothing_is_named_by_its_setting() {
    let config = File::new("[log.file]\npath = \"/nowhere/a\"\n[log.fluent]\ntag = \"a\"\n");
    let error = refused(&[("MESHWISE_CONFIG", config.path())], |_| {});
    let first = "2 settings are wrong: log.file.path, log.fluent.tag\n";
    assert!(error.starts_with(first), "{error}");
    assert!(error.contains("is not among log.outputs; with MESHWISE_STRICT"), "{error}");
}

#[cfg(feature = "api")]
#[test]
fn an_error_that_is_none_of_settings_is_what_it_is() {
    let env = [("MESHWISE_STRICT", "true"), ("OTEL_BSP_MAX_QUEUE_SIZE", "0")];
    let declared = meshwise::api::Declared::new("stock");
    let error = builder(&env).apis(declared).build().expect_err("another name");
    assert!(matches!(error, meshwise::InstallError::ServiceName { .. }), "{error:?}");
}

/// To open a pipe waits for who writes to it.
#[cfg(unix)]
#[test]
fn settings_in_a_pipe_are_named_at_once() {
    let dir = tempfile::tempdir().expect("directory");
    let pipe = dir.path().join("mesh.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    for (path, told) in [
        (pipe.as_path(), "which cannot be read: it is a pipe"),
        (dir.path(), "mesh.toml:1: cannot be read: it is a pipe"),
    ] {
        let (refused, refusal) = std::sync::mpsc::channel();
        let path = path.to_str().expect("Unicode").to_owned();
        std::thread::spawn(move || {
            let error = builder(&[("MESHWISE_CONFIG", &path)]).build().expect_err("a pipe");
            refused.send(error.to_string())
        });
        let error = refusal.recv_timeout(Duration::from_secs(20)).expect("it ends");
        assert!(error.contains(told), "{error}");
    }
}
