//! "A bugfix never breaks", held by the command.

use std::fs;

use crate::support::place::{Place, Ran};

const OLD: &str = r#"openapi: 3.0.3
info: {title: auth, version: "1"}
paths:
  /check:
    get:
      parameters: [{name: token, in: query, required: true, schema: {type: string}}]
      responses: {200: {description: ok}}
"#;

fn declaration(scheme: &str, versions: &str) -> String {
    let mut text = format!(
        "schema = 1\nservice = {{ name = \"auth\" }}\n\n[[provides]]\napi = \"auth\"\nscheme = \"{scheme}\"\ndescription = \"openapi.yaml\"\n"
    );
    for version in versions.split(' ') {
        text.push_str(&format!(
            "[[provides.versions]]\nversion = \"{version}\"\nreleased = 2026-01-01\n"
        ));
    }
    text
}

/// A service whose first version is published with its description.
fn published(scheme: &str, version: &str) -> Place {
    let place = Place::new();
    place.write("auth/openapi.yaml", OLD);
    place.declare("auth", &declaration(scheme, version));
    place.publish("auth");
    place
}

fn publish(place: &Place, code: i32, more: &[&str]) -> Ran {
    let args = ["publish", "--declaration", "auth/api.toml"];
    place.expect(code, &[&args[..], more].concat())
}

#[test]
fn the_description_is_stored_by_its_digest() {
    let place = published("main-minor", "1.1");
    let files: Vec<_> = fs::read_dir(place.path().join("dictionary/contracts"))
        .expect("a folder")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("hex"))
        .collect();
    assert_eq!(files.len(), 1);
    assert_eq!(place.read(&format!("dictionary/contracts/{}", files[0])), OLD);
    let document: serde_json::Value =
        serde_json::from_str(&place.read("dictionary/services/auth/1.json")).expect("json");
    let contract = &document["contracts"]["auth"]["1.1"];
    assert_eq!(contract["file"], "openapi.yaml");
    assert_eq!(contract["digest"], format!("sha256:{}", files[0]));
    // A service without descriptions publishes documents as it always did.
    place.declare("b", "schema = 1\nservice = { name = \"b\" }\n");
    place.publish("b");
    assert!(!place.read("dictionary/services/b/1.json").contains("contracts"));
}

#[test]
fn a_compatible_version_that_breaks_is_denied_with_each_change() {
    for (scheme, first, next) in [
        ("main-date-bugfix", "v1_20171001-1", "v1_20171001-2"),
        ("main-minor", "1.1", "1.2"),
        ("semver", "1.1.0", "1.1.1"),
        ("semver", "1.1.0", "1.2.0"),
        ("semver", "0.1.0", "0.1.1"),
    ] {
        let place = published(scheme, first);
        place.write("auth/openapi.yaml", &OLD.replace("/check", "/verify"));
        place.declare("auth", &declaration(scheme, &format!("{first} {next}")));
        for ran in [
            publish(&place, 1, &[]),
            publish(&place, 1, &["--dry-run"]),
            place.expect(1, &["check", "--declaration", "auth/api.toml"]),
        ] {
            for part in [
                "error[breaking-in-compatible-version]",
                next,
                first,
                "breaking[path-removed]: /check: it is gone, at /paths/~1check",
                "calls to it get a 404",
            ] {
                assert!(ran.stderr.contains(part), "{scheme}: {part}\n{ran}");
            }
        }
        assert!(!place.path().join("dictionary/services/auth/2.json").exists());
    }
}

