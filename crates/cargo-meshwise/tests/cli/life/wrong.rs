//! What can be done wrong in a phase of the life, and what must name it.

use super::{PROVIDER, Phase};

/// One step done wrong: a name, the file that is wrong, and what must name it.
pub(super) struct Wrong {
    pub(super) name: &'static str,
    pub(super) text: Option<String>,
    pub(super) findings: &'static [&'static str],
}

pub(super) fn wrong(
    name: &'static str,
    text: Option<String>,
    findings: &'static [&'static str],
) -> Wrong {
    Wrong { name, text, findings }
}

/// Replaces a part that must be there.
pub(super) fn swap(text: &str, from: &str, to: &str) -> Option<String> {
    text.contains(from).then(|| text.replacen(from, to, 1))
}

/// All that the provider can do wrong when it publishes.
pub(super) fn wrong_publications(phase: &Phase, today: &str) -> Vec<Wrong> {
    let text = phase.provider();
    let v2 = "version = \"v2_20260301-1\"\nreleased = 2026-03-01\n";
    let v1 = "version = \"v1_20260101-1\"\nreleased = 2026-01-01\n";
    let with = |from: &str, line: &str| swap(&text, from, &format!("{from}{line}\n"));
    let is_live = |version: &str| {
        let version = phase.versions.iter().find(|it| it.name == version);
        version.is_some_and(|it| !it.lines.contains(&"sunset = 2026-09-01") || today < "2026-09-01")
    };
    // Only what was published can be broken.
    let known = phase.name != "born";
    let second = known && phase.name != "a second version";
    let promised = second && phase.name != "deprecated";
    let when = |holds: bool, text: Option<String>| text.filter(|_| holds);
    let without = |version: &str| {
        let start = text.find(&format!("[[provides.versions]]\nversion = \"{version}\""))?;
        let rest = &text[start + 1..];
        let end = rest.find("[[provides.versions]]").map_or(text.len(), |at| start + 1 + at);
        Some(format!("{}{}", &text[..start], &text[end..]))
    };
    vec![
        wrong(
            "retired today",
            when(
                known && is_live("v1_20260101-1") && !text.contains("sunset"),
                with(v1, &format!("deprecated = {today}\nsunset = {today}")),
            ),
            &["short-notice"],
        ),
        wrong(
            "retired within the notice",
            when(
                known && !text.contains("sunset"),
                with(v1, "deprecated = 2026-03-01\nsunset = 2026-05-15"),
            ),
            &["short-notice"],
        ),
        wrong(
            "the second retired at once",
            when(second, with(v2, &format!("deprecated = {today}\nsunset = {today}"))),
            &["short-notice"],
        ),
        wrong(
            "a sunset moves earlier",
            when(
                promised && is_live("v1_20260101-1"),
                swap(&text, "sunset = 2026-09-01", "sunset = 2026-08-15"),
            ),
            &["sunset-moved-earlier"],
        ),
        wrong(
            "a sunset moves to yesterday",
            when(
                promised && is_live("v1_20260101-1"),
                swap(&text, "sunset = 2026-09-01", "sunset = 2026-04-01"),
            ),
            &["sunset-moved-earlier"],
        ),
        wrong(
            "a retired version comes back",
            when(today > "2026-09-01", swap(&text, "sunset = 2026-09-01", "sunset = 2027-09-01")),
            &["retired-version-reused"],
        ),
        wrong(
            "a retired version has no end",
            when(today > "2026-09-01", swap(&text, "sunset = 2026-09-01\n", "")),
            &["retired-version-reused"],
        ),
        wrong(
            "the first version vanishes",
            when(known, without("v1_20260101-1")),
            &["published-version-changed"],
        ),
        wrong(
            "the second version vanishes",
            when(second, without("v2_20260301-1")),
            &["published-version-changed", "unknown-successor"],
        ),
        wrong(
            "the fix vanishes",
            when(
                text.contains("v1_20260101-2") && phase.name != "hot-fixed",
                without("v1_20260101-2"),
            ),
            &["published-version-changed"],
        ),
        wrong(
            "the API vanishes",
            when(known, Some(PROVIDER.split("[[provides]]").next().expect("a head").to_owned())),
            &["published-version-changed"],
        ),
        wrong(
            "another scheme",
            when(known, swap(&text, "main-date-bugfix", "exact")),
            &["published-version-changed"],
        ),
        wrong(
            "another transport",
            when(known, swap(&text, "scheme =", "transport = \"grpc\"\nscheme =")),
            &["published-version-changed"],
        ),
        wrong(
            "only planned again",
            when(
                known && is_live("v1_20260101-1") && !second,
                swap(&text, "released = 2026-01-01", "released = 2027-01-01"),
            ),
            &["published-version-changed"],
        ),
        wrong(
            "only planned again, the second",
            when(second, swap(&text, "released = 2026-03-01", "released = 2027-01-01")),
            &["published-version-changed"],
        ),
        wrong(
            "an unknown successor",
            with(v1, "deprecated = 2026-12-01\nsunset = 2027-12-01\nsuccessor = \"v9_20990101-1\"")
                .filter(|_| !text.contains("sunset")),
            &["unknown-successor"],
        ),
        wrong(
            "an unknown successor, later",
            swap(&text, "successor = \"v2_20260301-1\"", "successor = \"v9_20990101-1\""),
            &["unknown-successor"],
        ),
        wrong(
            "dates out of order",
            with(v1, "deprecated = 2025-01-01").filter(|_| !text.contains("deprecated")),
            &["dates-out-of-order"],
        ),
        wrong(
            "dates out of order, later",
            swap(&text, "deprecated = 2026-04-01", "deprecated = 2026-10-01"),
            &["dates-out-of-order"],
        ),
        wrong(
            "a version twice",
            Some(format!(
                "{text}[[provides.versions]]\nversion = \"v1_20260101-1\"\nreleased = 2026-01-01\n"
            )),
            &["duplicate-entry"],
        ),
        wrong(
            "an API twice",
            Some(format!(
                "{text}[[provides]]\napi = \"stock\"\nscheme = \"exact\"\nversions = [{{ version = \"1\" }}]\n"
            )),
            &["duplicate-entry"],
        ),
        wrong("a misspelt key", with(v1, "deprecatd = 2026-12-01"), &["unknown-key"]),
        wrong("no such day", swap(&text, "2026-01-01", "2026-02-30"), &["invalid-declaration"]),
        wrong(
            "a version of another scheme",
            swap(&text, "\"v1_20260101-1\"", "\"1.0.0\""),
            &["invalid-declaration"],
        ),
        wrong(
            "a version without a real day",
            swap(&text, "\"v1_20260101-1\"", "\"v1_20260231-1\""),
            &["invalid-declaration"],
        ),
        wrong(
            "a key of another type",
            swap(&text, "released = 2026-01-01", "released = \"soon\""),
            &["invalid-declaration"],
        ),
        wrong("no name", swap(&text, "name = \"stock\"\n", ""), &["invalid-declaration"]),
        wrong("no TOML", swap(&text, "[service]", "[service"), &["invalid-declaration"]),
        wrong(
            "a bugfix that breaks",
            when(
                known,
                Some(format!(
                    "{text}[[provides.versions]]\nversion = \"v1_20260101-3\"\nreleased = {today}\ndescription = \"v2.json\"\n"
                )),
            ),
            &["breaking-in-compatible-version"],
        ),
        wrong(
            "a description that is not there",
            swap(&text, "v1.json", "nowhere.json"),
            &["missing-description"],
        ),
        wrong(
            "another service's name",
            when(known, swap(&text, "name = \"stock\"", "name = \"evil\"")),
            &["api-taken"],
        ),
        wrong(
            "a policy of its own",
            when(
                known && !text.contains("sunset"),
                with(v1, &format!("deprecated = {today}\nsunset = {today}"))
                    .map(|it| it + "[policy]\nmin-deprecation-days = 0\n"),
            ),
            &["short-notice"],
        ),
        wrong(
            "dated back",
            when(
                second && !text.contains("deprecated = 2026-03-02"),
                with(v2, "deprecated = 2026-03-02"),
            ),
            &["backdated-deprecation"],
        ),
        wrong(
            "too short a deprecation",
            when(!known, with(v1, "deprecated = 2026-02-01\nsunset = 2026-02-02")),
            &["short-deprecation"],
        ),
    ]
}

