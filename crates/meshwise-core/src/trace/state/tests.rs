//! What `traceparent` brings along is tested with it; here stands what one does with a list.

use super::*;

fn state(text: &'static str) -> TraceState {
    TraceState::from_headers(&[HeaderValue::from_static(text)])
}

#[test]
fn entries_are_found_by_key_and_counted() {
    let list = state("foo=1, foo2=2,a@b= x ,bar=");
    assert!(list.is_empty(), "one bad entry spoils all: {list}");
    let list = state("foo=1, foo2=2,a@b= x ");
    assert_eq!((list.len(), list.to_string().as_str()), (3, "foo=1,foo2=2,a@b= x"));
    assert_eq!(list.get("foo"), Some("1"));
    assert_eq!(list.get("a@b"), Some(" x"));
    assert_eq!(list.get("fo"), None);
    assert_eq!((TraceState::EMPTY.len(), TraceState::EMPTY.get("foo")), (0, None));
    assert_eq!(TraceState::EMPTY.iter().count(), 0);
}

#[test]
fn what_is_set_comes_first_and_the_rest_keeps_its_order() {
    let list = state("a=1,b=2,c=3");
    assert_eq!(list.with("b", "4").map(|list| list.to_string()), Ok("b=4,a=1,c=3".into()));
    assert_eq!(list.with("d", "4").map(|list| list.to_string()), Ok("d=4,a=1,b=2,c=3".into()));
    assert_eq!(list.as_str(), "a=1,b=2,c=3", "the list itself stays");

    let mut full = TraceState::EMPTY;
    for i in 0..40 {
        full = full.with(&format!("k{i}"), "v").expect("an entry");
    }
    assert_eq!(full.len(), TraceState::MAX_ENTRIES);
    assert_eq!((full.get("k8"), full.get("k7")), (Some("v"), None));
    let again = full.with("k8", "w").expect("an entry");
    assert_eq!((again.len(), again.get("k9")), (TraceState::MAX_ENTRIES, Some("v")));
}

#[test]
fn what_is_not_allowed_is_an_error() {
    for key in ["", "A", "é", "a b", "a=b", "a,b", "_a", &"a".repeat(257)] {
        assert_eq!(TraceState::EMPTY.with(key, "1"), Err(TraceStateError::Key), "{key}");
    }
    for value in ["", " ", "a ", "a,b", "a=b", "a\tb", "é", "\r\n", &"v".repeat(257)] {
        assert_eq!(TraceState::EMPTY.with("a", value), Err(TraceStateError::Value), "{value}");
    }
    assert!(TraceStateError::Value.to_string().contains("printable ASCII"));
}

#[test]
fn what_is_taken_out_leaves_the_rest() {
    let list = state("a=1,b=2,c=3");
    assert_eq!(list.without("b").as_str(), "a=1,c=3");
    assert_eq!(list.without("x"), list);
    assert_eq!(list.without("a").without("b").without("c"), TraceState::EMPTY);
    let value = HeaderValue::from_static("a=1,b=2,b=3");
    let (rest, own) = TraceState::split([value.to_str().ok()], Some("b"), 512);
    assert_eq!((rest.as_str(), own), ("a=1", Some("2")));
}

#[test]
fn more_than_could_be_valid_is_not_looked_at() {
    let mut text = " ".repeat(MAX_READ - 3);
    text.push_str("a=1");
    let fits = HeaderValue::from_str(&text).expect("text");
    assert_eq!(TraceState::from_headers([&fits]).as_str(), "a=1");
    let more = HeaderValue::from_static(" ");
    assert!(TraceState::from_headers([&fits, &more]).is_empty());
}

#[test]
fn the_largest_list_passes_if_it_may() {
    let entry = |i: usize| format!("k{i:0255}={}", "v".repeat(256));
    let list: Vec<String> = (0..32).map(entry).collect();
    let value = HeaderValue::from_str(&list.join(",")).expect("text");
    assert_eq!(TraceState::split([value.to_str().ok()], None, usize::MAX).0.len(), 32);
    let kept = TraceState::from_headers([&value]);
    assert_eq!(kept.len(), 15);
    assert!(kept.as_str().len() <= 8192);
}

#[test]
fn an_own_entry_that_stands_alone_is_read_as_beside_others() {
    let texts = [
        "mw=p:1;s:a",
        " mw=p:1",
        "mw=p:1 ",
        "mw=p:1,",
        ",mw=p:1",
        "mw=",
        "mw",
        "=p",
        "",
        "mw=a,b=c",
        "mw=a,mw=b",
        "mwx=1",
        "m=1",
        "mw=a=b",
        "mw=a\tb",
        "MW=a",
        "mw=é",
    ];
    for text in texts {
        let read = |values: &[Option<&'static str>]| {
            TraceState::split(values.iter().copied(), Some("mw"), 512)
        };
        // An empty value says nothing.
        assert_eq!(read(&[Some(text)]), read(&[Some(text), Some("")]), "{text}");
    }
    assert_eq!(TraceState::split([Some("mw=1")], Some("mw"), 512).1, Some("1"));
    assert_eq!(TraceState::split([Some("mw=1"), None], Some("mw"), 512).1, None);
}
