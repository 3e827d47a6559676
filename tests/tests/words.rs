//! One word for one thing: the glossary of `docs/style.md` is kept to.

use house::{Ceilings, Glossary, Use};
use std::collections::BTreeMap;

#[test]
fn words_that_are_out_only_get_fewer() {
    let root = house::root();
    let glossary = Glossary::read(&root).expect("a glossary");
    let uses = glossary.all(&root).expect("the sources");
    let ceilings = Ceilings::read(&root).expect("ceilings");
    let above = Ceilings::above("words", &glossary.count(&uses), &ceilings.words);
    assert!(above.is_empty(), "{above:#?}\n{}", places(&uses));
}

/// Lists where they are, the files with the most last.
fn places(uses: &[Use]) -> String {
    let mut files: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for found in uses {
        let place = format!("{} ({})", found.line, found.word);
        files.entry(found.file.display().to_string()).or_default().push(place);
    }
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by_key(|(_, places)| places.len());
    let lines = files.into_iter().map(|(file, places)| format!("{file}: {}", places.join(", ")));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn words_without_a_ceiling_are_none() {
    let root = house::root();
    let glossary = Glossary::read(&root).expect("a glossary");
    let ceilings = Ceilings::read(&root).expect("ceilings");
    let known: Vec<&str> = glossary.out().collect();
    for word in ceilings.words.keys() {
        assert!(known.contains(&word.as_str()), "{word} has a ceiling and is in no glossary");
    }
}

/// The order of derives that is said in `docs/style.md`; others' come where they like.
const DERIVES: [&str; 11] = [
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "PartialEq",
    "Eq",
    "PartialOrd",
    "Ord",
    "Hash",
    "Serialize",
    "Deserialize",
];

/// Names the derives that stand in another order.
fn disordered(text: &str) -> Vec<&str> {
    let lists = text.split("#[derive(").skip(1).filter_map(|rest| rest.split(')').next());
    lists
        .filter(|list| {
            let names = list.split(',').filter_map(|name| name.trim().rsplit(':').next());
            let places = names.filter_map(|name| DERIVES.iter().position(|known| *known == name));
            !places.is_sorted()
        })
        .collect()
}

/// Names the crates that two lines in a row import from.
fn imported_twice(text: &str) -> Vec<&str> {
    let root = |line: &str| {
        let path = line.strip_prefix("use ")?;
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
        Some(end).filter(|_| !path.contains(" as ")).map(|end| end + 4)
    };
    let lines: Vec<&str> = [""].into_iter().chain(text.lines()).collect();
    let twice = lines.windows(3).filter_map(|lines| {
        let [before, first, second] = lines else { return None };
        let (one, other) = (root(first)?, root(second)?);
        let alone = before.starts_with("#[") || !first.ends_with(';');
        (!alone && first[..one] == second[..other]).then_some(*first)
    });
    twice.collect()
}

#[test]
fn the_code_speaks_one_dialect() {
    let mut foreign = Vec::new();
    let files = house::files(&house::root()).expect("the sources");
    assert!(files.len() > 1000, "{} are not all", files.len());
    for (path, text) in files {
        if text.starts_with("// This file is @generated") {
            continue;
        }
        let file = path.display();
        foreign.extend(disordered(&text).into_iter().map(|list| format!("{file}: {list}")));
        foreign.extend(imported_twice(&text).iter().map(|line| format!("{file}: {line}")));
    }
    assert!(foreign.is_empty(), "{} in another dialect: {foreign:#?}", foreign.len());
    let derived = |list| format!("#[{}({list})]\n", "derive");
    let text = derived("Debug, Clone") + &derived("Clone, Debug, x::Y");
    assert_eq!(disordered(&text), ["Debug, Clone"]);
    assert_eq!(imported_twice("use a::B;\nuse a::C;\nuse b::D;"), ["use a::B;"]);
}
