//! Figures of the workspace's code, for reviews and closing notes.

use anyhow::Context as _;
use house::{Ceilings, Circles, Figures, Glossary, Source};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Prints all figures of this checkout, or of another; `lower` lowers the ceilings of this one.
pub(crate) fn run(lower: bool, root: Option<PathBuf>) -> anyhow::Result<()> {
    let root = root.unwrap_or_else(house::root);
    let sources = house::sources(&root)?;
    let packages: BTreeSet<&str> = sources.iter().map(|source| &*source.package).collect();
    let mut now = Ceilings::default();
    code(&packages, &sources, &mut now);
    circles(&packages, &sources, &mut now);
    words(&root, &mut now)?;
    if lower {
        Ceilings::read(&root).unwrap_or_else(|_| now.clone()).lower(&now, &root)?;
    }
    Ok(())
}

fn code(packages: &BTreeSet<&str>, sources: &[Source], now: &mut Ceilings) {
    println!(
        "{:<20}{:>7}{:>7}{:>7}{:>9}{:>8}{:>9}{:>6}{:>14}{:>6}{:>7}",
        "code",
        "lines",
        "files",
        "> 500",
        "unwraps",
        "sleeps",
        "inline(a",
        "cold",
        "thread_local",
        "repr",
        "tests"
    );
    let mut twice = Vec::new();
    let mut sum = Figures::default();
    for package in packages {
        let figures = Figures::of(package, sources);
        println!("{}", row(package, &figures));
        now.doubles.insert((*package).to_owned(), figures.twice.len());
        now.long_files.insert((*package).to_owned(), figures.long_files);
        now.tricks.insert((*package).to_owned(), figures.tricks());
        now.sleeps.insert((*package).to_owned(), figures.sleeps);
        if !figures.twice.is_empty() {
            twice.push(format!("  {package}: {}", figures.twice.join(", ")));
        }
        add(&mut sum, &figures);
    }
    println!("{}", row("all", &sum));
    println!("\ntype names that a crate has more than once:\n{}", twice.join("\n"));
}

fn row(name: &str, figures: &Figures) -> String {
    let Figures { lines, files, long_files, unwraps, sleeps, .. } = figures;
    let Figures { inline_always, cold, thread_locals, layouts, tests, .. } = figures;
    format!(
        "{name:<20}{lines:>7}{files:>7}{long_files:>7}{unwraps:>9}{sleeps:>8}{inline_always:>9}\
         {cold:>6}{thread_locals:>14}{layouts:>6}{tests:>7}"
    )
}

fn add(sum: &mut Figures, other: &Figures) {
    sum.lines += other.lines;
    sum.files += other.files;
    sum.long_files += other.long_files;
    sum.unwraps += other.unwraps;
    sum.sleeps += other.sleeps;
    sum.inline_always += other.inline_always;
    sum.cold += other.cold;
    sum.thread_locals += other.thread_locals;
    sum.layouts += other.layouts;
    sum.tests += other.tests;
}

fn circles(packages: &BTreeSet<&str>, sources: &[Source], now: &mut Ceilings) {
    println!("\ncircles of more than two files, and the definitions that make them:");
    for package in packages.iter().filter(|package| **package != "tests") {
        let circles = Circles::of(package, sources);
        now.circles.insert((*package).to_owned(), circles.files.len());
        now.through_lib.insert((*package).to_owned(), circles.through_lib);
        if circles.files.is_empty() && circles.through_lib == 0 {
            continue;
        }
        println!(
            "  {package}: {} files in circles, {} imports through lib.rs",
            circles.files.len(),
            circles.through_lib
        );
        for (definition, freed) in circles.makers() {
            println!("    {freed:>3}  {} in {}", definition.name, definition.file.display());
        }
    }
}

fn words(root: &Path, now: &mut Ceilings) -> anyhow::Result<()> {
    let glossary = match Glossary::read(root) {
        Ok(glossary) => glossary,
        // Another checkout may not have one yet.
        Err(_) => Glossary::read(&house::root()).context("the glossary")?,
    };
    let uses = glossary.all(root)?;
    now.words = glossary.count(&uses);
    let mut places: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for use_ in &uses {
        let mut parts = use_.file.iter().filter_map(|part| part.to_str());
        let place = match (parts.next(), parts.next()) {
            (Some("crates"), Some(package)) => package,
            _ => "documents",
        };
        *places.entry(place).or_default().entry(&use_.word).or_default() += 1;
    }
    println!("\nwords that are out: {}", uses.len());
    for (place, words) in places {
        let sum: usize = words.values().sum();
        let list: Vec<_> = words.iter().map(|(word, count)| format!("{word} {count}")).collect();
        println!("  {place}: {sum} ({})", list.join(", "));
    }
    Ok(())
}
