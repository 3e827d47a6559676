use proptest::prelude::*;

use super::*;

const CALVER: Scheme = Scheme::Calver { same_or_later: false };
const CALVER_LATER: Scheme = Scheme::Calver { same_or_later: true };
const ALL: [Scheme; 6] = [
    Scheme::Semver,
    Scheme::MainMinor,
    Scheme::MainDateBugfix,
    CALVER,
    CALVER_LATER,
    Scheme::Exact,
];

fn version(scheme: Scheme, text: &str) -> Version {
    scheme.version(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_scheme_has_its_own_rule() {
    for (scheme, provided, required, expected) in [
        (Scheme::Semver, "2.3.1", "2.3.1", true),
        (Scheme::Semver, "2.3.1", "2.3.0", true),
        (Scheme::Semver, "2.10.0", "2.9.9", true),
        (Scheme::Semver, "2.3.1", "2.3.2", false),
        (Scheme::Semver, "3.0.0", "2.3.1", false),
        (Scheme::Semver, "0.3.2", "0.3.1", true),
        (Scheme::Semver, "0.4.0", "0.3.1", false),
        (Scheme::Semver, "1.0.0", "0.9.0", false),
        (Scheme::Semver, "2.0.0-rc.1", "2.0.0-rc.1", true),
        (Scheme::Semver, "2.0.0-rc.2", "2.0.0-rc.1", false),
        (Scheme::Semver, "2.0.0", "2.0.0-rc.1", false),
        (Scheme::Semver, "2.1.0-rc.1", "2.0.0", false),
        (Scheme::Semver, "2.0.0+linux", "2.0.0+mac", true),
        (Scheme::MainMinor, "1.1", "1.1", true),
        (Scheme::MainMinor, "1.10", "1.9", true),
        (Scheme::MainMinor, "1.1", "1.2", false),
        (Scheme::MainMinor, "2.5", "1.1", false),
        (Scheme::MainDateBugfix, "v1_20171001-2", "v1_20171001-2", true),
        (Scheme::MainDateBugfix, "v1_20171001-10", "v1_20171001-9", true),
        (Scheme::MainDateBugfix, "v1_20171001-1", "v1_20171001-2", false),
        (Scheme::MainDateBugfix, "v1_20171002-2", "v1_20171001-2", false),
        (Scheme::MainDateBugfix, "v2_20171001-2", "v1_20171001-2", false),
        (CALVER, "201610", "201610", true),
        (CALVER, "201611", "201610", false),
        (CALVER_LATER, "201611", "201610", true),
        (CALVER_LATER, "201701", "201612", true),
        (CALVER_LATER, "201609", "201610", false),
        (CALVER_LATER, "2016.10.2", "2016.10", true),
        (Scheme::Exact, "blue", "blue", true),
        (Scheme::Exact, "blue", "Blue", false),
    ] {
        let got = version(scheme, provided).satisfies(&version(scheme, required));
        assert_eq!(got, expected, "{scheme}: {provided} for {required}");
    }
}

#[test]
fn a_requirement_of_another_scheme_is_never_satisfied() {
    assert!(!version(Scheme::Exact, "1.1").satisfies(&version(Scheme::MainMinor, "1.1")));
    assert_eq!(version(Scheme::Exact, "1.1").compare(&version(Scheme::MainMinor, "1.1")), None);
    assert!(!version(CALVER, "201610").satisfies(&version(CALVER_LATER, "201610")));
}

#[test]
fn versions_are_ordered_by_what_they_mean() {
    for (scheme, ascending) in [
        (Scheme::Semver, &["0.9.0", "1.0.0-rc.1", "1.0.0", "1.9.0", "1.10.0", "10.0.0"][..]),
        (Scheme::MainMinor, &["0.1", "1.9", "1.10", "2.0", "10.0"]),
        (
            Scheme::MainDateBugfix,
            &[
                "v1_20161231-9",
                "v1_20171001-2",
                "v1_20171001-10",
                "v2_20160101-1",
                "v10_20160101-0",
            ],
        ),
        (CALVER, &["201512", "2016.2", "2016-03-31", "20160401", "2016.10", "2016.10.2"]),
    ] {
        let versions: Vec<_> = ascending.iter().map(|text| version(scheme, text)).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{ascending:?}");
    }
    // `exact` knows no order, only equality.
    assert_eq!(version(Scheme::Exact, "a").partial_cmp(&version(Scheme::Exact, "b")), None);
}

#[test]
fn what_is_not_of_the_scheme_is_refused_with_a_reason() {
    let mut told = String::new();
    for (scheme, text) in [
        (Scheme::Semver, "1.1"),
        (Scheme::Semver, "v1.1.0"),
        (Scheme::Semver, "1.01.0"),
        (Scheme::MainMinor, "1"),
        (Scheme::MainMinor, "1.2.3"),
        (Scheme::MainMinor, "1.0.0"),
        (Scheme::MainMinor, "v1.1"),
        (Scheme::MainMinor, "1.01"),
        (Scheme::MainMinor, "1.+1"),
        (Scheme::MainMinor, "1.99999999999999999999"),
        (Scheme::MainDateBugfix, "v1_20170229-1"),
        (Scheme::MainDateBugfix, "1_20171001-1"),
        (Scheme::MainDateBugfix, "v1_2017101-1"),
        (Scheme::MainDateBugfix, "v1_20171001"),
        (Scheme::MainDateBugfix, "v1_20171001-01"),
        (CALVER, "201613"),
        (CALVER, "20170229"),
        (CALVER, "2017-02-29"),
        (CALVER, "16.10"),
        (CALVER, "2016.100"),
        (CALVER, "2016.10.1.1"),
        (CALVER, "october"),
        (Scheme::Exact, ""),
        (Scheme::Exact, "a b"),
        (Scheme::Exact, "a@b"),
        (Scheme::Exact, "a\u{1b}[31m"),
    ] {
        let error = scheme.version(text).expect_err(text);
        told.push_str(&format!("{scheme}: {error}\n"));
    }
    assert!(Scheme::Exact.version(&"x".repeat(Version::MAX_LEN)).is_ok());
    assert!(Scheme::Exact.version(&"x".repeat(Version::MAX_LEN + 1)).is_err());
    insta::assert_snapshot!(told);
}

#[test]
fn the_unit_is_what_can_stand_in_for_each_other() {
    for (scheme, text, unit) in [
        (Scheme::Semver, "2.3.1", "v2"),
        (Scheme::Semver, "2.3.1+build", "v2"),
        (Scheme::Semver, "0.1.7", "v0.1"),
        (Scheme::Semver, "2.0.0-rc.1", "2.0.0-rc.1"),
        (Scheme::MainMinor, "1.10", "v1"),
        (Scheme::MainDateBugfix, "v1_20171001-2", "v1_20171001"),
        (CALVER, "201610", "201610"),
        (Scheme::Exact, "blue", "blue"),
    ] {
        assert_eq!(version(scheme, text).unit(), unit);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,20}", scheme in prop::sample::select(&ALL[..])) {
        if let Ok(version) = scheme.version(&text) {
            prop_assert!(version.satisfies(&version));
            prop_assert_eq!(version.as_str(), text);
        }
    }

    #[test]
    fn main_minor_agrees_with_a_naive_model(a in 0..4u64, b in 0..12u64, c in 0..4u64, d in 0..12u64) {
        let (provided, required) = (format!("{a}.{b}"), format!("{c}.{d}"));
        let (provided, required) = (version(Scheme::MainMinor, &provided), version(Scheme::MainMinor, &required));
        prop_assert_eq!(provided.satisfies(&required), a == c && b >= d);
        prop_assert_eq!(provided.compare(&required), Some((a, b).cmp(&(c, d))));
    }

    #[test]
    fn main_date_bugfix_agrees_with_a_naive_model(
        a in 0..3u64, b in 0..3i32, c in 0..12u64, d in 0..3u64, e in 0..3i32, f in 0..12u64,
    ) {
        let text = |main: u64, day: i32, bugfix: u64| {
            let date = Date::from_epoch_days(18_320 + day).expect("near the leap day of 2020");
            format!("v{main}_{}-{bugfix}", date.to_string().replace('-', ""))
        };
        let scheme = Scheme::MainDateBugfix;
        let (provided, required) = (version(scheme, &text(a, b, c)), version(scheme, &text(d, e, f)));
        prop_assert_eq!(provided.satisfies(&required), a == d && b == e && c >= f);
        prop_assert_eq!(provided.compare(&required), Some((a, b, c).cmp(&(d, e, f))));
    }

    #[test]
    fn what_will_do_is_of_one_unit(a in 0..3u64, b in 0..3u64, c in 0..3u64, d in 0..3u64) {
        let (p, r) = (version(Scheme::Semver, &format!("{a}.{b}.1")), version(Scheme::Semver, &format!("{c}.{d}.0")));
        prop_assert!(!p.satisfies(&r) || p.unit() == r.unit());
    }

    #[test]
    fn what_satisfies_stays_so_when_it_grows(a in 0..3u64, b in 0..5u64, c in 0..5u64, step in 0..5u64) {
        let old = version(Scheme::Semver, &format!("{a}.{b}.{c}"));
        let new = version(Scheme::Semver, &format!("{a}.{b}.{}", c + step));
        prop_assert!(new.satisfies(&old));
        prop_assert_eq!(old.satisfies(&new), step == 0);
    }
}
