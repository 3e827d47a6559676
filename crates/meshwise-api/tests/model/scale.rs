//! A company's worth of services: 2,000, with 10,000 arrows between them.

use std::{hint::black_box, time::Instant};

use meshwise_api::{
    Check, Declaration, Dictionary, Document, Draft, Lock, Provides, Release, Requires, Scheme,
    Timestamp, Verdict,
};

use crate::fixture::today;

const SERVICES: usize = 2_000;
const ARROWS: usize = 5;

/// Service `n` provides one API in three versions and calls five others.
fn declaration(n: usize) -> Declaration {
    let mut declaration = Declaration::new(format!("service-{n}"));
    let mut provides = Provides::new(format!("api-{n}"), Scheme::MainMinor);
    for minor in 0..3 {
        let mut release =
            Release::new(Scheme::MainMinor.version(&format!("1.{minor}")).expect("a version"));
        release.released = today().plus_days(-100 + minor);
        provides.versions.push(release);
    }
    declaration.provides.push(provides);
    for arrow in 1..=ARROWS {
        let api = format!("api-{}", (n + arrow * 37) % SERVICES);
        declaration.requires.push(Requires::new(api, "1.1"));
    }
    declaration
}

fn documents() -> Vec<Document> {
    (0..SERVICES)
        .map(|n| Draft::new(declaration(n), today().into(), "ci").seal(None).expect("sealed"))
        .collect()
}

fn time<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = black_box(work());
    println!("{what}: {:?}", started.elapsed());
    result
}

#[test]
fn everything_is_answered_for_a_large_company() {
    let texts: Vec<String> =
        documents().iter().map(|document| document.to_json().to_owned()).collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("{SERVICES} documents, {} kB", bytes / 1000);
    let documents = time("read and prove all digests", || {
        texts
            .iter()
            .map(|text| Document::from_json(text.as_bytes()).expect("sealed"))
            .collect::<Vec<_>>()
    });
    let dictionary = time("gather", || Dictionary::from_documents(documents).expect("chained"));
    let one = declaration(7);
    let report = time("check one service", || {
        Check::new(&one, today()).with_dictionary(Some(&dictionary)).run()
    });
    assert!(
        report.requirements.iter().all(|requirement| requirement.verdict == Verdict::Compatible)
    );
    let lock = time("lock one service", || {
        Lock::resolve(&one, &dictionary, None, "dictionary", Timestamp::from(today()))
    });
    assert_eq!(lock.entries.len(), ARROWS);
    assert_eq!(time("all arrows", || dictionary.edges(today()).count()), SERVICES * ARROWS);
    assert_eq!(time("who uses", || dictionary.who_uses("api-7", None, today()).len()), ARROWS);
    time("digest of the heads", || dictionary.head_digest());
}