/// Each was compatible without a word.
#[test]
fn what_hides_in_names_and_defaults_is_found() {
    const OK: &str = "{200: {description: ok}}";
    let default = "{default: {description: any, content: {text/plain: {}}}}";
    let header =
        "{200: {description: ok, headers: {x-left: {required: true, schema: {type: integer}}}}}";
    let content =
        header.replace("schema: {", "content: {a/b: {schema: {").replace("integer}", "integer}}}");
    for (old, new, rule) in [
        (default, OK, "response-media-type-removed"),
        (header, OK, "required-response-header-removed"),
        (&content, &content.replace("integer", "string"), "response-type-widened"),
    ] {
        let place = Place::new();
        place.write("auth/openapi.yaml", &OLD.replace(OK, old));
        place.declare("auth", &declaration("semver", "1.1.0"));
        place.publish("auth");
        place.write("auth/openapi.yaml", &OLD.replace(OK, new));
        place.declare("auth", &declaration("semver", "1.1.0 1.1.1"));
        let ran = publish(&place, 1, &[]);
        assert!(ran.stderr.contains(&format!("breaking[{rule}]")), "{rule}: {ran}");
    }
}

#[test]
fn a_version_that_may_break_may() {
    for (scheme, first, next) in [
        ("main-date-bugfix", "v1_20171001-1", "v1_20261001-1"),
        ("main-minor", "1.1", "2.0"),
        ("semver", "1.1.0", "2.0.0"),
        ("semver", "0.1.0", "0.2.0"),
        ("exact", "blue", "green"),
    ] {
        let place = published(scheme, first);
        place.write("auth/openapi.yaml", &OLD.replace("/check", "/verify"));
        place.declare("auth", &declaration(scheme, &format!("{first} {next}")));
        let ran = publish(&place, 0, &[]);
        assert!(!ran.stderr.contains("breaking"), "{scheme}: {ran}");
        let document: serde_json::Value =
            serde_json::from_str(&place.read("dictionary/services/auth/2.json")).expect("json");
        // Each version keeps the description that it was published with.
        let contracts = &document["contracts"]["auth"];
        assert_ne!(contracts[first]["digest"], contracts[next]["digest"]);
    }
}

#[test]
fn a_released_description_may_only_get_better() {
    let place = published("main-minor", "1.1");
    place.write("auth/openapi.yaml", &OLD.replace("responses", "summary: more\n      responses"));
    publish(&place, 0, &[]);
    let ran = publish(&place, 0, &[]);
    assert!(ran.stdout.contains("nothing new"), "{ran}");
    place.write("auth/openapi.yaml", &OLD.replace("name: token", "name: key"));
    let ran = publish(&place, 1, &[]);
    assert!(ran.stderr.contains("breaks what was published with it"), "{ran}");
    assert!(ran.stderr.contains("required-parameter-added"), "{ran}");
}

#[test]
fn what_is_missing_or_no_description_is_an_error() {
    let place = published("main-minor", "1.1");
    for (text, reason) in [
        (None, "does not exist"),
        (Some("openapi: 3.0.0\nopenapi: 3.0.0\n"), "is doubled"),
        (Some("a: 1\n"), "no description that is known"),
    ] {
        match text {
            None => fs::remove_file(place.path().join("auth/openapi.yaml")).expect("removed"),
            Some(text) => drop(place.write("auth/openapi.yaml", text)),
        }
        let ran = publish(&place, 2, &[]);
        assert!(ran.stderr.contains("error[missing-description]"), "{ran}");
        assert!(ran.stderr.contains(reason), "{reason}: {ran}");
        assert!(ran.stderr.contains("auth/api.toml:7"), "{ran}");
    }
}

#[test]
fn versions_side_by_side_have_descriptions_of_their_own() {
    let place = Place::new();
    place.write("auth/one.yaml", OLD);
    place.write("auth/openapi.yaml", &OLD.replace("/check", "/verify"));
    let text = |more: &str| {
        declaration("main-minor", "1.1 2.0").replace(
            "version = \"1.1\"\n",
            &format!("version = \"1.1\"\ndescription = \"one.yaml\"\n{more}"),
        )
    };
    place.declare("auth", &text(""));
    publish(&place, 0, &[]);
    place.write("auth/one.yaml", &OLD.replace("/check", "/gone"));
    let ran = publish(&place, 1, &[]);
    assert!(
        ran.stderr.contains("auth 1.1 breaks what was published")
            || ran.stderr.contains("the description of auth 1.1 breaks"),
        "{ran}"
    );
}

