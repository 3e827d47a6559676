//! The whole life of an API between two services, by an injected clock; and the same with each step
//! done wrong: every wrong step is named by a finding or an answer, none is taken in silence.

mod wrong;

use std::collections::BTreeSet;

use crate::support::place::{Place, Ran};
use wrong::{Wrong, wrong, wrong_publications, wrong_requirements};

/// A version of the provider's API.
#[derive(Clone)]
struct Version {
    name: &'static str,
    lines: Vec<&'static str>,
}

const fn version(name: &'static str, lines: Vec<&'static str>) -> Version {
    Version { name, lines }
}

/// What both declare in a phase of the life.
#[derive(Clone)]
struct Phase {
    name: &'static str,
    clock: &'static str,
    versions: Vec<Version>,
    /// What the consumer requires.
    requires: &'static str,
}

const PROVIDER: &str = r#"schema = 1
[service]
name = "stock"
owner = "team-stock"
[[provides]]
api = "stock"
scheme = "main-date-bugfix"
"#;

impl Phase {
    fn provider(&self) -> String {
        let mut text = PROVIDER.to_owned();
        for version in &self.versions {
            text += &format!("[[provides.versions]]\nversion = \"{}\"\n", version.name);
            for line in &version.lines {
                text += line;
                text.push('\n');
            }
        }
        text
    }

    fn consumer(&self) -> String {
        format!(
            "schema = 1\n[service]\nname = \"shop\"\nowner = \"team-shop\"\n[[requires]]\napi = \"stock\"\n\
             version = \"{}\"\nreason = \"what is there\"\n",
            self.requires
        )
    }

    fn day(&self) -> &'static str {
        self.clock.split_once('T').expect("a moment").0
    }
}

fn life() -> Vec<Phase> {
    let v1 = |end: &[&'static str]| {
        let own = ["released = 2026-01-01", "description = \"v1.json\""];
        version("v1_20260101-1", [&own[..], end].concat())
    };
    let fix = |end: &[&'static str]| {
        let own = [
            "released = 2026-05-01",
            "description = \"v1.json\"",
            "urgent = true",
            "adopt-by = 2026-05-20",
        ];
        version("v1_20260101-2", [&own[..], end].concat())
    };
    let v2 = version("v2_20260301-1", vec!["released = 2026-03-01", "description = \"v2.json\""]);
    let ends = ["deprecated = 2026-04-01", "sunset = 2026-09-01", "successor = \"v2_20260301-1\""];
    let fix_ends =
        ["deprecated = 2026-05-01", "sunset = 2026-09-01", "successor = \"v2_20260301-1\""];
    let phase = |name, clock, versions, requires| Phase { name, clock, versions, requires };
    vec![
        phase("born", "2026-01-10T08:00:00Z", vec![v1(&[])], "v1_20260101-1"),
        phase(
            "a second version",
            "2026-03-01T08:00:00Z",
            vec![v1(&[]), v2.clone()],
            "v1_20260101-1",
        ),
        phase("deprecated", "2026-04-01T08:00:00Z", vec![v1(&ends), v2.clone()], "v1_20260101-1"),
        phase(
            "hot-fixed",
            "2026-05-01T08:00:00Z",
            vec![v1(&ends), fix(&fix_ends), v2.clone()],
            "v1_20260101-1",
        ),
        phase(
            "adopted",
            "2026-05-10T08:00:00Z",
            vec![v1(&ends), fix(&fix_ends), v2.clone()],
            "v1_20260101-2",
        ),
        phase(
            "moved",
            "2026-08-01T08:00:00Z",
            vec![v1(&ends), fix(&fix_ends), v2.clone()],
            "v2_20260301-1",
        ),
        phase(
            "ended",
            "2026-09-02T08:00:00Z",
            vec![v1(&ends), fix(&fix_ends), v2],
            "v2_20260301-1",
        ),
    ]
}

const V1: &str = r#"{"openapi":"3.0.3","info":{"title":"stock","version":"1"},"paths":{"/items":{"get":{"responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"type":"object","required":["id"],"properties":{"id":{"type":"string"},"left":{"type":"integer"}}}}}}}}}}}"#;

/// The two services with their dictionary.
struct Life {
    place: Place,
}

impl Life {
    fn new() -> Self {
        let life = Self { place: Place::new() };
        life.place.write("stock/v1.json", V1);
        life.place.write("stock/v2.json", &V1.replace("/items", "/things"));
        life.place.write("dictionary/policy.toml", "schema = 1\nmin-deprecation-days = 90\n");
        life
    }

