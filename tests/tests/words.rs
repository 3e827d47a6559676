//! One word for one thing: the glossary of `docs/style.md` is kept to.

use house::{Ceilings, Glossary, Use};
use std::collections::BTreeMap;

/// Words that are other people's, by file, and the reason.
const ALLOWED: [(&str, &str, &str); 3] = [
    ("rejected", "otlp/encode.rs", "the field is OTLP's `rejected_spans`"),
    ("took", "redaction/tests.rs", "a log line of another program"),
    ("rejected", "redaction/pairs.rs", "a value that other people's log lines have"),
];

#[test]
fn words_that_are_out_only_get_fewer() {
    let root = house::root();
    let glossary = Glossary::read(&root).expect("a glossary");
    let mut uses = glossary.all(&root).expect("the sources");
    for (word, file, _) in ALLOWED {
        uses.retain(|found| found.word != word || !found.file.ends_with(file));
    }
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
