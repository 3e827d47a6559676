//! What is wrong with settings, and what does nothing, is told at the start.

use super::{File, builder};
use meshwise::log::{LogLines, LogOutput};

/// One start names all: file, variables of ours, and with `MESHWISE_STRICT` those of others too.
#[tokio::test]
async fn one_start_names_what_is_wrong_wherever_it_stands() {
    let config = File::new("[log]\nfromat = \"json\"\n[drain]\ntimeout = 30\n");
    let started = |strict: &str| {
        let env = [
            ("MESHWISE_CONFIG", config.path()),
            ("MESHWISE_LOG_FORMAT", "xml"),
            ("MESHWISE_PEERS_STOCK_RETRY_ATEMPTS", "2"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_PROPAGATORS", "ottrace"),
            ("OTEL_ENTITIES", "service{service.name=app1}"),
            ("RUST_LOG", "=,="),
            ("MESHWISE_STRICT", strict),
        ];
        builder(&env).build().expect_err("mistakes").to_string()
    };
    let (lenient, strict) = (started("false"), started("true"));
    for name in [
        &format!("{}:2: log.fromat", config.path()),
        &format!("{}:4: drain.timeout", config.path()),
        "MESHWISE_LOG_FORMAT is `xml`",
        "MESHWISE_PEERS_STOCK_RETRY_ATEMPTS is not known",
    ] {
        assert!(lenient.contains(name), "{name}: {lenient}");
        assert!(strict.contains(name), "{name}: {strict}");
    }
    for name in [
        "OTEL_BSP_MAX_QUEUE_SIZE is `0`",
        "OTEL_PROPAGATORS is `ottrace`",
        "OTEL_ENTITIES is set and not used",
        "RUST_LOG is `=,=`",
    ] {
        assert_eq!(strict.matches(name).count(), 1, "{name}: {strict}");
    }
}

/// What is set of an output or exporter that is not switched on looks like settings in force.
#[tokio::test]
async fn what_is_set_and_does_nothing_is_told() {
    const OFF: [(&str, &str, &str); 12] = [
        ("log.file", "path = \"/tmp/orders.log\"", "log.outputs"),
        ("log.fluent", "tag = \"orders\"", "log.outputs"),
        ("log.bulk", "urls = [\"http://127.0.0.1:1\"]", "log.outputs"),
        ("log.spool", "directory = \"/tmp/spool\"", "log.outputs"),
        ("log.private", "keep = 3", "log.private.path"),
        ("log.otlp", "endpoint = \"http://127.0.0.1:1\"", "log.exporters"),
        ("metrics", "export_interval = \"5s\"", "metrics.exporters"),
        ("traces.otlp", "timeout = \"5s\"", "traces.exporters"),
        ("traces", "ratio = 0.1", "`traceidratio`"),
        ("traces", "rate = 10", "`ratelimited`"),
        ("traces", "slow = \"1s\"", "`keep_errors`"),
        ("traces.held", "traces = 100", "`keep_errors`"),
    ];
    let told = |text: &str, env: &[(&str, &str)]| {
        let (config, lines) = (File::new(text), LogLines::new());
        let mut env = env.to_vec();
        env.push(("MESHWISE_CONFIG", config.path()));
        let output = lines.clone();
        let mesh = builder(&env).logs(move |logs| logs.with_output(LogOutput::memory(&output)));
        drop(mesh.build().expect("it stops nothing"));
        let lines = lines.lines();
        lines.into_iter().filter(|line| line.contains("does nothing")).collect::<Vec<_>>()
    };
    for (section, setting, switch) in OFF {
        let lines = told(&format!("[{section}]\n{setting}\n"), &[]);
        let [line] = &lines[..] else { panic!("{section}: {lines:?}") };
        let key = setting.split_once(' ').map_or(setting, |(key, _)| key);
        let named = format!(":2: {section}.{key} is set and does nothing: ");
        assert!(line.contains(&named) && line.contains(switch), "{line}");
    }
    for text in [
        "[traces.otlp]\ntimeout = \"5s\"\nendpoint = \"http://127.0.0.1:1\"",
        "[log.otlp]\ntimeout = \"5s\"\nlogs_endpoint = \"http://127.0.0.1:1/v1/logs\"",
        "[metrics]\nexport_interval = \"5s\"\nexporters = [\"otlp\"]",
        "[traces]\nratio = 0.1\nsampler = \"traceidratio\"",
        "[traces]\nrate = 10\nsampler = \"parentbased_ratelimited\"",
        "[traces]\nratio = 0.1\nslow = \"1s\"\nheld.traces = 100\nsampler = \"keep_errors\"",
    ] {
        assert_eq!(told(text, &[("OTEL_BLRP_SCHEDULE_DELAY", "1")]), [""; 0], "{text}");
    }
    // Of nothing that is set, that is told too.
    let lines = told("# log.format = \"json\"\n", &[]);
    assert!(matches!(&lines[..], [line] if line.contains("MESHWISE_CONFIG")), "{lines:?}");
    let config = File::new("[log.file]\npath = \"/tmp/orders.log\"");
    let env = [("MESHWISE_CONFIG", config.path()), ("MESHWISE_STRICT", "true")];
    let error = builder(&env).build().expect_err("strict").to_string();
    assert!(error.contains("log.file.path is set and does nothing"), "{error}");
}