#[test]
fn what_cannot_be_compared_is_never_compatible() {
    let place = published("main-minor", "1.1");
    place.declare("auth", &declaration("main-minor", "1.1 1.2"));
    place.write("auth/openapi.yaml", "asyncapi: 3.0.0\n");
    let ran = publish(&place, 0, &["--dry-run"]);
    assert!(ran.stderr.contains("warning[unchecked-description]"), "{ran}");
    assert!(ran.stderr.contains("they cannot be compared"), "{ran}");
    // A dictionary that lost the older text, and one that was tampered with.
    place.write("auth/openapi.yaml", &OLD.replace("ok", "fine"));
    let folder = place.path().join("dictionary/contracts");
    let file = fs::read_dir(folder).expect("a folder").next().expect("a file").expect("a file");
    fs::write(file.path(), "openapi: 3.0.0").expect("written");
    let ran = publish(&place, 0, &["--dry-run"]);
    assert!(ran.stderr.contains("has another digest"), "{ran}");
    fs::remove_file(file.path()).expect("removed");
    let ran = publish(&place, 0, &["--dry-run"]);
    assert!(ran.stderr.contains("is missing"), "{ran}");
}

#[test]
fn the_policy_and_the_json_say_it_too() {
    let place = published("main-minor", "1.1");
    place.write("auth/openapi.yaml", &OLD.replace("/check", "/verify"));
    let text = declaration("main-minor", "1.1 1.2");
    place
        .declare("auth", &format!("{text}\n[policy]\nbreaking-in-compatible-version = \"warn\"\n"));
    let ran = publish(&place, 0, &["--format", "json"]);
    let found = &ran.json()["diagnostics"][0];
    assert_eq!(found["finding"], "breaking-in-compatible-version");
    assert_eq!(found["level"], "warn");
    assert_eq!((found["api"].as_str(), found["version"].as_str()), (Some("auth"), Some("1.2")));
    assert!(found["notes"][0].as_str().expect("a change").contains("/paths/~1check"));
}

#[test]
fn ci_systems_are_told_in_their_own_forms() {
    let place = published("main-minor", "1.1");
    place.write("auth/openapi.yaml", &OLD.replace("/check", "/verify"));
    place.declare("auth", &declaration("main-minor", "1.1 1.2"));
    let ran = publish(&place, 1, &["--format", "github"]);
    let line = ran.stdout.lines().next().expect("a line");
    let start = "::error title=breaking-in-compatible-version,file=auth/api.toml,line=12,col=11";
    assert!(line.starts_with(start), "{ran}");
    assert!(line.contains("%0Abreaking[path-removed]"), "{ran}");
    assert_eq!(ran.stdout.lines().count(), 1, "{ran}");

    let report = publish(&place, 1, &["--format", "gitlab"]).json();
    assert_eq!(report[0]["check_name"], "breaking-in-compatible-version");
    assert_eq!(report[0]["location"]["path"], "auth/api.toml");
    assert_eq!(report[0]["location"]["lines"]["begin"], 12);
    assert_eq!(report[0]["fingerprint"].as_str().map(str::len), Some(64));

    let xml = publish(&place, 1, &["--format", "junit"]).stdout;
    assert!(xml.contains("tests=\"1\" failures=\"1\""), "{xml}");
    assert!(xml.contains("<failure type=\"breaking-in-compatible-version\""), "{xml}");
    assert!(xml.contains("/paths/~1check") && xml.ends_with("</testsuites>\n"), "{xml}");

    place.declare("auth", &declaration("main-minor", "1.1"));
    place.write("auth/openapi.yaml", OLD);
    assert_eq!(publish(&place, 0, &["--format", "github"]).stdout, "");
    assert_eq!(publish(&place, 0, &["--format", "gitlab"]).json(), serde_json::json!([]));
    let xml = publish(&place, 0, &["--format", "junit"]).stdout;
    assert!(xml.contains("nothing found"), "{xml}");
    // Errors without a place are told too, and no command writes a form that it does not have.
    let ran = place.expect(2, &["check", "--format", "github", "--declaration", "none.toml"]);
    assert!(ran.stdout.starts_with("::error title=error::none.toml does not exist"), "{ran}");
    place.expect(2, &["graph", "--format", "junit"]);
}

