//! The rules, all of them.

use super::rule::Rule;

mod exporters;
mod globals;
mod levels;
mod lines;
mod messaging;
mod web;

/// Lists every rule, by what it looks at.
pub(crate) fn all() -> Vec<Rule> {
    let messaging = messaging::RULES;
    [lines::RULES, web::RULES, globals::RULES, exporters::RULES, levels::RULES, messaging]
        .into_iter()
        .flatten()
        .map(|rule| Rule { ..*rule })
        .collect()
}

/// Joins names for people: `a`, `a and b`, `a, b and c`.
fn join(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Writes a list of features as TOML has it: `["a", "b"]`.
fn toml_list<'a>(features: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = features.into_iter().map(|f| format!("\"{f}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
