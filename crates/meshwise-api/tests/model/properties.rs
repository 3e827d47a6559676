//! What holds for any bytes; checked by stable tests on damaged fixtures, and by `cargo fuzz` on what
//! it finds.

use meshwise_api::{
    ApiId, Check, Date, Declaration, Dictionary, Document, Draft, Lock, Scheme, Timestamp,
};

/// The formats that have properties.
#[allow(dead_code, reason = "each fuzz target needs one of them")]
pub(crate) const FORMATS: [&str; 4] = ["declaration", "document", "lock", "version"];

/// Checks the properties of a format. Panics if one does not hold.
pub(crate) fn check(format: &str, data: &[u8]) {
    match format {
        "declaration" => declaration(data),
        "document" => document(data),
        "lock" => lock(data),
        "version" => version(data),
        other => panic!("there is no format {other}"),
    }
}

/// A declaration is refused with a reason, or it can be judged, published, locked and read again.
fn declaration(data: &[u8]) {
    let declaration = match Declaration::from_bytes("api.toml", data) {
        Ok(declaration) => declaration,
        Err(errors) => {
            assert!((1..=101).contains(&errors.as_slice().len()));
            assert!(!errors.to_string().is_empty());
            return;
        }
    };
    let json = serde_json::to_string(&declaration).expect("json");
    assert_eq!(serde_json::from_str::<Declaration>(&json).expect("a declaration"), declaration);

    let now = Timestamp::from_unix_seconds(1_795_219_200).expect("in range");
    let first = Draft::new(declaration.clone(), now, "fuzz").seal(None).expect("sealed");
    assert_eq!(Document::from_json(first.to_json().as_bytes()).expect("sealed"), first);
    let dictionary = Dictionary::from_documents([first]).expect("chained");
    let lock = Lock::resolve(&declaration, &dictionary, None, "fuzz", now);
    assert_eq!(Lock::parse("api.lock", &lock.to_string()).expect("a lock file"), lock);

    for today in [Date::MIN, now.date(), Date::MAX] {
        for (lock, dictionary) in
            [(None, None), (Some(&lock), None), (Some(&lock), Some(&dictionary))]
        {
            let report =
                Check::new(&declaration, today).with_lock(lock).with_dictionary(dictionary).run();
            assert_eq!(report.requirements.len(), declaration.requires.len());
            assert!(report.diagnostics.len() <= 101);
            for diagnostic in &report.diagnostics {
                let text = diagnostic.to_string();
                assert!(!text.contains('\u{1b}'), "a declaration commands the terminal: {text:?}");
            }
        }
    }
}

/// A document is refused, or its canonical text is one too and the same.
fn document(data: &[u8]) {
    if let Ok(document) = Document::from_json(data) {
        let again = Document::from_json(document.to_json().as_bytes()).expect("sealed");
        assert_eq!(again, document);
        let next = Draft::new(document.declaration().clone(), document.published_at(), "fuzz")
            .seal(Some(&document));
        if let Ok(next) = next {
            next.verify_parent(Some(&document)).expect("the next");
        }
    }
}

/// A lock file is refused, or can be written and read again.
fn lock(data: &[u8]) {
    match Lock::from_bytes("api.lock", data) {
        Ok(lock) => {
            let text = lock.to_string();
            assert_eq!(Lock::parse("api.lock", &text).expect("a lock file"), lock, "{text}");
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// Versions satisfy themselves, their order agrees with equality, and ids can be read back.
fn version(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    for scheme in [
        Scheme::Semver,
        Scheme::MainMinor,
        Scheme::MainDateBugfix,
        Scheme::Calver { same_or_later: false },
        Scheme::Calver { same_or_later: true },
        Scheme::Exact,
    ] {
        let (Ok(one), Ok(other)) = (scheme.version(one), scheme.version(other)) else { continue };
        assert!(one.satisfies(&one) && other.satisfies(&other));
        assert_eq!(
            one.partial_cmp(&other).map(std::cmp::Ordering::reverse),
            other.partial_cmp(&one)
        );
        assert_eq!(one == other, one.partial_cmp(&other).is_some_and(std::cmp::Ordering::is_eq));
        if one.satisfies(&other) {
            assert!(
                one.compare(&other).is_some_and(std::cmp::Ordering::is_ge),
                "{one} for {other}"
            );
        }
    }
    if let Ok(id) = text.parse::<ApiId>() {
        assert_eq!(id.to_string().parse::<ApiId>().expect("an id"), id);
    }
}