#[cfg(unix)]
#[test]
fn another_tool_may_compare() {
    let place = published("main-minor", "1.1");
    place.write("auth/openapi.yaml", &OLD.replace("/check", "/verify"));
    place.declare("auth", &declaration("main-minor", "1.1 1.2"));
    let ran = publish(&place, 0, &["--dry-run", "--contract-command", "test -f {old} -a -f {new}"]);
    assert!(!ran.stderr.contains("breaking"), "{ran}");
    let with = |command: &str| {
        let text = declaration("main-minor", "1.1 1.2");
        place.declare(
            "auth",
            &text.replace(
                "\ndescription",
                &format!("\ncontract-command = \"{command}\"\ndescription"),
            ),
        );
    };
    with("diff {old} {new}");
    let ran = publish(&place, 1, &["--dry-run"]);
    assert!(ran.stderr.contains("<   /check:"), "{ran}");
    with("no-such-tool {old} {new}");
    let ran = publish(&place, 0, &["--dry-run"]);
    assert!(ran.stderr.contains("cannot start no-such-tool"), "{ran}");
    with("diff {old}");
    let ran = publish(&place, 0, &["--dry-run"]);
    assert!(ran.stderr.contains("must name the files"), "{ran}");
}

#[test]
fn the_dictionary_may_be_named_in_the_declaration() {
    let place = Place::new();
    place.write("auth/openapi.yaml", OLD);
    let text = declaration("main-minor", "1.1");
    place.declare(
        "auth",
        &text.replace("name = \"auth\" }", "name = \"auth\", dictionary = \"../dictionary\" }"),
    );
    let mut command = place.command(&["publish", "--declaration", "auth/api.toml"]);
    let ran = place.finish(command.env_remove("MESHWISE_DICTIONARY"));
    assert_eq!(ran.code, 0, "{ran}");
    let document = place.read("dictionary/services/auth/1.json");
    assert!(!document.contains("../dictionary"), "{document}");
    // What is given by hand comes first.
    let ran = place.run(&["publish", "--declaration", "auth/api.toml", "--dictionary", "none"]);
    assert_eq!(ran.code, 2, "{ran}");
}

/// A response whose property `more` is of a type, or is not told.
fn with_more(kind: &str) -> String {
    let more = match kind {
        "" => String::new(),
        kind => format!(", more: {{type: {kind}}}"),
    };
    let schema = format!("{{type: object, properties: {{id: {{type: string}}{more}}}}}");
    OLD.replace(
        "{description: ok}",
        &format!("{{description: ok, content: {{application/json: {{schema: {schema}}}}}}}"),
    )
}

