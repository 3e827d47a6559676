//! A dictionary, and a server that plays Prometheus.

use std::{
    path::Path,
    process::{Command, Output},
};

use meshwise_api::{Declaration, Document, Draft};
use serde_json::{Value, json};

use crate::server::{Reply, Request, Server};

pub(crate) const AUTH: &str = r#"
schema = 1
[service]
name = "auth"
owner = "team-identity"
[[provides]]
api = "auth"
scheme = "main-minor"
[[provides.versions]]
version = "1.1"
released = 2024-01-01
deprecated = 2026-01-01
sunset = 2026-06-01
successor = "2.0"
[[provides.versions]]
version = "2.0"
released = 2026-01-01
"#;

pub(crate) const ORDERS: &str = r#"
schema = 1
[service]
name = "orders"
owner = "team-checkout"
[[requires]]
api = "auth"
version = "1.1"
"#;

/// A dictionary in a folder of its own.
pub(crate) struct Dictionary(tempfile::TempDir);

impl Dictionary {
    pub(crate) fn new(declarations: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("services")).expect("made");
        for text in declarations {
            let declaration = Declaration::parse("api.toml", text).expect("a declaration");
            let at = "2026-01-01T00:00:00Z".parse().expect("a moment");
            let draft = Draft::new(declaration, at, "test");
            let document: Document = draft.seal(None).expect("a document");
            let path = folder.path().join(document.path());
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, document.to_json()).expect("written");
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn ask(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"));
        command
            .args(["meshwise", "can-i-remove", "--today", "2026-11-21", "--dictionary"])
            .arg(self.path())
            .args(args)
            .env_remove("MESHWISE_PROMETHEUS")
            .env("MESHWISE_PROMETHEUS_TOKEN", "s3cret")
            .env("NO_PROXY", "*");
        command.output().expect("the command runs")
    }
}

#[track_caller]
pub(crate) fn assert_answer(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    for word in words {
        assert!(all.contains(word), "{word:?} is not in:\n{all}");
    }
}

/// What the server knows: two instances that counted all of the window, until a test changes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) risen: Vec<(&'static str, f64)>,
    pub(crate) newborn: Vec<(&'static str, f64)>,
    /// The step, counted from the first, in which no one was scraped.
    pub(crate) hole: Option<i64>,
    /// How many steps ago a third instance appeared that says it ran for ever.
    pub(crate) late: Option<i64>,
    /// An instance that is up and does not count.
    pub(crate) old: bool,
    pub(crate) warning: Option<&'static str>,
    /// By instance: requests that no route fits, and calls of a version that was never declared.
    pub(crate) unrouted: Vec<(&'static str, f64)>,
    pub(crate) strange: Vec<(&'static str, f64)>,
    /// Nothing was ever counted.
    pub(crate) empty: bool,
}

impl World {
    /// Answers the questions of the command; any other one is a mistake of the command.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let query = request.param("query").expect("a query");
        let number = |name| request.param(name).expect(name).parse::<i64>().expect("a number");
        if request.target.contains("/api/v1/query_range?") {
            let (start, end, step) = (number("start"), number("end"), number("step"));
            let points: Vec<Value> = (0..=(end - start) / step)
                .filter(|index| Some(*index) != self.hole)
                .map(|index| json!([start + index * step, "2"]))
                .collect();
            let result =
                if self.empty { json!([]) } else { json!([{"metric": {}, "values": points}]) };
            return self.reply("matrix", &result);
        }
        let time = number("time");
        let (_, tail) = query.rsplit_once('[').unwrap_or_default();
        let (range, step) = tail.trim_end_matches([')', ']']).split_once(':').unwrap_or_default();
        let seconds = |text: &str| text.trim_end_matches('s').parse::<i64>().unwrap_or(1);
        let (range, step) = (seconds(range), seconds(step));
        let count = range / step;
        let (last, first) = (time - 1, time - 1 - (count - 1) * step);
        let late = self.late.map(|ago| last - ago * step);
        // Of `a` and `b`, of the one that came late, of the one that does not count.
        let all = |whole: i64, part: Option<i64>, old: Option<i64>| {
            let labels = |name: &str| json!({"job": "auth", "instance": name});
            let mut result: Vec<Value> = ["a:1", "b:1"]
                .iter()
                .map(|name| json!({"metric": labels(name), "value": [time, whole.to_string()]}))
                .collect();
            for (name, value) in [("late:1", part), ("old:1", old)] {
                let value = value.map(|value| value.to_string());
                result.extend(
                    value.map(|value| json!({"metric": labels(name), "value": [time, value]})),
                );
            }
            if self.empty { json!([]) } else { json!(result) }
        };
        let callers = |values: &[(&str, f64)], instance: bool| {
            let result: Vec<Value> = values
                .iter()
                .map(|(caller, value)| {
                    let metric = match instance {
                        true => json!({"caller": caller, "job": "auth", "instance": "a:1"}),
                        false => json!({"caller": caller}),
                    };
                    json!({"metric": metric, "value": [time, value.to_string()]})
                })
                .collect();
            json!(result)
        };
        let instances = |values: &[(&str, f64)]| {
            let sample = |(instance, value): &(&str, f64)| json!({"metric": {"job": "auth", "instance": instance}, "value": [time, value.to_string()]});
            json!(values.iter().map(sample).collect::<Vec<_>>())
        };
        let steps = |from: i64| (last - from) / step + 1;
        let result = if query.starts_with("sum by (caller, caller_verified) (increase(") {
            callers(&self.risen, false)
        } else if query.contains("(meshwise_api_unrouted_requests_total{") {
            instances(&self.unrouted)
        } else if query.contains("version=\"_other\"") {
            instances(&self.strange)
        } else if query
            .starts_with("sum by (caller, caller_verified, job, instance) (max_over_time(")
        {
            callers(&self.newborn, true)
        } else if query.contains("(up{") {
            all(count, late.map(steps), self.old.then_some(count))
        } else if query.starts_with("count_over_time((count by") {
            all(count, late.map(steps), None)
        } else if query.starts_with("min_over_time((count by") {
            all(first, late, None)
        } else if query.starts_with("max_over_time((count by") {
            all(last, late.map(|_| last), None)
        } else if query.starts_with("min by (job, instance) (min_over_time(") {
            all(1_700_000_000, late.map(|_| 1_700_000_000), None)
        } else {
            panic!("an unexpected question: {query}")
        };
        self.reply("vector", &result)
    }

    pub(crate) fn reply(&self, kind: &str, result: &Value) -> Reply {
        let mut answer =
            json!({"status": "success", "data": {"resultType": kind, "result": result}});
        if let Some(warning) = self.warning {
            answer["warnings"] = json!([warning]);
        }
        Reply::json(&answer)
    }
}

pub(crate) fn ask_world(declarations: &[&str], world: &World) -> Output {
    let dictionary = Dictionary::new(declarations);
    let world = world.clone();
    let server = Server::start(move |request| world.answer(request));
    dictionary.ask(&["auth@1.1", "--prometheus", &server.url()])
}
