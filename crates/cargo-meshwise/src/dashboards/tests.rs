use super::*;
use crate::promql;

#[test]
fn each_expression_asks_only_for_what_is_counted() {
    for page in pages() {
        for (panel, expression) in page.expressions() {
            let problems = promql::unknown(expression);
            assert!(problems.is_empty(), "{}, «{panel}»: {problems:?}", page.name);
        }
    }
}

#[test]
fn each_panel_says_what_it_shows() {
    for page in pages() {
        let panels = page.json()["panels"].as_array().expect("panels").clone();
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let text = |key: &str| panel[key].as_str().unwrap_or_default().len();
            assert!(text("title") >= 3 && text("description") > 20, "{}: {panel}", page.name);
            assert!(!panel["targets"].as_array().expect("targets").is_empty(), "{panel}");
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    for page in pages() {
        let mut taken = std::collections::BTreeSet::new();
        let panels = page.json()["panels"].as_array().expect("panels").clone();
        for panel in panels {
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(x < 24 && taken.insert((x, y)), "{}: {panel}", page.name);
                }
            }
        }
    }
}
