//! What a service has published binds it.

use super::*;

/// What `orders` published, and what it declares now.
fn against(published: &str, now: &str, force: Option<&str>) -> Vec<String> {
    let text = |versions: &str| format!("service = {{ name = \"orders\" }}\n{versions}");
    let published = seal(declare(&text(published)), "2026-01-01");
    let now = declare(&text(now));
    ids(&Check::new(&now, day(TODAY)).with_published(Some(&published)).with_force(force).run())
}

#[test]
fn what_is_published_binds() {
    let minor = |versions: &str| provides("scheme = \"main-minor\"", versions);
    let current = "{ version = \"1.0\", released = 2024-01-01 }";
    let ending = "{ version = \"1.0\", released = 2024-01-01, deprecated = 2026-01-01, sunset = 2027-06-01 }";
    let earlier = ending.replace("2027-06-01", "2027-05-31");
    let none: [&str; 0] = [];
    assert_eq!(against(&minor(current), &minor(current), None), none);
    assert_eq!(against(&minor(current), &minor(ending), None), ["warn backdated-deprecation"]);
    assert_eq!(
        against(&minor(ending), &minor(current), None),
        none,
        "a deprecation may be taken back"
    );
    assert_eq!(against(&minor(ending), &minor(&earlier), None), ["deny sunset-moved-earlier"]);
    assert_eq!(
        against(&minor(ending), &minor(&earlier), Some("a leak")),
        ["warn sunset-moved-earlier"]
    );
    assert_eq!(against(&minor(current), "", None), ["deny published-version-changed"]);
    assert_eq!(
        against(&minor(current), &provides("scheme = \"exact\"", current), None),
        ["deny published-version-changed"]
    );
    assert_eq!(
        against(
            &minor(current),
            &provides("scheme = \"main-minor\"\ntransport = \"grpc\"", current),
            None
        ),
        ["deny published-version-changed"]
    );
    // What is called today cannot become a plan again; its day may be corrected.
    let planned = "{ version = \"1.0\", released = 2026-11-22 }";
    assert_eq!(against(&minor(current), &minor(planned), None), ["deny published-version-changed"]);
    assert_eq!(against(&minor(current), &minor(&planned.replace("22", "21")), None), none);
    assert_eq!(against(&minor(planned), &minor("{ version = \"1.0\" }"), None), none);
    // Plans are no promises.
    assert_eq!(against(&minor("{ version = \"2.0\", released = 2027-01-01 }"), "", None), none);
    // Retired is for ever; a force does not help.
    let retired = current.replace(" }", ", sunset = 2026-10-01 }");
    assert_eq!(against(&minor(&retired), &minor(&retired), None), none);
    assert_eq!(
        against(&minor(&retired), &minor(current), Some("x")),
        ["deny retired-version-reused"]
    );
    assert_eq!(
        against(&minor(&retired), &minor("{ version = \"2.0\" }"), None),
        ["deny published-version-changed"]
    );
}

#[test]
fn callers_get_their_time_from_the_day_they_are_told() {
    let minor = |versions: &str| provides("scheme = \"main-minor\"", versions);
    let current = "{ version = \"1.0\", released = 2024-01-01 }";
    // Said to be deprecated long ago, but no one was told until today.
    let backdated = "{ version = \"1.0\", released = 2024-01-01, deprecated = 2026-01-01, sunset = 2026-12-31 }";
    assert_eq!(
        against(&minor(current), &minor(backdated), None),
        ["warn backdated-deprecation", "deny short-notice"]
    );
    assert_eq!(
        against(&minor(current), &minor(backdated), Some("a leak")),
        ["warn backdated-deprecation", "warn short-notice"]
    );
    assert_eq!(against("", &minor(backdated), None), ["warn short-deprecation"]);
    let told: [&str; 0] = [];
    assert_eq!(against(&minor(backdated), &minor(backdated), None), told);
    // A sunset without a deprecation needs the same time.
    let sudden = "{ version = \"1.0\", released = 2024-01-01, sunset = 2026-12-31 }";
    assert_eq!(against(&minor(current), &minor(sudden), None), ["deny short-notice"]);
    // Nor is there a day on which a version may go at once: not today, nor by a slip in the year.
    for gone in ["2026-11-22", "2026-11-21", "2025-11-21"] {
        let text = format!("{{ version = \"1.0\", released = 2024-01-01, sunset = {gone} }}");
        assert_eq!(against(&minor(current), &minor(&text), None), ["deny short-notice"], "{gone}");
        let own = format!("{}\n[policy]\nmin-deprecation-days = 0\n", minor(&text));
        assert_eq!(against(&minor(current), &own, None), ["deny short-notice"], "{gone}");
    }
}

/// Publishes versions one after the other on these days, and judges the last today.
fn story(steps: &[(&str, &str)]) -> Vec<String> {
    let text = |versions: &str| {
        declare(&format!(
            "service = {{ name = \"orders\" }}\n{}",
            provides("scheme = \"main-minor\"", versions)
        ))
    };
    let (last, before) = steps.split_last().expect("steps");
    let mut published: Option<Document> = None;
    for (at, versions) in before {
        let draft = Draft::new(text(versions), day(at).into(), "ci");
        let next = draft.seal(published.as_ref()).expect("sealed");
        next.verify_parent(published.as_ref()).expect("chained");
        published = Some(next);
    }
    let declaration = text(last.1);
    ids(&Check::new(&declaration, day(last.0)).with_published(published.as_ref()).run())
}

#[test]
fn a_promise_is_judged_against_all_that_was_published() {
    let version = |dates: &str| format!("{{ version = \"1.0\", released = 2020-01-01{dates} }}");
    let (open, late, soon) =
        (version(""), version(", sunset = 2028-01-01"), version(", sunset = 2027-12-01"));
    let none: [&str; 0] = [];
    // Lifted, and then set to an earlier day.
    let steps = [("2026-01-01", &*late), ("2026-02-01", &*open), ("2026-11-21", &*soon)];
    assert_eq!(story(&steps), ["deny sunset-moved-earlier"]);
    let steps = [("2026-01-01", &*late), ("2026-02-01", &*open), ("2026-11-21", &*late)];
    assert_eq!(story(&steps), none);
    // What was published under force is judged no second time.
    let steps = [("2026-01-01", &*late), ("2026-02-01", &*soon), ("2026-11-21", &*soon)];
    assert_eq!(story(&steps), none);
    // The time of callers begins when they were told of an end that early, and ever since.
    let near = version(", sunset = 2026-12-01");
    let steps = [("2026-01-01", &*open), ("2026-02-01", &*near), ("2026-11-21", &*near)];
    assert_eq!(story(&steps), none);
    // An end that was lifted is news when it comes back, though it was promised once.
    let steps = [("2026-01-01", &*near), ("2026-02-01", &*open), ("2026-11-21", &*near)];
    assert_eq!(story(&steps), ["deny short-notice"]);
}