    fn run(&self, phase: &Phase, args: &[&str]) -> Ran {
        // The clock that is given last holds.
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"));
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("MESHWISE_TODAY", phase.day())
            .env("MESHWISE_DICTIONARY", "dictionary")
            .env("NO_PROXY", "*")
            .env("HOME", self.place.path())
            .args(["meshwise", "--clock", phase.clock])
            .args(args)
            .current_dir(self.place.path());
        self.place.finish(&mut command)
    }

    #[track_caller]
    fn must(&self, phase: &Phase, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(phase, args);
        assert_eq!(ran.code, code, "{}: cargo meshwise {}\n{ran}", phase.name, args.join(" "));
        ran
    }

    /// Takes the phase's right steps: both publish, the consumer locks and checks, both are deployed to
    /// two environments and tested.
    fn take(&self, phase: &Phase) {
        self.place.declare("stock", &phase.provider());
        self.place.declare("shop", &phase.consumer());
        self.must(phase, 0, &["publish", "--declaration", "stock/api.toml"]);
        self.must(phase, 0, &["publish", "--declaration", "shop/api.toml"]);
        self.must(phase, 0, &["lock", "--update", "--declaration", "shop/api.toml"]);
        self.must(phase, 0, &["check", "--ci", "--declaration", "shop/api.toml"]);
        for env in ["test", "prod"] {
            for service in ["stock", "shop"] {
                if service == "shop" {
                    self.must(
                        phase,
                        0,
                        &["record-result", "shop", "--against", "stock", "--passed"],
                    );
                    self.must(phase, 0, &["can-i-deploy", "shop", "--env", env, "--tested"]);
                }
                self.must(phase, 0, &["record-deployment", service, "--env", env]);
            }
        }
    }

    fn head(&self, phase: &Phase) -> String {
        let json = self.must(phase, 0, &["index", "--format", "json"]).json();
        json["head"].as_str().expect("a digest").to_owned()
    }
}

/// Runs this many of the wrong steps: all in the long proof, each fifth of a phase otherwise.
fn chosen(index: usize, phase: usize) -> bool {
    std::env::var("MESHWISE_PROOF").as_deref() == Ok("full") || (index + phase).is_multiple_of(5)
}

#[test]
fn a_life_and_the_same_with_each_step_done_wrong() {
    let life = Life::new();
    let (mut tried, mut all) = (0, 0);
    let mut named = BTreeSet::new();
    let mut unnamed = Vec::new();
    for (number, phase) in life_with_numbers() {
        let today = phase.day();
        // Before the right step: wrong publications of what comes next.
        let before = (number > 0).then(|| life.head(&phase));
        let publications = wrong_publications(&phase, today);
        let steps: Vec<(&[&str], Wrong)> = publications
            .into_iter()
            .map(|wrong| (&["publish", "--declaration", "stock/wrong.toml"][..], wrong))
            .collect();
        for (index, (args, wrong)) in steps.into_iter().enumerate() {
            let Some(text) = &wrong.text else { continue };
            all += 1;
            if !chosen(index, number) {
                continue;
            }
            tried += 1;
            life.place.write("stock/wrong.toml", text);
            // Warnings are published, and named: nothing is to stay of them here.
            let args = [args, &["--dry-run"]].concat();
            let ran = life.run(&phase, &args);
            judge(&phase, &wrong, &ran, &mut named, &mut unnamed);
        }
        if let Some(before) = before {
            assert_eq!(life.head(&phase), before, "{}: nothing wrong was published", phase.name);
        }
        life.take(&phase);
        for (index, wrong) in wrong_requirements(&phase, today).into_iter().enumerate() {
            let Some(text) = &wrong.text else { continue };
            all += 1;
            if !chosen(index, number) {
                continue;
            }
            tried += 1;
            life.place.write("kiosk/api.toml", text);
            let ran = life.run(&phase, &["check", "--ci", "--declaration", "kiosk/api.toml"]);
            judge(&phase, &wrong, &ran, &mut named, &mut unnamed);
        }
        all += deployments_done_wrong(&life, &phase, &mut tried);
        all += removals_done_wrong(&life, &phase, &mut tried);
        all += locks_done_wrong(&life, &phase, &mut tried, &mut named, &mut unnamed);
    }
    assert!(unnamed.is_empty(), "{} wrong steps:\n{}", unnamed.len(), unnamed.join("\n"));
    // The proof is worth as much as what it tries.
    assert!(all >= 200, "{all} wrong steps in all");
    assert!(tried * 6 > all, "{tried} of {all} were tried");
    println!("{tried} of {all} wrong steps were tried; findings: {named:?}");
}

