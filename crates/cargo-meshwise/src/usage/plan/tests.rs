use super::*;

const NOW: i64 = 1_795_000_123;

fn plan() -> Plan {
    // 12 steps of 5 minutes.
    Plan::new("1h".parse().expect("a window"), "5m".parse().expect("a window"), NOW)
}

fn about() -> ApiId {
    "auth@1.1".parse().expect("an id")
}

fn instance(name: &str) -> Instance {
    ("auth".to_owned(), name.to_owned())
}

/// Everything seen for some instances over all of the window, and no calls.
fn covered(instances: &[&str]) -> Answers {
    let plan = plan();
    let mut answers = Answers::default();
    for name in instances {
        watched(&mut answers, name, plan.first(), plan.last, plan.begin() - 1_000_000);
    }
    answers.steps = (0..plan.count).map(|i| plan.first() + i * plan.step).collect();
    answers
}

/// One instance, scraped from one step to another.
fn watched(answers: &mut Answers, name: &str, first: i64, last: i64, since: i64) {
    let steps = ((last - first) / plan().step + 1) as f64;
    answers.counted.insert(instance(name), steps);
    answers.first.insert(instance(name), first as f64);
    answers.last.insert(instance(name), last as f64);
    answers.since.insert(instance(name), since as f64);
    answers.tried.insert(instance(name), steps);
}

fn gaps(answers: &Answers) -> Vec<String> {
    assess(&about(), &plan(), answers).gaps.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_gap(answers: &Answers, words: &str) {
    let gaps = gaps(answers);
    assert!(gaps.iter().any(|gap| gap.contains(words)), "{words:?} in {gaps:#?}");
}

#[test]
fn steps_lie_at_multiples_and_cover_the_window() {
    for (window, resolution, now) in [
        ("30d", "5m", NOW),
        ("1h", "5m", NOW),
        ("7m", "3m", NOW),
        ("10s", "5m", 7),
        ("400d", "1s", NOW),
    ] {
        let window: Window = window.parse().expect("a window");
        let plan = Plan::new(window, resolution.parse().expect("a window"), now);
        assert_eq!(plan.last % plan.step, 0);
        assert!(plan.last < now && now <= plan.last + plan.step, "{plan:?}");
        assert!(plan.range() >= window.seconds() && plan.range() < window.seconds() + plan.step);
        assert!(plan.count <= MAX_STEPS);
        // Neither end of the range is a step, so that open or closed ends are all the same.
        assert_ne!(plan.begin().rem_euclid(plan.step), 0);
        assert!(plan.begin() < plan.first() && plan.first() - plan.step < plan.begin());
    }
}

#[test]
fn full_coverage_and_no_calls() {
    let usage = assess(&about(), &plan(), &covered(&["a", "b"]));
    assert!(usage.is_complete(), "{:?}", usage.gaps);
    assert!(usage.calls.is_empty());
    assert_eq!(usage.instances, 2);
    assert_eq!(usage.to.to_unix_seconds() - usage.from.to_unix_seconds(), 3600);
}

#[test]
fn calls_are_counted_by_caller() {
    let mut answers = covered(&["a", "b"]);
    answers.risen.insert(("orders".into(), false), 0.4);
    answers.risen.insert(("stock".into(), false), 0.0);
    answers.risen.insert(("relay".into(), false), 0.01);
    answers.newborn.push((("orders".into(), false), instance("a"), 3.0));
    answers.newborn.push((("gateway".into(), false), instance("b"), 1.0));
    answers.newborn.push((("never".into(), false), instance("b"), 0.0));
    let usage = assess(&about(), &plan(), &answers);
    assert!(usage.is_complete());
    let calls: Vec<_> = usage.calls.iter().map(|(caller, n)| (caller.as_str(), *n)).collect();
    assert_eq!(calls, [("gateway", 1), ("orders", 4), ("relay", 1)]);
}

#[test]
fn nothing_seen_is_no_proof() {
    assert_gap(&Answers::default(), "no instance said that it counts");
}

#[test]
fn a_hole_of_the_service_is_a_gap_wherever_it_is() {
    let plan = plan();
    for missing in [0, 5, plan.count - 1] {
        let mut answers = covered(&["a"]);
        answers.steps.remove(&(plan.first() + missing * plan.step));
        assert_gap(&answers, "no instance was scraped");
    }
    let mut answers = covered(&["a"]);
    answers.steps.clear();
    let gaps = gaps(&answers);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains("retention"));
    answers.wanted = 3;
    assert_gap(&answers, "fewer than 3 instances were scraped");
}

#[test]
fn scrapes_that_are_too_far_apart_are_said_to_be() {
    let plan = Plan { count: 100, ..plan() };
    let steps = (0..plan.count).filter(|i| i % 2 == 0).map(|i| plan.first() + i * plan.step);
    let gaps = holes(&plan, 1, &steps.collect());
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].why.contains("50 times of 5m each"), "{gaps:?}");
    assert!(gaps[0].why.contains("--resolution"));
}