#[test]
fn steps_that_hurt_no_one_alone_may_not_break_callers_together() {
    let proto = |fields: &str| {
        format!("syntax = \"proto3\"; package auth.v1; message Token {{ {fields} }}")
    };
    let openapi = ["string", "", "integer"].map(with_more).to_vec();
    let fields = [
        "string a = 1; int32 b = 2;",
        "string a = 1; reserved 2; reserved \"b\";",
        "string a = 1;",
    ];
    for (file, texts, rule) in [
        ("openapi.yaml", openapi, "response-type-widened"),
        ("auth.proto", fields.map(proto).to_vec(), "proto-field-removed-not-reserved"),
    ] {
        // One version, described anew each time; and a version for each step, of which the ones between
        // are gone by then.
        for versions in [vec!["1.1"], vec!["1.1", "1.2", "1.3"]] {
            let place = Place::new();
            let last = texts.len() - 1;
            for (step, text) in texts.iter().enumerate() {
                let known = &versions[..versions.len().min(step + 1)];
                place.write(&format!("auth/{file}"), text);
                let declared = declaration("main-minor", &known.join(" "));
                place.declare("auth", &declared.replace("openapi.yaml", file));
                let ran = publish(&place, i32::from(step == last), &[]);
                if step == last {
                    assert!(ran.stderr.contains("breaking-in-compatible-version"), "{ran}");
                    assert!(ran.stderr.contains(rule), "{file}, {versions:?}: {rule}\n{ran}");
                    place.expect(1, &["check", "--declaration", "auth/api.toml"]);
                }
            }
        }
    }
}

#[test]
fn what_hurts_some_callers_is_a_warning_when_it_is_published() {
    let place = published("main-minor", "1.1");
    place.write("auth/openapi.yaml", &with_more("string"));
    publish(&place, 0, &[]);
    place.declare("auth", &declaration("main-minor", "1.1 1.2"));
    place.write("auth/openapi.yaml", &with_more(""));
    let check = ["check", "--declaration", "auth/api.toml"];
    for ran in [place.expect(0, &check), publish(&place, 0, &[])] {
        let warning = "warning[risky-in-compatible-version]: auth 1.2 may hurt callers of 1.1";
        assert!(ran.stderr.contains(warning), "{ran}");
        assert!(ran.stderr.contains("optional-response-property-removed"), "{ran}");
    }
    // Once.
    for ran in [place.expect(0, &check), publish(&place, 0, &[])] {
        assert!(!ran.stderr.contains("risky"), "{ran}");
    }
    // A policy may forbid it.
    let strict = "[policy]\nrisky-in-compatible-version = \"deny\"\n";
    place.declare("auth", &format!("{}{strict}", declaration("main-minor", "1.1 1.2 1.3")));
    place.write("auth/openapi.yaml", &with_more("").replace("id: {type: string}", ""));
    assert!(publish(&place, 1, &[]).stderr.contains("error[risky-in-compatible-version]"));
}

#[test]
fn a_break_that_was_allowed_is_told_once() {
    let place = published("main-minor", "1.1");
    let verify = OLD.replace("/check", "/verify");
    let allow = "\n[policy]\nbreaking-in-compatible-version = \"warn\"\n";
    place.write("auth/openapi.yaml", &verify);
    place.declare("auth", &format!("{}{allow}", declaration("main-minor", "1.1")));
    let ran = publish(&place, 0, &[]);
    assert!(ran.stderr.contains("warning[breaking-in-compatible-version]"), "{ran}");
    place.declare("auth", &declaration("main-minor", "1.1"));
    place.write("auth/openapi.yaml", &verify.replace("description: ok", "description: fine"));
    let ran = publish(&place, 0, &[]);
    assert!(!ran.stderr.contains("breaking"), "{ran}");
    // What breaks the first anew is told all the same.
    place.write("auth/openapi.yaml", &verify.replace("name: token", "name: key"));
    publish(&place, 1, &[]);
}

/// A declaration of a service that provides auth 1.1 and shares it.
fn provider(service: &str, shared_with: &str) -> String {
    declaration("main-minor", "1.1")
        .replace("\"auth\" }", &format!("\"{service}\" }}"))
        .replace("scheme", &format!("shared-with = [\"{shared_with}\"]\nscheme"))
}

