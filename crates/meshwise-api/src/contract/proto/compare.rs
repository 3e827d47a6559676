//! Compares two files, message by message.

use std::collections::BTreeMap;

use super::{
    super::{Change, Comparison, Rule},
    enums, fields,
    model::{File, Reserved},
    services,
};
use crate::text::shorten;

/// Two files, and what was found.
pub(super) struct ProtoComparer<'a> {
    pub(super) old: &'a File,
    pub(super) new: &'a File,
    out: Comparison,
}

/// What was there before and what is there now.
pub(super) type Values = (Option<String>, Option<String>);

pub(super) const NONE: Values = (None, None);

impl ProtoComparer<'_> {
    /// Reports a change; the path is the full name, in the newer package unless it is gone.
    pub(super) fn report(
        &mut self,
        rule: &'static Rule,
        name: &str,
        text: &str,
        (old, new): Values,
    ) {
        let package =
            if rule.id().contains("removed") { &self.old.package } else { &self.new.package };
        let path = match (package.is_empty(), name.is_empty()) {
            (true, true) => "file".to_owned(),
            (false, true) => package.clone(),
            (true, _) => name.to_owned(),
            (false, _) => format!("{package}.{name}"),
        };
        let text = text.to_owned();
        self.out.push(Change { rule, path, place: name.to_owned(), text, old, new });
    }

    /// Reports what is no longer reserved and was not before either.
    pub(super) fn reserved(&mut self, name: &str, old: &Reserved, new: &Reserved) {
        let freed = |range: &&(i32, i32)| !covered(**range, &new.ranges);
        let mut lost: Vec<String> = old.ranges.iter().filter(freed).map(spelled).collect();
        lost.extend(old.names.difference(&new.names).cloned());
        if !lost.is_empty() {
            let list = crate::text::listed(lost.iter().map(String::as_str));
            let text = "numbers or names are no longer reserved";
            self.report(Rule::PROTO_RESERVED_REMOVED, name, text, (Some(list), None));
        }
    }
}

pub(super) fn files(old: &File, new: &File) -> Comparison {
    let mut comparer = ProtoComparer { old, new, out: Comparison::default() };
    if old.package != new.package {
        let values = (Some(old.package.clone()), Some(new.package.clone()));
        comparer.report(Rule::PROTO_PACKAGE_CHANGED, "", "the package is another", values);
    }
    if old.syntax != new.syntax {
        let values = (Some(old.syntax.clone()), Some(new.syntax.clone()));
        comparer.report(Rule::PROTO_SYNTAX_CHANGED, "", "the syntax is another", values);
    }
    for (key, values) in differing(&old.options, &new.options) {
        // Features are settled where they act.
        if !key.starts_with("features.") {
            let text = format!("the option {key} is another");
            comparer.report(Rule::PROTO_FILE_OPTION_CHANGED, "", &text, values);
        }
    }
    messages(&mut comparer);
    enums::compare(&mut comparer);
    services::compare(&mut comparer);
    extensions(&mut comparer);
    comparer.out.finish()
}

/// Lists options that differ, with what is shown of their values.
pub(super) fn differing(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Vec<(String, Values)> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| {
            let shown = |options: &BTreeMap<String, String>| options.get(key).map(|it| shorten(it));
            (key.clone(), (shown(old), shown(new)))
        })
        .collect()
}

fn messages(comparer: &mut ProtoComparer<'_>) {
    let (old, new) = (comparer.old, comparer.new);
    for (name, before) in &old.messages {
        if before.map_entry {
            continue;
        }
        let Some(after) = new.messages.get(name) else {
            comparer.report(Rule::PROTO_MESSAGE_REMOVED, name, "the message is gone", NONE);
            continue;
        };
        fields::compare(comparer, name, before, after);
        comparer.reserved(name, &before.reserved, &after.reserved);
        for range in &before.extension_ranges {
            if !covered(*range, &after.extension_ranges) {
                let text = "a range for extensions is gone";
                let values = (Some(spelled(range)), None);
                comparer.report(Rule::PROTO_EXTENSION_RANGE_REMOVED, name, text, values);
            }
        }
    }
    for (name, message) in &new.messages {
        if !old.messages.contains_key(name) && !message.map_entry {
            comparer.report(Rule::PROTO_MESSAGE_ADDED, name, "the message is new", NONE);
        }
    }
}

fn extensions(comparer: &mut ProtoComparer<'_>) {
    let (old, new) = (comparer.old, comparer.new);
    for (key @ (extendee, number), before) in &old.extensions {
        let path = format!("{extendee}.[{}]", before.name);
        match new.extensions.get(key) {
            Some(after) => fields::one(comparer, &path, before, after),
            None => {
                let text = format!("the extension with number {number} is gone");
                comparer.report(Rule::PROTO_EXTENSION_REMOVED, &path, &text, NONE);
            }
        }
    }
}

/// Tells whether each number of a range lies in one of others.
fn covered((start, end): (i32, i32), ranges: &[(i32, i32)]) -> bool {
    let mut at = i64::from(start);
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    for (from, to) in sorted {
        if i64::from(from) <= at && i64::from(to) >= at {
            at = i64::from(to) + 1;
        }
    }
    at > i64::from(end)
}

fn spelled((start, end): &(i32, i32)) -> String {
    if start == end { start.to_string() } else { format!("{start} to {end}") }
}
