//! Each rule against its fixtures, from `cargo metadata` that was recorded and cut down: no network
//! and no Cargo are needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    facts::Facts,
    graph::{Graph, Wanted},
    manifest::Manifest,
    report,
    rule::{self, Finding},
    rules,
    source::Source,
};

/// One case: a service, its surroundings, and what is to be found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    /// What the case shows.
    about: String,
    /// `cargo metadata`, cut down to the packages that matter; or the file of another fixture,
    /// `../other-rule/pass-x.json`, to take it from.
    metadata: serde_json::Value,
    #[serde(default)]
    package: Option<String>,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Files by path: `Cargo.toml`, `../Cargo.toml` for the workspace, sources.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Rules that fire besides the one of the folder.
    #[serde(default)]
    also: BTreeSet<String>,
    /// Texts that the report holds.
    #[serde(default)]
    says: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/doctor")
}

fn read(path: &Path) -> Fixture {
    let text = std::fs::read_to_string(path).expect("a fixture");
    let mut fixture: Fixture =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if let Some(other) = fixture.metadata.as_str() {
        fixture.metadata = read(&path.parent().expect("a folder").join(other)).metadata;
    }
    fixture
}

impl Fixture {
    fn facts(&self) -> Facts {
        let metadata = serde_json::from_value(self.metadata.clone()).expect("cargo metadata");
        let wanted = Wanted { features: self.features.clone(), ..Wanted::default() };
        let graph = Graph::new(metadata, self.package.as_deref(), &wanted).expect("a graph");
        let file = |name: &str| self.files.get(name).cloned();
        Facts {
            manifest: Manifest::new("Cargo.toml", file("Cargo.toml").unwrap_or_default()),
            workspace: file("../Cargo.toml").map(|text| Manifest::new("../Cargo.toml", text)),
            sources: self
                .files
                .iter()
                .filter(|(path, _)| path.ends_with(".rs"))
                .map(|(path, text)| Source::new(path, text))
                .collect(),
            env: self.env.clone(),
            graph,
        }
    }

    fn findings(&self) -> Vec<Finding> {
        rule::examine(&rules::all(), &self.facts(), &[])
    }
}

fn fixtures() -> Vec<(String, String, Fixture)> {
    let mut all = Vec::new();
    for rule in std::fs::read_dir(folder()).expect("fixtures").flatten() {
        for case in std::fs::read_dir(rule.path()).expect("cases").flatten() {
            let name =
                |path: PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
            all.push((name(rule.path()), name(case.path()), read(&case.path())));
        }
    }
    all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    all
}

fn reported(findings: &[Finding]) -> String {
    let text: Vec<String> = findings.iter().map(report::text).collect();
    anstream::adapter::strip_str(&text.join("\n")).to_string()
}

#[test]
fn every_rule_agrees_with_its_fixtures() {
    for (rule, case, fixture) in fixtures() {
        let findings = fixture.findings();
        let found: BTreeSet<String> = findings.iter().map(|f| f.rule.to_owned()).collect();
        let mut wanted = fixture.also.clone();
        if case.starts_with("fail-") {
            wanted.insert(rule.clone());
        } else {
            assert!(case.starts_with("pass-"), "{rule}/{case}: name it pass-... or fail-...");
            assert!(!wanted.contains(&rule), "{rule}/{case} is to pass");
        }
        let text = reported(&findings);
        assert_eq!(found, wanted, "{rule}/{case}: {}\n{text}", fixture.about);
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for says in &fixture.says {
            assert!(flat(&text).contains(&flat(says)), "{rule}/{case} lacks {says:?}:\n{text}");
        }
    }
}

#[test]
fn every_rule_has_fixtures_and_every_fixture_a_rule() {
    let all = fixtures();
    let ids: BTreeSet<&str> = rules::all().iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules::all().len(), "two rules have one name");
    for id in &ids {
        for kind in ["pass-", "fail-"] {
            assert!(
                all.iter().any(|(rule, case, _)| rule == id && case.starts_with(kind)),
                "{id} has no fixture that begins with {kind}"
            );
        }
    }
    for (rule, _, _) in &all {
        assert!(ids.contains(rule.as_str()), "no rule {rule}");
    }
}

#[test]
fn every_finding_says_what_to_change() {
    for (rule, case, fixture) in fixtures() {
        for finding in fixture.findings() {
            assert!(!finding.hit.help.is_empty(), "{rule}/{case}: {} has no help", finding.rule);
            assert!(finding.reference.starts_with("https://"), "{}", finding.rule);
            for text in [finding.summary, finding.why, &finding.hit.message] {
                assert!(!text.ends_with('.'), "{}: {text}", finding.rule);
            }
        }
    }
}

#[test]
fn an_allowed_rule_is_left_out() {
    let (rule, _, fixture) = fixtures()
        .into_iter()
        .find(|(_, case, fixture)| case.starts_with("fail-") && fixture.also.is_empty())
        .expect("a fixture");
    assert!(rule::examine(&rules::all(), &fixture.facts(), &[rule]).is_empty());
}

#[test]
fn the_report_reads_like_the_compilers() {
    let fixture = read(&folder().join("two-opentelemetry-lines/fail-reqwest-tracing.json"));
    insta::assert_snapshot!(reported(&fixture.findings()));
}
