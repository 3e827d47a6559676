//! The check without cargo: each thing that a build script may meet.

use std::{fs, path::Path};

use meshwise_api::{Date, Declaration, Draft, Verdict};
use meshwise_build::{Check, Error, Report, TodaySource};

use crate::service::{TODAY, place, write};

struct Service {
    folder: tempfile::TempDir,
}

impl Service {
    fn new(api: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("out")).expect("created");
        let service = Self { folder };
        service.write("api.toml", &format!("schema = 1\nservice = {{ name = \"orders\" }}\n{api}"));
        service
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("written");
    }

    fn check(&self) -> Check {
        Check::new(self.path(), self.path().join("out")).with_today(today())
    }

    /// Runs a check; returns what it printed, with the folder's name replaced.
    fn run(&self, check: &Check) -> (Result<Report, Error>, String) {
        let mut out = Vec::new();
        let result = check.run_to(&mut out);
        let out = String::from_utf8(out).expect("UTF-8");
        (result, out.replace(&self.path().display().to_string(), "PACKAGE"))
    }

    fn generated(&self) -> String {
        fs::read_to_string(self.path().join("out/meshwise_api.rs")).expect("generated")
    }
}

fn today() -> Date {
    TODAY.parse().expect("a day")
}

const NEEDS_AUTH: &str = "requires = [{ api = \"auth\", version = \"1.1\" }]\n";

#[test]
fn what_is_printed_is_for_cargo() {
    let service = Service::new("");
    place("deprecated-version", "fail", service.path());
    let (result, out) = service.run(&service.check());
    let report = result.expect("a warning only");
    assert_eq!(report.checked.requirements[0].verdict, Verdict::Compatible);
    assert_eq!(report.source_of_today, TodaySource::Builder);
    assert_eq!(report.today(), today());
    insta::assert_snapshot!(out);
    insta::assert_snapshot!(service.generated());
}

#[test]
fn only_what_exists_is_watched() {
    let service = Service::new(NEEDS_AUTH);
    let (result, out) =
        service.run(&service.check().with_variable("MESHWISE_DICTIONARY", "nowhere"));
    assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
    assert!(out.contains("rerun-if-changed=PACKAGE/api.toml\n"), "{out}");
    assert!(!out.contains("api.lock") && !out.contains("nowhere"), "{out}");
    for name in ["MESHWISE_TODAY", "SOURCE_DATE_EPOCH", "MESHWISE_DICTIONARY", "CI", "DOCS_RS"] {
        assert!(out.contains(&format!("cargo::rerun-if-env-changed={name}\n")), "{out}");
    }
}

#[test]
fn the_variable_means_the_same_as_for_the_command() {
    // A URL, and a bucket: the build asks nothing but api.lock.
    for url in ["https://dict.example.com/", "s3://bucket/dict", "http://127.0.0.1:1/"] {
        let service = Service::new(NEEDS_AUTH);
        let (result, _) = service.run(&service.check().with_variable("MESHWISE_DICTIONARY", url));
        let report = result.expect("as without");
        assert_eq!(report.checked.requirements[0].verdict, Verdict::Unchecked, "{url}");
    }
    // A folder of the workspace, seen from one of its packages.
    let service = Service::new(NEEDS_AUTH);
    let above = service.path().parent().expect("a folder above");
    let shared = tempfile::tempdir_in(above).expect("a folder");
    let name = shared.path().file_name().expect("a name").to_str().expect("ASCII");
    let (result, _) = service.run(&service.check().with_variable("MESHWISE_DICTIONARY", name));
    // It is found, and it is empty: nothing provides the API.
    assert!(matches!(result, Err(Error::Denied { .. })), "{result:?}");
}