fn life_with_numbers() -> impl Iterator<Item = (usize, Phase)> {
    life().into_iter().enumerate()
}

/// Proves that a wrong step is named, and is not taken.
fn judge(
    phase: &Phase,
    wrong: &Wrong,
    ran: &Ran,
    named: &mut BTreeSet<String>,
    unnamed: &mut Vec<String>,
) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let finding = wrong.findings.iter().find(|finding| said.contains(&format!("[{finding}]")));
    let Some(finding) = finding else {
        let (phase, name, findings) = (phase.name, wrong.name, wrong.findings);
        unnamed.push(format!("{phase}, {name}: none of {findings:?} is named\n{ran}"));
        return;
    };
    let is_warning = said.contains(&format!("warning[{finding}]"));
    if ran.code == 0 && !is_warning {
        unnamed.push(format!("{}, {}: it was taken\n{ran}", phase.name, wrong.name));
    }
    named.insert((*finding).to_owned());
}

/// Deploys what may not be deployed, and asks about what there is not.
fn deployments_done_wrong(life: &Life, phase: &Phase, tried: &mut usize) -> usize {
    let steps: [(&[&str], i32, &str); 8] = [
        (&["can-i-deploy", "shop", "--env", "moon"], 3, "nothing is recorded of moon"),
        (&["can-i-deploy", "shop@99", "--env", "prod"], 2, "nothing was published of shop as 99"),
        (&["can-i-deploy", "kiosk", "--env", "prod"], 2, "the dictionary has no service kiosk"),
        (&["record-deployment", "kiosk", "--env", "prod"], 2, "neither a service nor a version"),
        (
            &["record-deployment", "stock@0", "--env", "prod"],
            2,
            "nothing was published of stock as 0",
        ),
        (&["record-deployment", "shop", "--env", "a/b"], 2, "cannot name an environment"),
        (&["record-result", "stock", "--against", "shop", "--passed"], 2, "requires no API of"),
        (
            &["record-result", "shop", "--against", "kiosk", "--failed"],
            2,
            "the dictionary has no service kiosk",
        ),
    ];
    let count = steps.len();
    for (args, code, words) in steps {
        *tried += 1;
        let ran = life.must(phase, code, args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(words), "{}: {words:?} is not in\n{ran}", phase.name);
    }
    // The consumer before the provider, and with tests that failed: each is undone.
    *tried += 2;
    life.must(phase, 0, &["record-deployment", "stock", "--env", "prod", "--removed"]);
    let ran = life.must(phase, 1, &["can-i-deploy", "shop", "--env", "prod"]);
    assert!(ran.stdout.contains("none that provides it runs there"), "{ran}");
    life.must(phase, 0, &["record-deployment", "stock", "--env", "prod"]);
    life.must(phase, 0, &["record-result", "shop", "--against", "stock", "--failed"]);
    let ran = life.must(phase, 1, &["can-i-deploy", "shop", "--env", "prod"]);
    assert!(ran.stdout.contains("the tests of shop against stock failed"), "{ran}");
    life.must(phase, 0, &["record-result", "shop", "--against", "stock", "--passed"]);
    count + 2
}

