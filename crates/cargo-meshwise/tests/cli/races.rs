//! The real command in many processes at once.

use std::process::{Child, Stdio};

use crate::support::place::Place;

/// Starts a publish of a declaration that says something of its own.
fn start(place: &Place, service: &str, writer: usize, extra: &[&str]) -> Child {
    let file = format!("{service}-{writer}.toml");
    let text = format!("schema = 1\n[service]\nname = \"{service}\"\nowner = \"w{writer}\"\n");
    place.write(&file, &text);
    place
        .command(&[&["publish", "--declaration", &file], extra].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

fn codes(children: Vec<Child>) -> Vec<i32> {
    children
        .into_iter()
        .map(|mut child| child.wait().expect("ends").code().expect("exits by itself"))
        .collect()
}

#[test]
fn processes_that_publish_on_top_of_each_other_lose_nothing() {
    let place = Place::new();
    // 200 in the long proof.
    let services: usize = match std::env::var("MESHWISE_PROOF").as_deref() {
        Ok("full") => 25,
        _ => 3,
    };
    let writers = services * 8;
    // Eight a service: each attempt is lost to another's success only, so ten attempts are enough.
    let children = (0..writers)
        .map(|writer| start(&place, &format!("s{}", writer % services), writer, &["--last-wins"]))
        .collect();
    assert!(codes(children).iter().all(|code| *code == 0));
    let json = place.expect(0, &["index", "--format", "json"]).json();
    assert_eq!((&json["services"], &json["documents"]), (&services.into(), &writers.into()));
}

#[test]
fn a_race_with_oneself_is_a_conflict() {
    let place = Place::new();
    // Whether two processes meet is up to the machine, so they try until they do.
    for round in 0..200 {
        let service = format!("s{round}");
        let children = (0..6).map(|writer| start(&place, &service, writer, &[])).collect();
        let codes = codes(children);
        assert!(codes.iter().all(|code| [0, 4].contains(code)), "{codes:?}");
        let published = codes.iter().filter(|code| **code == 0).count();
        let folder = place.path().join(format!("dictionary/services/{service}"));
        let files = std::fs::read_dir(folder).expect("published").count();
        assert_eq!(files, published, "one document for each success");
        if published < codes.len() {
            place.expect(0, &["index"]);
            return;
        }
    }
    panic!("six processes at once never met in 200 rounds");
}