#[test]
fn who_takes_an_api_over_takes_its_promises() {
    let place = Place::new();
    place.declare("auth", &provider("auth", "login"));
    for more in ["string", ""] {
        place.write("auth/openapi.yaml", &with_more(more));
        publish(&place, 0, &[]);
    }
    let describe = |service: &str, code, text: &str| {
        place.write(&format!("{service}/openapi.yaml"), text);
        let file = format!("{service}/api.toml");
        place.expect(code, &["publish", "--declaration", &file])
    };
    let leave = |service: &str| {
        place.declare(service, &format!("schema = 1\nservice = {{ name = \"{service}\" }}\n"));
        place.expect(0, &["publish", "--declaration", &format!("{service}/api.toml")]);
    };
    // It keeps them each time it publishes, though its own description alone would allow this.
    let keeps = |service: &str| {
        let ran = describe(service, 1, &with_more("integer"));
        assert!(ran.stderr.contains("breaking-in-compatible-version"), "{ran}");
        assert!(ran.stderr.contains("response-type-widened"), "{ran}");
        place.expect(1, &["check", "--declaration", &format!("{service}/api.toml")]);
        describe(service, 0, &with_more("").replace("description: ok", "description: fine"));
    };
    place.declare("login", &provider("login", "door"));
    let ran = describe("login", 1, &with_more("").replace("/check", "/verify"));
    assert!(ran.stderr.contains("breaking-in-compatible-version"), "{ran}");
    describe("login", 0, &with_more(""));
    keeps("login");
    // Also when the former one says nothing of the API any more, and when a third one has it.
    leave("auth");
    place.expect(0, &["publish", "--declaration", "auth/api.toml"]);
    keeps("login");
    place.declare("door", &provider("door", "none"));
    let ran = describe("door", 1, &with_more("integer"));
    assert!(ran.stderr.contains("response-type-widened"), "{ran}");
    describe("door", 0, &with_more(""));
    leave("login");
    keeps("door");
    // And under another name.
    place.expect(0, &["rename", "gate", "--declaration", "door/api.toml"]);
    keeps("door");
    describe("door", 0, &with_more("string"));
}

#[test]
fn what_ended_with_its_service_binds_no_one() {
    let place = Place::new();
    let ends = |place: &Place, more: &str, service: &str| {
        place.write(&format!("{service}/openapi.yaml"), &with_more(more));
        place.declare(
            service,
            &declaration("main-minor", "1.1").replace("\"auth\" }", &format!("\"{service}\" }}")),
        );
    };
    ends(&place, "string", "auth");
    let ended = place.read("auth/api.toml") + "sunset = 2026-01-01\n";
    place.declare("auth", &ended);
    publish(&place, 0, &[]);
    place.expect(0, &["retire", "--declaration", "auth/api.toml"]);
    ends(&place, "integer", "login");
    let text = place.read("login/api.toml").replace("\"1.1\"", "\"1.2\"");
    place.declare("login", &text);
    place.expect(0, &["publish", "--declaration", "login/api.toml"]);
}

#[test]
fn a_break_that_was_allowed_at_a_takeover_is_told_once() {
    let place = published("main-minor", "1.1");
    let shared =
        declaration("main-minor", "1.1").replace("scheme", "shared-with = [\"login\"]\nscheme");
    place.declare("auth", &shared);
    publish(&place, 0, &[]);
    let taken = declaration("main-minor", "1.1").replace("\"auth\" }", "\"login\" }");
    let verify = OLD.replace("/check", "/verify");
    let login = |code, declared: &str, text: &str| {
        place.declare("login", declared);
        place.write("login/openapi.yaml", text);
        place.expect(code, &["publish", "--declaration", "login/api.toml"])
    };
    let allow = "\n[policy]\nbreaking-in-compatible-version = \"warn\"\n";
    let ran = login(0, &format!("{taken}{allow}"), &verify);
    assert!(ran.stderr.contains("warning[breaking-in-compatible-version]"), "{ran}");
    let ran = login(0, &taken, &verify.replace("description: ok", "description: fine"));
    assert!(!ran.stderr.contains("breaking"), "{ran}");
}