/// Asks for a removal too early, or with a caller left.
fn removals_done_wrong(life: &Life, phase: &Phase, tried: &mut usize) -> usize {
    let end = phase.clock;
    let from = "2025-12-01T00:00:00Z";
    let mut asked = 0;
    let mut ask = |usage: &str, window: &str| {
        asked += 1;
        life.place.write("usage.json", usage);
        let args =
            ["can-i-remove", "stock@v1_20260101-1", "--usage", "usage.json", "--window", window];
        life.run(phase, &args)
    };
    let usage = |calls: &str, gaps: &str, instances: u32| {
        format!(
            r#"{{"schema":1,"api":"stock","version":"v1_20260101-1","from":"{from}","to":"{end}","instances":{instances},"calls":{{{calls}}},"gaps":[{gaps}]}}"#
        )
    };
    let ended = phase.name == "ended";
    let free = ask(&usage("", "", 2), "30d");
    assert_eq!(free.code, i32::from(!ended), "{}\n{free}", phase.name);
    let not_yes = [
        (usage("\"shop\":1", "", 2), "30d", "shop: 1 call"),
        (usage("\"unknown\":1", "", 2), "30d", "unknown: 1 call"),
        (usage("", "", 0), "30d", "no instance counted"),
        (usage("", r#"{"why":"restarted"}"#, 2), "30d", "restarted"),
        (usage("", "", 2), "400d", "the export is shorter"),
        ("{}".to_owned(), "30d", "calls are not known"),
    ];
    for (usage, window, words) in not_yes {
        let ran = ask(&usage, window);
        assert!(ran.code != 0, "{}: it is said to be free\n{ran}", phase.name);
        assert!(ran.stdout.contains(words), "{}: {words:?} is not in\n{ran}", phase.name);
    }
    *tried += asked;
    asked
}

/// Builds by a lock file that is missing, damaged, or says something else.
fn locks_done_wrong(
    life: &Life,
    phase: &Phase,
    tried: &mut usize,
    named: &mut BTreeSet<String>,
    unnamed: &mut Vec<String>,
) -> usize {
    let right = life.place.read("shop/api.lock");
    let check = ["check", "--ci", "--declaration", "shop/api.toml"];
    let resolved = format!("version = \"{}\"", phase.versions[0].name);
    let steps: [(&'static str, Option<String>, &'static [&'static str]); 3] = [
        ("no lock file", None, &["missing-lock"]),
        ("half a merge", Some(format!("<<<<<<< HEAD\n{right}")), &["invalid-lock"]),
        (
            "an older answer",
            Some(right.replace(&resolved, "version = \"v0_20200101-1\"")),
            &["stale-lock", "invalid-lock"],
        ),
    ];
    let count = steps.len();
    for (name, text, findings) in steps {
        if text.as_ref() == Some(&right) {
            continue;
        }
        *tried += 1;
        match &text {
            Some(text) => drop(life.place.write("shop/api.lock", text)),
            None => std::fs::remove_file(life.place.path().join("shop/api.lock")).expect("removed"),
        }
        // Without a lock file there must be a dictionary, and here is none.
        let ran = match &text {
            Some(_) => life.run(phase, &check),
            None => life.run(phase, &[&check[..], &["--dictionary", ""]].concat()),
        };
        judge(phase, &wrong(name, text, findings), &ran, named, unnamed);
    }
    life.place.write("shop/api.lock", &right);
    life.must(phase, 0, &check);
    count
}

#[cfg(feature = "http")]
#[test]
fn owners_are_told_through_a_webhook_that_fails_is_slow_and_answers_429() {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use crate::support::receiver::{Reply, Server};

    let life = Life::new();
    let phases = self::life();
    let mut taken = Vec::new();
    for phase in &phases {
        let asked = AtomicU32::new(0);
        // Each run meets a receiver that fails, hangs, is busy, and takes it then.
        let server = Server::start(move |_| match asked.fetch_add(1, SeqCst) {
            0 => Reply::Answer(503, vec![("retry-after", "0".into())], Vec::new()),
            1 => Reply::Hang,
            2 => Reply::Answer(429, vec![("retry-after", "0".into())], Vec::new()),
            _ => Reply::status(204),
        });
        life.take(phase);
        let args =
            ["notify", "--since-state", "seen.json", "--timeout", "1s", "--webhook", &server.url()];
        let ran = life.must(phase, 0, &args);
        let news: BTreeSet<String> = server
            .seen()
            .iter()
            .filter_map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).ok())
            .flat_map(|body| body["notice"]["changes"].as_array().cloned().unwrap_or_default())
            .filter_map(|change| change["change"].as_str().map(str::to_owned))
            .collect();
        taken.push((phase.name, news.into_iter().collect::<Vec<_>>().join(" ")));
        // Told once.
        let again = life.must(phase, 0, &args);
        assert!(again.stdout.contains("nothing changed"), "{ran}\n{again}");
    }
    assert_eq!(
        taken,
        [
            ("born", String::new()),
            ("a second version", String::new()),
            ("deprecated", "deprecated sunset-set".to_owned()),
            ("hot-fixed", "released".to_owned()),
            ("adopted", String::new()),
            ("moved", String::new()),
            ("ended", String::new()),
        ]
    );
    // One that never takes it leaves the news to be told.
    let server = Server::start(|_| Reply::status(400));
    let last = phases.last().expect("phases");
    let moved = Phase { clock: "2026-09-03T08:00:00Z", ..last.clone() };
    let text = moved.provider().replace(
        "description = \"v2.json\"",
        "description = \"v2.json\"\ndeprecated = 2026-09-03\nsunset = 2027-09-01",
    );
    life.place.declare("stock", &text);
    life.must(&moved, 0, &["publish", "--declaration", "stock/api.toml"]);
    let args = ["notify", "--since-state", "seen.json", "--webhook", &server.url()];
    for _ in 0..2 {
        let ran = life.must(&moved, 3, &args);
        assert!(ran.stdout.contains("answered 400"), "{ran}");
    }
}
