//! One word for one thing: the glossary of `docs/style.md`, and where its words that are out are used.

use anyhow::{Context as _, ensure};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The most rows that a glossary may have and still be known by heart.
const ROWS: usize = 30;

/// Words that are other people's, by file, and the reason.
const ALLOWED: [(&str, &str, &str); 5] = [
    ("rejected", "ingest/reply.rs", "the fields are OTLP's `rejected_spans` and so on"),
    ("rejected", "console/hostile.rs", "the field is OTLP's `rejected_spans`"),
    ("took", "redaction/tests.rs", "a log line of another program"),
    (
        "rejected",
        "meshwise-otlp/src/signal.rs",
        "the fields are OTLP's `rejectedSpans` and its like",
    ),
    ("rejected", "redaction/values.rs", "a value that other people's log lines have"),
];

/// The words that are out.
#[derive(Debug)]
pub struct Glossary {
    /// Each as a sequence of words, the last of which may end in `*`, for any ending.
    out: Vec<(String, Vec<String>)>,
    /// What is to be said instead, of more than one word: a word that is out may be part of it.
    said: Vec<Vec<String>>,
}

/// A place where a word is used that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The word as the glossary has it.
    pub word: String,
    /// The file, from the root on.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl Glossary {
    /// Reads the table below `## Words`: what to say, and what not to.
    ///
    /// # Errors
    /// If there is no such table, or it has more than 30 rows.
    pub fn parse(style: &str) -> anyhow::Result<Self> {
        let (_, table) =
            style.split_once("\n## Words\n").context("docs/style.md has no ## Words")?;
        let table = table.split("\n## ").next().unwrap_or_default();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).skip(2).collect();
        ensure!(!rows.is_empty(), "the glossary is empty");
        ensure!(rows.len() <= ROWS, "{} rows are more than {ROWS}", rows.len());
        let (mut out, mut said) = (Vec::new(), Vec::new());
        for row in rows {
            let mut cells = row.trim_matches('|').split('|');
            let say = cells.next().unwrap_or_default();
            said.extend(say.split(',').map(words).filter(|words| words.len() > 1));
            let not = cells.next().context("a row has two cells")?;
            for word in not.split(',').map(|word| word.trim().trim_matches('`')) {
                ensure!(!word.is_empty(), "what is out? {row}");
                let parts = word.split([' ', '\'']).map(str::to_lowercase).collect();
                out.push((word.to_owned(), parts));
            }
        }
        Ok(Self { out, said })
    }

    /// Reads `docs/style.md`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        Self::parse(&fs::read_to_string(root.join("docs/style.md"))?)
    }

    /// Names the words that are out.
    pub fn out(&self) -> impl Iterator<Item = &str> {
        self.out.iter().map(|(word, _)| word.as_str())
    }

    /// Finds each use in a text: comments, strings and names, whose parts are words.
    pub fn uses(&self, file: &Path, text: &str, found: &mut Vec<Use>) {
        let mut at = 0;
        // By the first four letters, for there are many words and few that are out.
        let words: Vec<(usize, String)> = text
            .lines()
            .enumerate()
            .flat_map(|(line, text)| words(text).into_iter().map(move |word| (line + 1, word)))
            .collect();
        while at < words.len() {
            for (word, parts) in &self.out {
                let rest = &words[at..];
                let same = rest.len() >= parts.len()
                    && parts.iter().zip(rest).all(|(part, (_, word))| {
                        part.strip_suffix('*')
                            .map_or_else(|| word == part, |stem| word.starts_with(stem))
                    });
                if same && !self.is_said(&words, at, parts.len()) {
                    let file = file.to_path_buf();
                    found.push(Use { word: word.clone(), file, line: words[at].0 });
                }
            }
            at += 1;
        }
    }

    /// Tells whether these words are part of what is to be said.
    fn is_said(&self, words: &[(usize, String)], at: usize, length: usize) -> bool {
        self.said.iter().any(|phrase| {
            let starts = at.saturating_sub(phrase.len() - 1)..=at;
            starts
                .filter_map(|start| words.get(start..start + phrase.len()))
                .any(|part| part.len() >= length && part.iter().map(|(_, word)| word).eq(phrase))
        })
    }

    /// Finds each use in the crates' `src`, in `docs`, in READMEs and the pages beside the root's; the glossary itself, tables
    /// of other crates' names, texts made by machine and words that are other people's are left out.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn all(&self, root: &Path) -> anyhow::Result<Vec<Use>> {
        let mut found = Vec::new();
        let pages =
            ["README", "CHANGELOG", "CONTRIBUTING", "RELEASING", "SECURITY", "benches/README"];
        let mut files = pages.map(|page| root.join(format!("{page}.md"))).to_vec();
        list(&root.join("docs"), "md", &mut files)?;
        for entry in fs::read_dir(root.join("crates"))? {
            let folder = entry?.path();
            list(&folder.join("src"), "rs", &mut files)?;
            list(&folder.join("src"), "md", &mut files)?;
            let readme = folder.join("README.md");
            if readme.exists() {
                files.push(readme);
            }
        }
        files.retain(|file| !file.ends_with("docs/style.md") && !file.ends_with("migration.md"));
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
            self.uses(file.strip_prefix(root).unwrap_or(&file), &text, &mut found);
        }
        for (word, file, _) in ALLOWED {
            found.retain(|found| found.word != word || !found.file.ends_with(file));
        }
        Ok(found)
    }

    /// Counts uses by word, those not used too.
    #[must_use]
    pub fn count(&self, uses: &[Use]) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, usize> =
            self.out().map(|word| (word.to_owned(), 0)).collect();
        for use_ in uses {
            *counts.entry(use_.word.clone()).or_default() += 1;
        }
        counts
    }
}

