use super::*;
use meshwise_api::Timestamp;

fn day(text: &str) -> Date {
    text.parse().expect("a day")
}

fn usage(calls: &[(&str, u64)], gaps: &[&str]) -> Usage {
    let gaps: Vec<_> = gaps.iter().map(|why| serde_json::json!({"why": why})).collect();
    let calls: serde_json::Map<_, _> =
        calls.iter().map(|(caller, n)| ((*caller).to_owned(), (*n).into())).collect();
    let at = |day: &str| Timestamp::from(self::day(day)).to_string();
    serde_json::from_value(serde_json::json!({
        "schema": 1, "api": "auth", "version": "1.1", "from": at("2027-03-01"),
        "to": at("2027-03-31"), "calls": calls, "instances": 2, "gaps": gaps,
    }))
    .expect("a usage")
}

fn orders() -> Dependant {
    Dependant { service: "orders".into(), owner: None, requires: "1.1".into() }
}

/// Every way in which each of the four questions can be answered, in all combinations: the table of
/// the module's documentation, once more and independently.
#[test]
fn every_combination_is_decided_as_the_table_says() {
    let today = day("2027-03-31");
    let plans = [
        (Planned::Sunset(day("2027-03-30")), Answer::Yes),
        (Planned::Sunset(today), Answer::Yes),
        (Planned::Sunset(day("2027-04-01")), Answer::No),
        (Planned::NoSunset, Answer::No),
        (Planned::NotProvided, Answer::Unknown),
        (Planned::Unknown, Answer::Unknown),
    ];
    let dependants = [
        (Ok(vec![]), Answer::Yes),
        (Ok(vec![orders()]), Answer::No),
        (Err("offline".to_owned()), Answer::Unknown),
    ];
    let usages = [
        (Ok(usage(&[], &[])), Answer::Yes),
        (Ok(usage(&[("orders", 0)], &[])), Answer::Yes),
        (Ok(usage(&[("orders", 1)], &[])), Answer::No),
        (Ok(usage(&[("unknown", 1)], &[])), Answer::No),
        (Ok(usage(&[], &["a hole"])), Answer::Unknown),
        (Ok(usage(&[("orders", 1)], &["a hole"])), Answer::No),
        (Err("timeout".to_owned()), Answer::Unknown),
    ];
    let mut seen = std::collections::BTreeMap::new();
    for (plan, a) in &plans {
        for (services, b) in &dependants {
            for (calls, c) in &usages {
                let calls = calls.as_ref().map_err(Clone::clone);
                let decision = decide(*plan, today, services.clone(), calls.clone());
                let all = [*a, *b, *c];
                let expected = if all.contains(&Answer::No) {
                    Answer::No
                } else if all.contains(&Answer::Unknown) {
                    Answer::Unknown
                } else {
                    Answer::Yes
                };
                assert_eq!(decision.answer, expected, "{plan:?} {services:?} {calls:?}");
                assert!(!decision.reasons.is_empty());
                // What decides stands first.
                assert_eq!(decision.reasons[0].answer(), decision.answer);
                *seen.entry(format!("{expected:?}")).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(seen["Yes"], 4);
}

#[test]
fn yes_names_all_three_proofs() {
    let usage = usage(&[], &[]);
    let today = day("2027-03-31");
    let decision = decide(Planned::Sunset(today), today, Ok(vec![]), Ok(&usage));
    assert_eq!(
        decision.reasons,
        [
            Reason::SunsetPassed { sunset: today },
            Reason::NoDependants,
            Reason::NoCalls { instances: 2 }
        ]
    );
}

#[test]
fn the_busiest_caller_stands_first_and_days_are_counted() {
    let usage = usage(&[("a", 1), ("b", 3), ("c", 2)], &[]);
    let decision =
        decide(Planned::Sunset(day("2028-03-01")), day("2028-02-01"), Ok(vec![]), Ok(&usage));
    assert_eq!(decision.reasons[0], Reason::SunsetAhead { sunset: day("2028-03-01"), days: 29 });
    let Reason::Calls { callers } = &decision.reasons[1] else { panic!("{decision:?}") };
    assert!(callers.iter().map(|caller| caller.service.as_str()).eq(["b", "c", "a"]));
}

#[test]
fn a_dictionary_out_of_reach_is_said_once() {
    let usage = usage(&[], &[]);
    let decision = decide(Planned::Unknown, day("2028-02-01"), Err("offline".into()), Ok(&usage));
    let said = decision.reasons.iter().filter(|r| matches!(r, Reason::NoDictionary { .. }));
    assert_eq!(said.count(), 1);
}