#[test]
fn a_missing_lock_is_denied_in_ci_and_is_never_compatible() {
    let service = Service::new(NEEDS_AUTH);
    for (variables, fails) in [
        (&[][..], false),
        (&[("CI", "true")], true),
        (&[("CI", "woodpecker")], true),
        (&[("CI", "false")], false),
        (&[("CI", "")], false),
        (&[("CI", "true"), ("DOCS_RS", "1")], false),
    ] {
        let check = variables
            .iter()
            .fold(service.check(), |check, (name, value)| check.with_variable(*name, *value));
        let (result, out) = service.run(&check);
        assert_eq!(result.is_err(), fails, "{variables:?}");
        if let Ok(report) = result {
            assert_eq!(report.checked.requirements[0].verdict, Verdict::Unchecked);
            assert!(report.checked.is_undetermined());
            assert!(out.contains("cargo::warning=api.toml:3:1"), "{out}");
            assert!(out.contains("1 requirements, 1 of them unchecked"), "{out}");
        }
    }
}

#[test]
fn docs_are_built_whatever_is_wrong() {
    let service = Service::new("nonsense = 1");
    let check = service.check().with_variable("DOCS_RS", "1");
    let (result, out) = service.run(&check);
    assert!(result.expect("docs").declaration.is_none());
    assert!(out.contains("cargo::warning=error[unknown-key]"), "{out}");
    assert!(service.generated().starts_with("meshwise_api::Declared::new("));
    place("retired-version", "fail", service.path());
    let (result, out) = service.run(&check);
    assert!(result.expect("docs").checked.is_denied());
    assert!(out.contains("[retired-version]"), "{out}");
    assert!(service.generated().contains("RequiredApi"));
}

#[test]
fn errors_say_what_and_where_and_what_to_do() {
    let mut told = String::new();
    let service = Service::new("");
    fs::remove_file(service.path().join("api.toml")).expect("removed");
    let mut tell = |service: &Service, check: &Check| {
        let error = service.run(check).0.expect_err("wrong");
        let text =
            format!("{error:?}\n\n").replace(&service.path().display().to_string(), "PACKAGE");
        told.push_str(&text.replace(
            &service.path().file_name().expect("a name").to_string_lossy().into_owned(),
            "orders",
        ));
    };
    tell(&service, &service.check());
    tell(
        &service,
        &Check::new(service.path(), "nowhere").with_variable("MESHWISE_TODAY", "yesterday"),
    );
    place("sunset-passed", "fail", service.path());
    tell(&service, &service.check());
    place("sunset-passed", "pass", service.path());
    tell(&service, &Check::new(service.path(), service.path().join("nowhere")).with_today(today()));
    service.write("api.toml", &"x".repeat(10_000_000));
    tell(&service, &service.check());
    insta::assert_snapshot!(told);
}

#[test]
fn a_dictionary_is_asked_in_place_of_the_lock_file() {
    let service = Service::new(NEEDS_AUTH);
    let auth = "schema = 1\nservice = { name = \"auth\" }\n[[provides]]\napi = \"auth\"\nscheme = \"main-minor\"\nversions = [{ version = \"1.4\", released = 2024-01-01 }]";
    let auth = Declaration::parse("api.toml", auth).expect("well-formed");
    let document = Draft::new(auth, today().into(), "ci").seal(None).expect("sealed");
    let folder = service.path().join("dictionary");
    write(&folder, &document);
    // What writers leave beside the documents for a moment is none of them.
    for name in ["1.json#1", "index.json", ".tmp", "2.json~"] {
        fs::write(folder.join("services/auth").join(name), "{").expect("written");
    }
    let check = service.check().with_dictionary("dictionary");
    let (result, out) = service.run(&check);
    let report = result.expect("compatible");
    assert_eq!(report.checked.requirements[0].verdict, Verdict::Compatible);
    assert!(out.contains("cargo::rerun-if-changed=PACKAGE/dictionary\n"), "{out}");
    assert!(!out.contains("cargo::warning"), "{out}");

    // A document that was moved, changed or left alone is named, and what needs it is not checked.
    let unchecked = |words: &str| {
        let (result, out) = service.run(&check);
        let report = result.expect("a warning");
        assert_eq!(report.checked.requirements[0].verdict, Verdict::Unchecked, "{out}");
        assert!(out.contains("cargo::warning=the dictionary's auth cannot be read"), "{out}");
        assert!(out.contains(words), "{words:?} is not in {out}");
    };
    let path = folder.join("services/auth/1.json");
    fs::rename(&path, folder.join("services/auth/2.json")).expect("moved");
    unchecked("1.json is missing");
    fs::rename(folder.join("services/auth/2.json"), &path).expect("moved");
    fs::write(&path, document.to_json().replace("1.4", "1.5")).expect("written");
    unchecked("was changed after it was published");
    fs::write(&path, document.to_json().replace("\"schema\":1", "\"schema\":7")).expect("written");
    unchecked("schema");
    let thief = folder.join("services/thief");
    fs::create_dir_all(&thief).expect("made");
    fs::write(&path, document.to_json()).expect("written");
    fs::write(thief.join("1.json"), document.to_json()).expect("written");
    let (result, out) = service.run(&check);
    assert_eq!(result.expect("fine").checked.requirements[0].verdict, Verdict::Compatible);
    assert!(out.contains("holds what belongs to services/auth/1.json"), "{out}");
}