/// Splits a line into words in lower case; names are split at `_` and before a capital.
fn words(line: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut inside, mut lower) = (false, false);
    for c in line.chars() {
        if !c.is_alphanumeric() {
            (inside, lower) = (false, false);
            continue;
        }
        let begins = !inside || (c.is_uppercase() && lower);
        if begins {
            found.push(String::new());
        }
        if let Some(word) = found.last_mut() {
            word.extend(c.to_lowercase());
        }
        (inside, lower) = (true, c.is_lowercase());
    }
    found
}

fn list(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, extension, found)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: &str = "# x\n\n## Words\n| say | not |\n|---|---|\n| peer | `neighbour*` |\n\
                         | in flight | under way, Took |\n| cannot | can't |\n\n## More\n| a | b |\n";

    fn found(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        Glossary::parse(STYLE).unwrap().uses(Path::new("x"), text, &mut found);
        found.into_iter().map(|use_| format!("{} {}", use_.line, use_.word)).collect()
    }

    #[test]
    fn names_comments_and_strings_are_read() {
        let text = "struct NeighbourConfig; // our neighbours\nlet under_way = TOOK; \"under way\"";
        let expected = ["1 neighbour*", "1 neighbour*", "2 under way", "2 Took", "2 under way"];
        assert_eq!(found(text), expected);
        assert_eq!(found("a can tips over; it can't"), ["1 can't"]);
        assert!(found("undertook the way, a neighbor").is_empty());
    }

    #[test]
    fn what_is_to_be_said_may_hold_a_word_that_is_out() {
        let table = "\n## Words\n| say | not |\n|---|---|\n| call sites | sites |\n";
        let mut found = Vec::new();
        let glossary = Glossary::parse(table).unwrap();
        glossary.uses(Path::new("x"), "call_sites, CallSites\ncall, sites of sites", &mut found);
        let places: Vec<_> = found.iter().map(|use_| use_.line).collect();
        assert_eq!(places, [2], "the second line's own, and not what follows a call");
        glossary.uses(Path::new("x"), "our sites", &mut found);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_glossary_that_is_too_long_is_refused() {
        let row = "| a | b |\n";
        let long = format!("\n## Words\n| say | not |\n|---|---|\n{}", row.repeat(31));
        Glossary::parse(&long).unwrap_err();
        Glossary::parse("no words").unwrap_err();
    }
}
