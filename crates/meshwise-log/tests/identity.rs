//! Lines say of the service what spans and metrics say of it.

mod strict;

use meshwise_core::{Env, Resource, Service};
use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput};
use serde_json::{Value, json};
use tracing::subscriber::with_default;
use tracing_subscriber::{Registry, layer::SubscriberExt};

const SAID: &str =
    "service.namespace=shop,service.instance.id=i-1,deployment.environment.name=prod";

fn resource(said: &str) -> Resource {
    let env = Env::from_pairs([("OTEL_RESOURCE_ATTRIBUTES", said)]);
    Resource::builder(Service::new("orders", "1.2.3")).with_env(&env).expect("valid").build()
}

fn line(format: LogFormat, said: &str, log: impl FnOnce()) -> String {
    let lines = LogLines::new();
    let config = LogConfig::new(resource(said)).with_format(format);
    let (layer, _logs) =
        config.with_output(LogOutput::memory(&lines)).build::<Registry>().expect("logs");
    with_default(tracing_subscriber::registry().with(layer), log);
    lines.lines().remove(0)
}

fn json_line(format: LogFormat, said: &str, log: impl FnOnce()) -> Value {
    strict::json(&line(format, said, log))
}

#[test]
fn each_format_has_names_of_its_own_for_it() {
    let log = || tracing::info!("x");
    for format in [LogFormat::Json, LogFormat::Gcp] {
        let line = json_line(format, SAID, log);
        assert_eq!(line["service.namespace"], "shop");
        assert_eq!(line["service.instance.id"], "i-1");
        assert_eq!(line["deployment.environment.name"], "prod");
    }
    let pairs = strict::logfmt(&line(LogFormat::Logfmt, SAID, log));
    assert_eq!(pairs["service.namespace"], "shop");
    assert_eq!(pairs["service.instance.id"], "i-1");
    assert_eq!(pairs["deployment.environment.name"], "prod");
    let line = json_line(LogFormat::Ecs, SAID, log);
    assert_eq!(line["service.node.name"], "i-1");
    assert_eq!(line["service.environment"], "prod");
    // The schema has no name for it.
    assert_eq!(line["labels"], json!({"service_namespace": "shop"}));
    for name in ["service.namespace", "service.instance.id", "deployment.environment.name"] {
        assert_eq!(line.get(name), None, "{name}");
    }
}

#[test]
fn what_is_not_said_is_not_there_and_no_random_instance_is() {
    for format in [LogFormat::Json, LogFormat::Gcp, LogFormat::Ecs, LogFormat::Logfmt] {
        let line = line(format, "", || tracing::info!("x"));
        for word in ["namespace", "instance", "environment", "node", "labels"] {
            assert!(!line.contains(word), "{format:?} {word}: {line}");
        }
    }
}

#[test]
fn fields_that_are_called_so_stand_elsewhere() {
    let log = || {
        tracing::info!(
            { service.namespace = "mine", service.instance.id = "mine", service.node.name = "mine",
              deployment.environment.name = "mine", service.environment = "mine" },
            "x"
        );
    };
    for said in ["", SAID] {
        for format in [LogFormat::Json, LogFormat::Gcp] {
            let line = json_line(format, said, log);
            assert_eq!(
                line["fields"],
                json!({"service.namespace": "mine", "service.instance.id": "mine",
                       "deployment.environment.name": "mine"})
            );
            assert_eq!(line["service.node.name"], "mine");
        }
        let pairs = strict::logfmt(&line(LogFormat::Logfmt, said, log));
        assert_eq!(pairs["fields.service.namespace"], "mine");
        assert_eq!(pairs["fields.deployment.environment.name"], "mine");
    }
    let line = json_line(LogFormat::Ecs, SAID, log);
    assert_eq!(
        (&line["service.node.name"], &line["service.environment"]),
        (&json!("i-1"), &json!("prod"))
    );
    assert_eq!(
        line["labels"],
        json!({"service_namespace": "shop", "service_namespace_2": "mine", "service_instance_id": "mine",
               "service_node_name": "mine", "deployment_environment_name": "mine",
               "service_environment": "mine"})
    );
}