/// All that the consumer can do wrong when it checks.
pub(super) fn wrong_requirements(phase: &Phase, today: &str) -> Vec<Wrong> {
    let text = phase.consumer();
    let required = format!("version = \"{}\"", phase.requires);
    let to = |version: &str| swap(&text, &required, &format!("version = \"{version}\""));
    let has = |version: &str| phase.versions.iter().any(|it| it.name == version);
    let when = |holds: bool, text: Option<String>| text.filter(|_| holds);
    let ended = today >= "2026-09-01";
    vec![
        wrong(
            "a misspelt API",
            swap(&text, "api = \"stock\"", "api = \"stocks\""),
            &["unknown-api"],
        ),
        wrong(
            "an API that is not there",
            swap(&text, "api = \"stock\"", "api = \"payments\""),
            &["unknown-api"],
        ),
        wrong("another main version", to("v3_20260101-1"), &["incompatible-version"]),
        wrong("another date", to("v1_20260102-1"), &["incompatible-version"]),
        wrong("a bugfix that is not there", to("v1_20260101-9"), &["incompatible-version"]),
        wrong(
            "a version of another scheme",
            to("1.0"),
            &["incompatible-version", "invalid-declaration"],
        ),
        wrong(
            "a version that is not there yet",
            when(!has("v2_20260301-1"), to("v2_20260301-1")),
            &["incompatible-version"],
        ),
        wrong(
            "new use of a deprecated version",
            when(
                phase.requires.starts_with("v2") && !ended,
                to("v1_20260101-2").map(|it| it.replace("\"shop\"", "\"kiosk\"")),
            ),
            &["new-use-of-deprecated"],
        ),
        wrong("a retired version", when(ended, to("v1_20260101-2")), &["retired-version"]),
        wrong(
            "a retired version, the first",
            when(ended, to("v1_20260101-1")),
            &["retired-version"],
        ),
        wrong(
            "required twice",
            Some(format!(
                "{text}[[requires]]\napi = \"stock\"\nversion = \"{}\"\n",
                phase.requires
            )),
            &["duplicate-entry"],
        ),
        wrong("a misspelt key", swap(&text, "reason", "raeson"), &["unknown-key"]),
        wrong(
            "a misspelt level",
            Some(format!("{text}level = \"alow\"\n")),
            &["invalid-declaration"],
        ),
        wrong("no version", swap(&text, &required, "version = 1"), &["invalid-declaration"]),
        wrong(
            "an empty name",
            swap(&text, "name = \"shop\"", "name = \"\""),
            &["invalid-declaration"],
        ),
        wrong(
            "not locked",
            swap(&text, "\"shop\"", "\"kiosk\"")
                .filter(|_| phase.requires.starts_with("v2"))
                .and_then(|it| swap(&it, "2026", "2026"))
                .map(|it| format!("{it}[[requires]]\napi = \"other\"\nversion = \"1\"\n")),
            &["unknown-api"],
        ),
    ]
}
