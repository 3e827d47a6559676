use proptest::prelude::*;

use super::*;
use crate::{Draft, Policy, Release, Requires, Scheme, State, Timestamp, lock::Answer};

mod published;

const TODAY: &str = "2026-11-21";

fn day(text: &str) -> Date {
    text.parse().expect(text)
}

fn declare(text: &str) -> Declaration {
    Declaration::parse("api.toml", &format!("schema = 1\n{text}"))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn seal(declaration: Declaration, at: &str) -> Document {
    Draft::new(declaration, day(at).into(), "ci").seal(None).expect("sealed")
}

/// A service `auth` that provides one API in these versions.
fn auth(versions: &str) -> Document {
    let text = format!(
        "service = {{ name = \"auth\" }}\n[[provides]]\napi = \"auth\"\nscheme = \"main-minor\"\nversions = [{versions}]"
    );
    seal(declare(&text), "2024-01-01")
}

fn dictionary(documents: impl IntoIterator<Item = Document>) -> Dictionary {
    Dictionary::from_documents(documents).expect("chained")
}

/// A service `orders` that requires `auth` in a version.
fn orders(more: &str) -> Declaration {
    declare(&format!(
        "service = {{ name = \"orders\" }}\n[[requires]]\napi = \"auth\"\nversion = \"1.1\"\n{more}"
    ))
}

fn lock(declaration: &Declaration, dictionary: &Dictionary, at: &str) -> Lock {
    Lock::resolve(declaration, dictionary, None, "../dictionary", Timestamp::from(day(at)))
}

fn ids(report: &Report) -> Vec<String> {
    report.diagnostics.iter().map(|d| format!("{} {}", d.level, d.finding)).collect()
}

const DEPRECATED: &str = "{ version = \"1.1\", released = 2024-01-01, deprecated = 2026-06-01, sunset = 2027-03-01, successor = \"2.0\" }, { version = \"2.0\", released = 2026-06-01 }";

#[test]
fn what_was_never_checked_is_never_compatible() {
    let declaration = orders("level = \"allow\"");
    let report = Check::new(&declaration, day(TODAY)).run();
    // Silenced, and still not a yes.
    assert!(report.diagnostics.is_empty());
    assert_eq!(report.requirements[0].verdict, Verdict::Unchecked);
    assert!(report.is_undetermined());
    // A lock file that says nothing about it is no better.
    let empty = lock(&declare("service = { name = \"orders\" }"), &dictionary([]), TODAY);
    let declaration = orders("");
    let report = Check::new(&declaration, day(TODAY)).with_lock(Some(&empty)).in_ci(true).run();
    assert_eq!(ids(&report), ["deny missing-lock"]);
    assert_eq!(report.requirements[0].verdict, Verdict::Unchecked);
    // What is not required needs no lock file.
    let nothing = declare("service = { name = \"orders\" }");
    assert!(Check::new(&nothing, day(TODAY)).in_ci(true).run().diagnostics.is_empty());
}

#[test]
fn a_lock_file_is_compared_and_not_believed() {
    let dictionary = dictionary([auth("{ version = \"1.1\", released = 2024-01-01 }")]);
    let declaration = orders("");
    let mut lock = lock(&declaration, &dictionary, TODAY);
    let Answer::Resolved(resolved) = &mut lock.entries[0].answer else { panic!("resolved") };
    resolved.version = "2.0".to_owned();
    let report = Check::new(&declaration, day(TODAY)).with_lock(Some(&lock)).run();
    assert_eq!(ids(&report), ["deny incompatible-version"]);
    assert_eq!(report.requirements[0].verdict, Verdict::Incompatible);
}

#[test]
fn a_requirement_caps_the_level_and_not_the_verdict() {
    let dictionary = dictionary([auth("{ version = \"3.0\", released = 2024-01-01 }")]);
    for (level, expected) in [
        ("deny", vec!["deny incompatible-version"]),
        ("warn", vec!["warn incompatible-version"]),
        ("allow", vec![]),
    ] {
        let declaration = orders(&format!("level = \"{level}\""));
        let report = Check::new(&declaration, day(TODAY)).with_dictionary(Some(&dictionary)).run();
        assert_eq!(ids(&report), expected);
        assert_eq!(report.requirements[0].verdict, Verdict::Incompatible);
    }
    // It lowers, and never raises.
    let declaration = orders("[policy]\nincompatible-version = \"warn\"");
    let report = Check::new(&declaration, day(TODAY)).with_dictionary(Some(&dictionary)).run();
    assert_eq!(ids(&report), ["warn incompatible-version"]);
}

#[test]
fn new_is_what_no_one_told_of_before_the_deprecation() {
    let versions = DEPRECATED;
    let before = seal(orders(""), "2026-05-31");
    let after = seal(orders(""), "2026-06-02");
    for (published, since, expected) in [
        (None, "", "deny new-use-of-deprecated"),
        (None, "since = 2026-06-02", "deny new-use-of-deprecated"),
        // Who began on that very day could not know.
        (None, "since = 2026-06-01", "warn deprecated-version"),
        (None, "since = 2026-05-31", "warn deprecated-version"),
        (Some(&before), "", "warn deprecated-version"),
        (Some(&after), "", "deny new-use-of-deprecated"),
        (Some(&after), "since = 2020-01-01", "warn deprecated-version"),
        // A policy that allows it leaves the lesser finding.
        (None, "[policy]\nnew-use-of-deprecated = \"allow\"", "warn deprecated-version"),
    ] {
        let declaration = orders(since);
        let dictionary = dictionary(published.cloned().into_iter().chain([auth(versions)]));
        let report = Check::new(&declaration, day(TODAY)).with_dictionary(Some(&dictionary)).run();
        assert_eq!(ids(&report), [expected], "{published:?} {since}");
        assert_eq!(report.requirements[0].verdict, Verdict::Compatible);
        // The lock file that is written from it says the same without it.
        let lock = lock(&declaration, &dictionary, TODAY);
        let report = Check::new(&declaration, day(TODAY)).with_lock(Some(&lock)).run();
        assert_eq!(ids(&report), [expected], "{lock}");
    }
}

#[test]
fn a_lock_file_is_stale_when_the_dictionary_says_something_else() {
    let declaration = orders("since = 2020-01-01");
    let old = dictionary([auth("{ version = \"1.1\", released = 2024-01-01 }")]);
    let locked = lock(&declaration, &old, "2020-01-01");
    let check = |dictionary: &Dictionary, lock: &Lock| {
        ids(&Check::new(&declaration, day(TODAY))
            .with_dictionary(Some(dictionary))
            .with_lock(Some(lock))
            .run())
    };
    // Neither its age nor the state of that day make it stale beside a dictionary.
    assert!(check(&old, &locked).is_empty());
    assert_eq!(
        check(&dictionary([auth(DEPRECATED)]), &locked),
        ["warn stale-lock", "warn deprecated-version"]
    );
    assert_eq!(check(&dictionary([]), &locked), ["deny unknown-api", "warn stale-lock"]);
    let empty = lock(&declare("service = { name = \"orders\" }"), &old, TODAY);
    assert_eq!(check(&old, &empty), ["warn stale-lock"]);
    // And when it has what no one asks for.
    let none = declare("service = { name = \"orders\" }");
    let report = Check::new(&none, day("2020-01-01")).with_lock(Some(&locked)).run();
    assert_eq!(ids(&report), ["warn stale-lock"]);
    assert!(report.diagnostics[0].message.ends_with("auth 1.1"), "{}", report.diagnostics[0]);
}

fn provides(head: &str, versions: &str) -> String {
    format!("[[provides]]\napi = \"orders\"\n{head}\nversions = [{versions}]")
}

#[test]
fn an_organisation_is_tightened_and_never_loosened() {
    let organisation = Policy::parse(
        "policy.toml",
        "schema = 1\nmin-deprecation-days = 180\nmax-lock-age-days = 7\ndeprecated-version = \"deny\"\n",
    )
    .expect("a policy");
    let dictionary = dictionary([auth(DEPRECATED)]).with_policy(organisation);
    let found = |more: &str| {
        let declaration = orders(&format!("since = 2025-01-01\n[policy]\n{more}"));
        let check = Check::new(&declaration, day(TODAY)).with_dictionary(Some(&dictionary));
        let by_dictionary = ids(&check.run());
        // The build knows it by the lock file.
        let lock = lock(&declaration, &dictionary, "2026-11-20");
        let lock = Lock::parse("api.lock", &lock.to_string()).expect("written");
        assert_eq!(
            ids(&Check::new(&declaration, day(TODAY)).with_lock(Some(&lock)).run()),
            by_dictionary
        );
        by_dictionary
    };
    assert_eq!(found(""), ["deny deprecated-version"]);
    assert_eq!(found("deprecated-version = \"allow\""), ["deny deprecated-version"]);
    assert!(Policy::parse("policy.toml", "schema = 1\nshort-notice = \"allow\"").is_err());
    assert!(Policy::parse("policy.toml", "schema = 1\nunheard-of = \"allow\"").is_err());
    let declaration = orders("");
    let lock = lock(&declaration, &dictionary, "2026-11-13");
    let report = Check::new(&declaration, day(TODAY)).with_lock(Some(&lock)).run();
    assert!(ids(&report).contains(&"warn stale-lock".to_owned()), "{:?}", ids(&report));
}

#[test]
fn long_use_is_no_new_use() {
    let provider = |at: &str, versions: &str, before: Option<&Document>| {
        let text = format!(
            "service = {{ name = \"auth\" }}\n[[provides]]\napi = \"auth\"\nscheme = \"main-date-bugfix\"\nversions = [{versions}]"
        );
        Draft::new(declare(&text), day(at).into(), "ci").seal(before).expect("sealed")
    };
    let needs = |version: &str| {
        declare(&format!(
            "service = {{ name = \"orders\" }}\nrequires = [{{ api = \"auth\", version = \"{version}\" }}]"
        ))
    };
    let (old, fixed) = ("v1_20171001-1", "v1_20171001-2");
    let release = |version: &str, dates: &str| {
        format!("{{ version = \"{version}\", released = 2018-01-01{dates} }}")
    };
    let first = provider("2018-01-01", &release(old, ""), None);
    let back = provider(TODAY, &release(old, ", deprecated = 2023-12-31"), Some(&first));
    let line = provider(
        TODAY,
        &format!(
            "{}, {}",
            release(old, ", deprecated = 2026-11-21"),
            release(fixed, ", deprecated = 2026-11-21")
        ),
        Some(&first),
    );
    let caller = |at: &str| seal(needs(old), at);
    let judge = |provider: &Document, caller: Option<Document>, version: &str, on: &str| {
        let documents = [first.clone(), provider.clone()].into_iter().chain(caller);
        let dictionary = dictionary(documents);
        let declaration = needs(version);
        ids(&Check::new(&declaration, day(on)).with_dictionary(Some(&dictionary)).run())
    };
    let (fine, denied) = (["warn deprecated-version"], ["deny new-use-of-deprecated"]);
    // Dated back: it counts from the day it was published.
    assert_eq!(judge(&back, Some(caller("2024-01-02")), old, TODAY), fine);
    assert_eq!(judge(&back, Some(caller(TODAY)), old, TODAY), fine, "on the very day");
    assert_eq!(judge(&back, None, old, "2026-11-22"), denied);
    // The fix of one's own line.
    assert_eq!(judge(&line, Some(caller("2020-01-01")), fixed, "2027-01-01"), fine);
    assert_eq!(judge(&line, None, fixed, "2027-01-01"), denied);
    // And by lock files alone.
    let dictionary = dictionary([first.clone(), line.clone(), caller("2020-01-01")]);
    let before = lock(&needs(old), &dictionary, TODAY);
    let heads = Dictionary::from_heads(dictionary.services().cloned());
    let after = Lock::resolve(&needs(fixed), &heads, Some(&before), "x", day("2027-01-01").into());
    assert_eq!(after.entries[0].since, Some(day("2020-01-01")));
}

#[test]
fn a_successor_may_be_another_api() {
    let text = |successor: &str| {
        declare(&format!(
            "service = {{ name = \"orders\" }}\n{}",
            provides(
                "scheme = \"main-minor\"",
                &format!(
                    "{{ version = \"1.0\", released = 2024-01-01, successor = \"{successor}\" }}"
                )
            )
        ))
    };
    let dictionary = dictionary([auth("{ version = \"1.1\", released = 2024-01-01 }")]);
    for (successor, alone, with_dictionary) in [
        ("auth@1.1", true, true),
        ("auth@1.2", true, false),
        ("billing@1.0", true, false),
        ("orders@1.0", false, false),
        ("orders@2.0", false, false),
        ("1.0", false, false),
        ("2.0", false, false),
        ("@", false, false),
    ] {
        let declaration = text(successor);
        let check = Check::new(&declaration, day(TODAY));
        assert_eq!(check.run().diagnostics.is_empty(), alone, "{successor}");
        let report = check.with_dictionary(Some(&dictionary)).run();
        assert_eq!(report.diagnostics.is_empty(), with_dictionary, "{successor}");
    }
}

#[test]
fn a_version_of_another_scheme_is_told_how_it_is_written() {
    let dictionary = dictionary([auth("{ version = \"1.1\", released = 2024-01-01 }")]);
    let declaration = declare(
        "service = { name = \"orders\" }\nrequires = [{ api = \"auth\", version = \"1.1.0\" }]",
    );
    let report = Check::new(&declaration, day(TODAY)).with_dictionary(Some(&dictionary)).run();
    insta::assert_snapshot!(report.diagnostics[0]);
}

#[test]
fn dates_are_compared_each_with_the_one_before() {
    let mut told = String::new();
    for dates in [
        "released = 2026-01-02, deprecated = 2026-01-01",
        "released = 2026-01-02, sunset = 2026-01-01",
        "released = 2026-01-01, deprecated = 2026-01-03, sunset = 2026-01-02",
        "deprecated = 2026-01-01",
        "sunset = 2026-01-01",
        "released = 2024-02-29, deprecated = 2024-02-29, sunset = 2024-02-29",
    ] {
        let text =
            provides("scheme = \"main-minor\"", &format!("{{ version = \"1.0\", {dates} }}"));
        let declaration = declare(&format!("service = {{ name = \"orders\" }}\n{text}"));
        let report = Check::new(&declaration, day(TODAY)).run();
        let messages: Vec<_> =
            report.diagnostics.iter().map(|d| format!("{}: {}", d.finding, d.message)).collect();
        told.push_str(&format!("{dates}\n  {}\n", messages.join("\n  ")));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_report_is_json() {
    let declaration = orders("");
    let dictionary = dictionary([auth(DEPRECATED)]);
    let report = Check::new(&declaration, day(TODAY)).with_dictionary(Some(&dictionary)).run();
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).expect("json"));
}

#[test]
fn a_file_full_of_mistakes_gets_a_short_answer_that_is_no_milder() {
    let count = 3_000;
    let versions: String = (0..count)
        .map(|n| {
            format!("{{ version = \"1.{n}\", released = 2024-01-01, successor = \"9.{n}\" }},")
        })
        .collect();
    let twice =
        "requires = [".to_owned() + &"{ api = \"auth\", version = \"1.1\" },".repeat(count) + "]\n";
    let text = format!(
        "{twice}service = {{ name = \"orders\" }}\n{}",
        provides("scheme = \"main-minor\"", &versions)
    );
    let declaration = declare(&text);
    let published = seal(declaration.clone(), "2026-01-01");
    let report = Check::new(&declaration, day(TODAY)).with_published(Some(&published)).run();
    assert_eq!(report.diagnostics.len(), 101);
    let last = report.diagnostics.last().expect("a sum");
    assert_eq!(last.message, format!("{} more findings are not shown", 2 * count - 100));
    assert!(report.diagnostics.iter().map(|d| d.to_string().len()).sum::<usize>() < 200_000);
    // The gravest has no room here, and the report is denied all the same.
    let text = format!("{text}\n[policy]\nunknown-successor = \"warn\"\n");
    let declaration = declare(&text);
    let report = Check::new(&declaration, day(TODAY)).run();
    assert!(report.is_denied());
    assert_eq!(
        report.diagnostics.last().map(|d| (d.finding, d.level)),
        Some((Finding::DUPLICATE_ENTRY, Level::Deny))
    );
}

type Version = (u8, u8, Option<i32>, Option<i32>, Option<i32>);

fn provider(versions: &[Version]) -> Declaration {
    let date = |days: Option<i32>| days.and_then(|days| day(TODAY).plus_days(days));
    let mut provides = crate::Provides::new("auth", Scheme::MainMinor);
    for (main, minor, released, deprecated, sunset) in versions {
        let mut release =
            Release::new(Scheme::MainMinor.version(&format!("{main}.{minor}")).expect("a version"));
        (release.released, release.deprecated, release.sunset) =
            (date(*released), date(*deprecated), date(*sunset));
        provides.versions.push(release);
    }
    let mut declaration = Declaration::new("auth");
    declaration.provides.push(provides);
    declaration
}

fn any_version() -> impl Strategy<Value = Version> {
    let days = || prop::option::of(-60..60i32);
    (0..3u8, 0..4u8, days(), days(), days())
}

proptest! {
    /// The engine against a model that only counts: compatible if and only if some version that is
    /// not retired satisfies; and a lock file written today says what the dictionary says.
    #[test]
    fn verdicts_agree_with_a_naive_model(
        versions in prop::collection::vec(any_version(), 0..6),
        main in 0..3u8,
        minor in 0..4u8,
    ) {
        let dictionary = dictionary([seal(provider(&versions), "2024-01-01")]);
        let mut declaration = Declaration::new("orders");
        declaration.requires.push(Requires::new("auth", format!("{main}.{minor}")));
        let report = Check::new(&declaration, day(TODAY)).with_dictionary(Some(&dictionary)).run();

        let satisfying: Vec<_> = versions.iter().filter(|v| v.0 == main && v.1 >= minor).collect();
        let retired = |v: &&&Version| v.4.is_some_and(|sunset| sunset <= 0);
        let expected = if satisfying.iter().any(|v| !retired(&v)) { Verdict::Compatible } else { Verdict::Incompatible };
        prop_assert_eq!(report.requirements[0].verdict, expected);
        // What is not plainly current is always told of.
        let current = report.requirements[0].resolved.as_ref().is_some_and(|r| r.state == State::Current);
        prop_assert!(current || !report.diagnostics.is_empty());
        prop_assert_eq!(report.is_denied(), expected == Verdict::Incompatible
            || report.diagnostics.iter().any(|d| d.finding == Finding::NEW_USE_OF_DEPRECATED));

        let lock = lock(&declaration, &dictionary, TODAY);
        let by_lock = Check::new(&declaration, day(TODAY)).with_lock(Some(&lock)).run();
        prop_assert_eq!(ids(&by_lock), ids(&report));
        prop_assert_eq!(&by_lock.requirements, &report.requirements);
        let read = Lock::parse("api.lock", &lock.to_string()).expect("well-formed");
        prop_assert_eq!(read, lock);
    }

    /// Whatever a file says, there is an answer.
    #[test]
    fn no_policy_and_no_dates_panic(
        versions in prop::collection::vec(any_version(), 0..6),
        before in prop::collection::vec(any_version(), 0..6),
        days in 0..40_000u32,
    ) {
        let published = seal(provider(&before), "2024-01-01");
        let mut declaration = provider(&versions);
        declaration.policy = Policy::default().with_min_deprecation_days(days);
        for today in [day(TODAY), Date::MIN, Date::MAX] {
            let report = Check::new(&declaration, today).with_published(Some(&published)).run();
            for diagnostic in &report.diagnostics {
                prop_assert!(!diagnostic.to_string().is_empty());
            }
        }
    }
}