#[test]
fn a_hole_of_one_instance_is_a_gap() {
    let mut answers = covered(&["a", "b"]);
    answers.counted.insert(instance("b"), 11.0);
    assert_gap(&answers, "auth/b: was not scraped all the time");
}

#[test]
fn failed_scrapes_are_a_gap() {
    // It was there in 8 of the 12 steps in which a scrape was tried.
    let mut answers = covered(&["a"]);
    watched(&mut answers, "b", plan().first(), plan().first() + 7 * 300, 0);
    answers.tried.insert(instance("b"), 12.0);
    assert_gap(&answers, "auth/b: scrapes failed");
    answers.tried.insert(instance("b"), 10.0);
    assert_gap(&answers, "auth/b: scrapes failed");
    // One step more than it counted, as it ended: it was being taken away.
    answers.tried.insert(instance("b"), 9.0);
    assert!(gaps(&answers).is_empty());
}

#[test]
fn an_instance_that_does_not_count_is_a_gap() {
    let mut answers = covered(&["a"]);
    answers.tried.insert(instance("old"), 1.0);
    assert_gap(&answers, "auth/old: was scraped and did not count");
}

#[test]
fn an_instance_without_up_is_a_gap() {
    let mut answers = covered(&["a"]);
    answers.tried.clear();
    assert_gap(&answers, "there is no `up`");
}

#[test]
fn a_new_instance_is_fine_if_it_was_born_in_the_window() {
    let plan = plan();
    let late = plan.first() + 4 * plan.step;
    let mut answers = covered(&["a"]);
    watched(&mut answers, "b", late, plan.last, late - 400);
    assert!(gaps(&answers).is_empty());
    // Clocks may differ by a step.
    watched(&mut answers, "b", late, plan.last, plan.begin() - plan.step);
    assert!(gaps(&answers).is_empty());
    // It says that it ran before the window, and no one looked.
    watched(&mut answers, "b", late, plan.last, plan.begin() - plan.step - 1);
    assert_gap(&answers, "auth/b: ran before it was first scraped");
}

#[test]
fn one_instance_may_follow_another() {
    let plan = plan();
    let middle = plan.first() + 5 * plan.step;
    let mut answers = covered(&[]);
    watched(&mut answers, "a", plan.first(), middle, plan.begin() - 9_999);
    watched(&mut answers, "b", middle, plan.last, middle - 10);
    assert!(gaps(&answers).is_empty());
}

#[test]
fn old_calls_of_an_instance_that_was_not_watched_are_no_new_calls() {
    let plan = plan();
    let mut answers = covered(&["a"]);
    watched(&mut answers, "b", plan.first() + 300, plan.last, 0);
    answers.newborn.push((("orders".into(), false), instance("b"), 7.0));
    answers.newborn.push((("orders".into(), false), instance("gone"), 2.0));
    let usage = assess(&about(), &plan, &answers);
    assert!(usage.calls.is_empty(), "{:?}", usage.calls);
    assert_gap(&answers, "auth/b: 7 calls by orders, and it is not known when");
    assert_gap(&answers, "auth/gone: 2 calls by orders");
}

#[test]
fn answers_that_contradict_each_other_are_a_gap() {
    let plan = plan();
    let changes: [fn(&mut Answers, Instance, Plan); 6] = [
        |a, i, _| _ = a.first.remove(&i),
        |a, i, _| _ = a.since.remove(&i),
        |a, i, p| _ = a.first.insert(i, p.last as f64 + 300.0),
        |a, i, p| _ = a.last.insert(i, p.last as f64 + 300.0),
        |a, i, p| _ = a.first.insert(i, p.first() as f64 - 300.0),
        |a, i, p| _ = a.since.insert(i, p.time() as f64 + 1e6),
    ];
    for change in changes {
        let mut answers = covered(&["a"]);
        change(&mut answers, instance("a"), plan);
        assert_gap(&answers, "contradict");
    }
}

#[test]
fn a_warning_of_the_server_is_a_gap() {
    let mut answers = covered(&["a"]);
    answers.warnings.insert("No StoreAPIs matched".into());
    assert_gap(&answers, "not whole: No StoreAPIs matched");
}

#[test]
fn a_flood_of_gaps_is_cut() {
    let mut answers = covered(&["a"]);
    for n in 0..1_000 {
        answers.tried.insert(instance(&n.to_string()), 1.0);
    }
    let gaps = gaps(&answers);
    assert_eq!(gaps.len(), MAX_GAPS + 1);
    assert!(gaps.last().expect("one").ends_with("more gaps"));
}

#[test]
fn huge_and_odd_numbers_do_no_harm() {
    let mut answers = covered(&["a"]);
    for value in [f64::MAX, 1e300, f64::MIN_POSITIVE] {
        answers.risen.insert(("orders".into(), false), value);
        answers.counted.insert(instance("a"), value);
        answers.tried.insert(instance("a"), value);
        answers.since.insert(instance("a"), value);
        let _ = assess(&about(), &plan(), &answers);
    }
}
