use proptest::prelude::*;

use super::*;
use crate::{Draft, State};

const TODAY: &str = "2026-11-21";

fn today() -> Date {
    TODAY.parse().expect("a day")
}

fn declare(text: &str) -> Declaration {
    Declaration::parse("api.toml", &format!("schema = 1\n{text}"))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn seal(text: &str, at: &str, parent: Option<&Document>) -> Document {
    Draft::new(declare(text), at.parse().expect("a moment"), "ci").seal(parent).expect("sealed")
}

fn first(text: &str) -> Document {
    seal(text, "2026-01-01T00:00:00Z", None)
}

fn provider(service: &str, scheme: &str, versions: &str) -> Document {
    first(&format!(
        "service = {{ name = \"{service}\" }}\n[[provides]]\napi = \"auth\"\nscheme = \"{scheme}\"\nversions = [{versions}]"
    ))
}

fn caller(service: &str, version: &str) -> Document {
    first(&format!(
        "service = {{ name = \"{service}\" }}\n[[requires]]\napi = \"auth\"\nversion = \"{version}\""
    ))
}

/// Resolves and writes the answer short.
fn answer(dictionary: &Dictionary, api: &str, required: &str) -> String {
    match dictionary.resolve(api, required, today()) {
        Found::Offer(offer) => {
            format!("{} {} of {}", offer.state(), offer.release().version, offer.provider())
        }
        Found::NoVersion { offers } => {
            let offers: Vec<_> =
                offers.iter().map(|offer| offer.release().version.as_str()).collect();
            format!("none of {}", offers.join(", "))
        }
        Found::NoApi { nearest } => format!("no api, nearest {nearest:?}"),
    }
}

#[test]
fn the_highest_current_version_wins_then_the_highest_deprecated() {
    let dictionary = Dictionary::from_documents([provider(
        "auth",
        "main-minor",
        r#"
        { version = "1.1", released = 2020-01-01, deprecated = 2021-01-01, sunset = 2022-01-01 },
        { version = "1.2", released = 2020-01-01, deprecated = 2026-01-01 },
        { version = "1.10", released = 2020-01-01, deprecated = 2026-01-01 },
        { version = "2.1", released = 2026-01-01 },
        { version = "2.2", released = 2026-01-01 },
        { version = "2.3", released = 2027-01-01 },
        { version = "3.1", released = 2028-01-01 },
        { version = "3.0", released = 2027-01-01 },
        { version = "4.0", released = 2020-01-01, sunset = 2021-01-01 },
        { version = "4.1", released = 2020-01-01, sunset = 2021-01-01 },
        "#,
    )])
    .expect("chained");
    for (required, expected) in [
        ("1.1", "deprecated 1.10 of auth"),
        ("1.11", "none of 2.2, 2.1, 1.10, 1.2, 2.3, 3.0, 3.1, 4.1, 4.0, 1.1"),
        ("2.0", "current 2.2 of auth"),
        ("2.3", "planned 2.3 of auth"),
        ("3.0", "planned 3.0 of auth"),
        ("4.0", "retired 4.1 of auth"),
        ("v1", "none of 2.2, 2.1, 1.10, 1.2, 2.3, 3.0, 3.1, 4.1, 4.0, 1.1"),
    ] {
        assert_eq!(answer(&dictionary, "auth", required), expected, "{required}");
    }
    assert_eq!(answer(&dictionary, "auht", "1.1"), "no api, nearest Some(\"auth\")");
    assert_eq!(answer(&dictionary, "billing", "1.1"), "no api, nearest None");
}

#[test]
fn what_works_comes_before_what_is_only_planned_and_that_before_what_is_gone() {
    let version = |version: &str, dates: &str| format!("{{ version = \"{version}\", {dates} }}");
    let current = version("1.1", "released = 2020-01-01");
    let deprecated = version("1.2", "released = 2020-01-01, deprecated = 2026-01-01");
    let planned = version("1.3", "released = 2027-01-01");
    let retired = version("1.4", "released = 2020-01-01, sunset = 2026-01-01");
    // Each time the better one has the lower version.
    for (offered, expected) in [
        (vec![&current, &deprecated, &planned, &retired], "current 1.1 of auth"),
        (vec![&deprecated, &planned, &retired], "deprecated 1.2 of auth"),
        (vec![&planned, &retired], "planned 1.3 of auth"),
        (vec![&retired], "retired 1.4 of auth"),
    ] {
        let offered: Vec<_> = offered.into_iter().rev().map(String::as_str).collect();
        let dictionary =
            Dictionary::from_documents([provider("auth", "main-minor", &offered.join(", "))]);
        assert_eq!(answer(&dictionary.expect("chained"), "auth", "1.0"), expected);
    }
}

#[test]
fn each_provider_is_asked_in_its_own_scheme() {
    let released = |version: &str| format!("{{ version = \"{version}\", released = 2020-01-01 }}");
    let dictionary = Dictionary::from_documents([
        provider("old", "exact", &released("1.1")),
        provider("new", "main-minor", &released("1.4")),
        provider("other", "main-minor", &released("1.4")),
    ])
    .expect("chained");
    // Both will do: no order between the schemes, so the provider's name decides.
    assert_eq!(answer(&dictionary, "auth", "1.1"), "current 1.4 of new");
    assert_eq!(answer(&dictionary, "auth", "1.2"), "current 1.4 of new");
    assert_eq!(dictionary.providers("auth").count(), 3);
}

#[test]
fn only_the_newest_document_of_a_service_counts() {
    let auth = provider("auth", "main-minor", "{ version = \"1.0\", released = 2020-01-01 }");
    let old = caller("orders", "1.0");
    let new = seal("service = { name = \"orders\" }", "2026-02-01T00:00:00Z", Some(&old));
    let mut dictionary = Dictionary::from_documents([auth, old]).expect("chained");
    assert_eq!(dictionary.callers("auth").count(), 1);
    let before = dictionary.head_digest();
    dictionary.insert(new).expect("the next");
    assert_eq!(dictionary.callers("auth").count(), 0);
    assert_eq!(dictionary.edges(today()).count(), 0);
    assert_eq!(dictionary.history("orders").len(), 2);
    assert_ne!(dictionary.head_digest(), before);
    // The same twice is refused, and changes nothing.
    let again = dictionary.newest("orders").expect("published").clone();
    assert!(dictionary.insert(again).is_err());
    assert_eq!(dictionary.history("orders").len(), 2);
}

#[test]
fn who_uses_a_version_would_fail_without_it() {
    let dictionary = Dictionary::from_documents([
        provider(
            "auth",
            "main-minor",
            "{ version = \"1.1\", released = 2020-01-01 }, { version = \"1.2\", released = 2020-01-01 }",
        ),
        caller("a", "1.0"),
        caller("b", "1.1"),
        caller("c", "1.2"),
        caller("d", "3.0"),
    ])
    .expect("chained");
    let who = |version| {
        let usages = dictionary.who_uses("auth", version, today());
        usages.iter().map(|usage| usage.caller.service()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(who(None), "a b c d");
    // 1.2 will do for those who ask for 1.1, and 1.1 for those who ask for 1.0.
    assert_eq!(who(Some("1.1")), "");
    assert_eq!(who(Some("1.2")), "c");
    assert_eq!(who(Some("9.9")), "");
    let edges: Vec<_> = dictionary.edges(today()).collect();
    assert_eq!(edges.len(), 4);
    assert_eq!(edges[0].resolved, Some("1.2"));
    assert_eq!(edges[0].state, Some(State::Current));
    assert_eq!((edges[3].provider, edges[3].resolved), (None, None));
}

#[test]
fn since_when_a_version_is_used_is_unbroken() {
    let with =
        "service = { name = \"orders\" }\nrequires = [{ api = \"auth\", version = \"1.1\" }]";
    let without = "service = { name = \"orders\" }";
    let one = seal(with, "2026-01-01T00:00:00Z", None);
    let two = seal(without, "2026-02-01T00:00:00Z", Some(&one));
    let three = seal(with, "2026-03-01T23:59:59Z", Some(&two));
    let four = seal(with, "2026-04-01T00:00:00Z", Some(&three));
    let dictionary = Dictionary::from_documents([four, three, two, one]).expect("chained");
    let since = |version| {
        dictionary.used_since("orders", "auth", version, None).map(|date| date.to_string())
    };
    assert_eq!(since("1.1").as_deref(), Some("2026-03-01"));
    assert_eq!(since("1.2"), None);
    assert_eq!(dictionary.used_since("unknown", "auth", "1.1", None), None);
}

#[test]
fn a_broken_chain_is_no_dictionary() {
    let one = caller("orders", "1.0");
    let two = seal("service = { name = \"orders\" }", "2026-02-01T00:00:00Z", Some(&one));
    assert!(Dictionary::from_documents([two.clone()]).is_err(), "a gap");
    assert!(Dictionary::from_documents([one.clone(), one.clone()]).is_err(), "a duplicate");
    assert!(Dictionary::from_documents([caller("orders", "2.0"), two]).is_err(), "replaced");
    assert!(Dictionary::new().is_empty());
}

proptest! {
    /// Inserting one by one and gathering at once give the same dictionary.
    #[test]
    fn the_index_agrees_with_the_documents(steps in prop::collection::vec((0..4usize, 0..4usize), 1..20)) {
        let names = ["a", "b", "c", "d"];
        let mut grown = Dictionary::new();
        for (service, api) in steps {
            let (service, api) = (names[service], names[api]);
            let text = format!(
                "service = {{ name = \"{service}\" }}\nrequires = [{{ api = \"{api}\", version = \"1\" }}]\n\
                 [[provides]]\napi = \"{service}{api}\"\nscheme = \"exact\"\nversions = [{{ version = \"1\" }}]"
            );
            let next = seal(&text, "2026-01-01T00:00:00Z", grown.newest(service));
            grown.insert(next).expect("the next");
        }
        let all = names.iter().flat_map(|name| grown.history(name).iter().cloned());
        let gathered = Dictionary::from_documents(all).expect("chained");
        prop_assert_eq!(&gathered.providers, &grown.providers);
        prop_assert_eq!(&gathered.callers, &grown.callers);
        prop_assert_eq!(gathered.head_digest(), grown.head_digest());
        let edges: usize = grown.services().map(|document| document.declaration().requires.len()).sum();
        prop_assert_eq!(grown.edges(today()).count(), edges);
    }
}
