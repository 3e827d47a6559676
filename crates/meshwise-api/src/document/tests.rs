use proptest::prelude::*;

use super::*;
use crate::{Provides, Release, Requires, Scheme};

fn draft(service: &str) -> Draft {
    let mut declaration = Declaration::new(service);
    let mut provides = Provides::new("auth", Scheme::MainMinor);
    provides.versions.push(Release::new(Scheme::MainMinor.version("1.1").expect("a version")));
    declaration.provides.push(provides);
    declaration.requires.push(Requires::new("billing", "2.0"));
    Draft::new(declaration, "2026-11-21T08:00:00Z".parse().expect("a moment"), "ci")
}

#[test]
fn the_form_is_a_promise() {
    // Other languages read it, and digests hang on each byte: what changes here breaks every
    // dictionary that was written before.
    let document = draft("auth").with_commit("1f3a9c").seal(None).expect("sealed");
    insta::assert_snapshot!(document.to_json());
}

#[test]
fn what_is_sealed_can_be_read_and_nothing_else() {
    let document = draft("auth").with_reason("leak of tokens").seal(None).expect("sealed");
    let read = Document::from_json(document.to_json().as_bytes()).expect("sealed");
    assert_eq!(read, document);
    // White space and the order of keys mean nothing.
    let value: Value = serde_json::from_str(document.to_json()).expect("json");
    let pretty = serde_json::to_string_pretty(&value).expect("json");
    assert_eq!(Document::from_json(pretty.as_bytes()).expect("sealed"), document);
    // Any other change is seen.
    for (from, to) in [
        ("leak of tokens", "fun"),
        ("\"seq\":1", "\"seq\":2"),
        ("1.1", "1.2"),
        ("sha256:", "sha256:0"),
    ] {
        let changed = document.to_json().replacen(from, to, 1);
        assert_ne!(changed, document.to_json(), "{from}");
        assert!(Document::from_json(changed.as_bytes()).is_err(), "{from}");
    }
}

#[test]
fn what_a_newer_release_adds_is_kept_and_sealed() {
    let mut value: Value =
        serde_json::from_str(draft("auth").seal(None).expect("sealed").to_json()).expect("json");
    value.as_object_mut().expect("an object").remove("digest");
    value["signature"] = "from the future".into();
    value["declaration"]["service"]["slack"] = "#auth".into();
    let digest = Digest::of(to_canonical(&value).expect("canonical").as_bytes());
    value["digest"] = digest.to_string().into();
    let document = Document::from_json(value.to_string().as_bytes()).expect("readable");
    assert!(document.to_json().contains("from the future") && document.to_json().contains("slack"));
    assert_eq!(document.digest(), digest);
}

#[test]
fn what_is_no_document_is_told_apart() {
    let good = draft("auth").seal(None).expect("sealed");
    assert!(matches!(Document::from_json(b"{"), Err(DocumentError::Json(_))));
    assert!(matches!(Document::from_json(b"[]"), Err(DocumentError::Schema(_))));
    assert!(matches!(Document::from_json(b"{\"schema\":2}"), Err(DocumentError::Schema(_))));
    assert!(matches!(
        Document::from_json(b"{\"schema\":1,\"x\":1.5}"),
        Err(DocumentError::Canonical(_))
    ));
    assert!(matches!(
        Document::from_json(&vec![b' '; Document::MAX_SIZE + 1]),
        Err(DocumentError::TooBig(_))
    ));
    let deep = "[".repeat(100_000);
    assert!(matches!(Document::from_json(deep.as_bytes()), Err(DocumentError::Json(_))));
    assert!(matches!(draft("../auth").seal(None), Err(DocumentError::Service(_))));
    assert!(matches!(draft("other").seal(Some(&good)), Err(DocumentError::OtherService { .. })));
}

#[test]
fn a_chain_has_no_gaps_and_no_forks() {
    let first = draft("auth").seal(None).expect("sealed");
    let second = draft("auth").seal(Some(&first)).expect("sealed");
    let third = draft("auth").seal(Some(&second)).expect("sealed");
    let fork = draft("auth").with_commit("other").seal(Some(&first)).expect("sealed");
    first.verify_parent(None).expect("the first");
    third.verify_parent(Some(&second)).expect("in order");
    let mut told = String::new();
    for (document, parent) in [
        (&second, None),
        (&third, Some(&first)),
        (&first, Some(&first)),
        (&third, Some(&fork)),
        (&second, Some(&draft("billing").seal(None).expect("sealed"))),
    ] {
        told.push_str(&document.verify_parent(parent).expect_err("broken").to_string());
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}

proptest! {
    /// Whatever is cut, overwritten or slipped in: an error or, if it meant nothing, the same.
    #[test]
    fn no_damage_goes_unseen(at in 0..600usize, cut in 0..10usize, insert in "[\\[\\]\":,{}\n a-z0-9é\\\\-]{0,4}") {
        let good = draft("auth").with_commit("1f3a9c").seal(None).expect("sealed");
        let text = good.to_json();
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((at + cut).min(text.len()));
        let damaged = format!("{}{insert}{}", &text[..start], &text[end..]);
        if let Ok(read) = Document::from_json(damaged.as_bytes()) {
            prop_assert_eq!(read, good);
        }
    }
}
