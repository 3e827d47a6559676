//! The pages for people, as the command writes them.

use std::{fs, path::Path};

use crate::support::place::Place;

fn pages(folder: &Path, out: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable")) {
        if entry.path().is_dir() {
            pages(&entry.path(), out);
        } else {
            let text = fs::read_to_string(entry.path()).expect("text");
            out.push((entry.path().display().to_string(), text));
        }
    }
}

fn site(place: &Place) -> Vec<(String, String)> {
    place.expect(0, &["site", "out"]);
    let mut all = Vec::new();
    pages(&place.path().join("out"), &mut all);
    all.sort();
    all
}

#[test]
fn every_link_leads_to_a_page_and_nothing_is_asked_elsewhere() {
    let place = Place::shop();
    let all = site(&place);
    assert!(all.len() >= 12, "{}", all.len());
    for (file, text) in all.iter().filter(|(file, _)| file.ends_with(".html")) {
        assert!(text.contains("default-src 'none'"), "{file}");
        for word in ["<script", " src=", "url(", "@import", "<link", "javascript:"] {
            assert!(!text.contains(word), "{file} holds {word}");
        }
        for link in text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or("")) {
            if ["https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
                continue;
            }
            let target = Path::new(file).parent().expect("a folder").join(link);
            assert!(target.is_file(), "{file} links to {link}, which is not there");
        }
    }
}

#[test]
fn the_addresses_are_those_of_the_linkset() {
    let place = Place::shop();
    site(&place);
    let ran = place.expect(0, &["export", "linkset", "--base", "https://apis.example.com/"]);
    let mut found = 0;
    for item in ran.json()["linkset"][0]["item"].as_array().expect("items") {
        let href = item["href"].as_str().expect("an address");
        let path = href.strip_prefix("https://apis.example.com/").expect("below the base");
        assert!(place.path().join("out").join(path).join("index.html").is_file(), "{href}");
        found += 1;
    }
    assert_eq!(found, 5);
}

#[test]
fn what_services_declare_is_text() {
    let place = Place::new();
    place.write(
        "a/x.json",
        r##"{"openapi": "3.0.0", "info": {"description": "<script>alert(1)</script>"},
            "paths": {"/<b>": {"get": {"summary": "\"><img src=x>", "responses": {"200": {"description": "ok",
            "content": {"a/b": {"schema": {"$ref": "#/paths"}}}}}}}}}"##,
    );
    place.declare(
        "a",
        "schema = 1\nservice = { name = \"a\", owner = \"<i>\", contacts = [\"javascript:alert(1)\"] }\n\
         [[provides]]\napi = \"a\"\nscheme = \"exact\"\ndescription = \"x.json\"\n\
         versions = [{ version = \"../../../x\", released = 2026-01-01, notes = \"<u>\", migration = \"javascript:x\" }]\n",
    );
    place.publish("a");
    let all = site(&place);
    for (file, text) in all.iter().filter(|(file, _)| file.ends_with(".html")) {
        for word in ["<script", "<img", "<i>", "<u>", "href=\"javascript"] {
            assert!(!text.contains(word), "{file} holds {word}");
        }
    }
    assert!(all.iter().any(|(_, text)| text.contains("&lt;script&gt;")));
    // Nothing is written outside, whatever a version is called.
    let around: Vec<_> = fs::read_dir(place.path()).expect("a folder").collect();
    assert_eq!(around.len(), 3, "a, dictionary, out");
}

#[test]
fn pages_of_what_is_gone_are_removed_and_other_folders_are_left_alone() {
    let place = Place::shop();
    site(&place);
    let list = place.read("out/_/site.json");
    place.write(
        "out/_/site.json",
        &list.replace("\"index.html\"", "\"gone/index.html\", \"../keep\", \"index.html\""),
    );
    place.write("out/gone/index.html", "old");
    place.write("keep", "keep");
    site(&place);
    assert!(!place.path().join("out/gone/index.html").exists());
    assert_eq!(place.read("keep"), "keep");

    place.write("mine/notes.txt", "mine");
    let ran = place.expect(2, &["site", "mine"]);
    assert!(ran.stderr.contains("was not made by this command"), "{ran}");
}

#[test]
fn an_empty_dictionary_says_what_to_do() {
    let place = Place::new();
    let all = site(&place);
    let home = all.iter().find(|(file, _)| file.ends_with("out/index.html")).expect("a page");
    assert!(home.1.contains("cargo meshwise publish"), "{}", home.1);
}

#[test]
fn descriptions_are_shown_by_their_operations() {
    let place = Place::new();
    place.write(
        "a/x.yaml",
        "openapi: 3.0.0\npaths:\n  /orders:\n    get:\n      summary: List\n      responses:\n        200:\n          description: ok\n          content:\n            application/json:\n              schema: {$ref: '#/components/schemas/Order'}\ncomponents:\n  schemas:\n    Order: {type: object, required: [id], properties: {id: {type: string}, parent: {$ref: '#/components/schemas/Order'}}}\n",
    );
    place.declare(
        "a",
        "schema = 1\nservice = { name = \"a\" }\n[[provides]]\napi = \"a\"\nscheme = \"semver\"\n\
         description = \"x.yaml\"\nversions = [{ version = \"1.0.0\", released = 2026-01-01 }]\n",
    );
    place.publish("a");
    site(&place);
    let page = place.read("out/a/1.0.0/index.html");
    for part in ["<span class=\"path\">/orders</span>", "List", "<code>id</code>", "required", "…"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(place.read("out/a/1.0.0/description-x.yaml").starts_with("openapi"));
}