#[test]
fn the_organisation_s_policy_in_the_folder_holds() {
    let service =
        Service::new("requires = [{ api = \"auth\", version = \"1.1\", since = 2020-06-01 }]\n");
    let auth = "schema = 1\nservice = { name = \"auth\" }\n[[provides]]\napi = \"auth\"\nscheme = \"main-minor\"\nversions = [{ version = \"1.4\", released = 2020-01-01, deprecated = 2021-01-01 }]";
    let auth = Declaration::parse("api.toml", auth).expect("well-formed");
    let document = Draft::new(auth, "2021-01-01T00:00:00Z".parse().expect("a moment"), "ci");
    let folder = service.path().join("dictionary");
    write(&folder, &document.seal(None).expect("sealed"));
    let check = service.check().with_dictionary("dictionary");
    let policy = |text: &str| fs::write(folder.join("policy.toml"), text).expect("written");
    assert!(service.run(&check).0.is_ok(), "without a policy it is warned of");
    policy("schema = 1\ndeprecated-version = \"deny\"\n");
    let denied = service.run(&check).0.expect_err("denied").to_string();
    assert!(denied.contains("deprecated-version"), "{denied}");
    policy("schema = 1\ndeprecatd-version = \"deny\"\n");
    let unknown = service.run(&check).0.expect_err("not valid").to_string();
    assert!(unknown.contains("deprecatd-version"), "{unknown}");
}

#[test]
fn texts_cannot_speak_to_cargo() {
    let service = Service::new(
        "[[requires]]\napi = \"auth\"\nversion = \"1.1\"\nsince = 2024-01-01\nreason = \"x\\ncargo::rustc-env=EVIL=1\\r\\n\\u001b[2J\"\n",
    );
    let lock = crate::service::fixtures().join("deprecated-version/fail/api.lock");
    fs::copy(lock, service.path().join("api.lock")).expect("copied");
    let (result, out) = service.run(&service.check());
    assert!(result.is_ok(), "{result:?}");
    assert!(out.contains("EVIL=1"), "{out}");
    assert!(!out.lines().any(|line| line.starts_with("cargo::rustc-env")), "{out}");
    assert!(!out.contains('\u{1b}'), "{out:?}");
}

#[test]
fn what_is_generated_is_written_once() {
    let service = Service::new("");
    let report = service.run(&service.check()).0.expect("fine");
    let before = fs::metadata(&report.generated).expect("generated").modified().expect("a time");
    service.run(&service.check()).0.expect("fine");
    assert_eq!(
        fs::metadata(&report.generated).expect("generated").modified().expect("a time"),
        before
    );
    // Another day is another file: it says when it was checked.
    service
        .run(&service.check().with_today(Date::new(2026, 11, 22).expect("a day")))
        .0
        .expect("fine");
    assert!(service.generated().contains("Date::new(2026, 11, 22)"));
}
