//! Compares enums, which the wire knows by numbers and JSON by names.

use super::{
    super::Rule,
    compare::{NONE, ProtoComparer},
    model::Enum,
};

pub(super) fn compare(comparer: &mut ProtoComparer<'_>) {
    let (old, new) = (comparer.old, comparer.new);
    for (name, before) in &old.enums {
        match new.enums.get(name) {
            Some(after) => one(comparer, name, before, after),
            None => comparer.report(Rule::PROTO_ENUM_REMOVED, name, "the enum is gone", NONE),
        }
    }
}

fn one(comparer: &mut ProtoComparer<'_>, name: &str, old: &Enum, new: &Enum) {
    for (value, number) in &old.values {
        let path = format!("{name}.{value}");
        let named = new.values.iter().find(|(other, _)| other == value);
        let numbered = new.values.iter().find(|(_, other)| other == number);
        let old_number = Some(number.to_string());
        match (named, numbered) {
            (Some((_, now)), _) if now == number => {}
            (Some((_, now)), _) => {
                let values = (old_number, Some(now.to_string()));
                let text = "the value has another number";
                comparer.report(Rule::PROTO_ENUM_VALUE_RENUMBERED, &path, text, values);
            }
            (None, Some((other, _))) => {
                // One of several names of the number is gone: the others say the same.
                let values = (Some(value.clone()), Some(other.clone()));
                let text = format!("number {number} has another name");
                comparer.report(Rule::PROTO_ENUM_VALUE_RENAMED, &path, &text, values);
            }
            (None, None) => {
                let (rule, text) = if !new.reserved.number(*number) {
                    let text = "the value is gone, its number is not reserved";
                    (Rule::PROTO_ENUM_VALUE_REMOVED_NOT_RESERVED, text)
                } else if !new.reserved.names.contains(value) {
                    let text = "the value is gone, its name is not reserved";
                    (Rule::PROTO_ENUM_VALUE_NAME_NOT_RESERVED, text)
                } else {
                    (Rule::PROTO_ENUM_VALUE_REMOVED, "the value is gone")
                };
                comparer.report(rule, &path, text, (old_number, None));
            }
        }
    }
    for (value, number) in &new.values {
        let path = format!("{name}.{value}");
        let values = (None, Some(number.to_string()));
        // By a value that is new, and by one that was renamed or has another number.
        if old.reserved.number(*number) || old.reserved.names.contains(value) {
            let text = "the value takes a number or a name that was reserved";
            comparer.report(Rule::PROTO_RESERVED_TAKEN, &path, text, values.clone());
        }
        let known = old.values.iter().any(|(other, at)| other == value || at == number);
        if !known {
            let rule = if old.closed {
                Rule::PROTO_CLOSED_ENUM_VALUE_ADDED
            } else {
                Rule::PROTO_ENUM_VALUE_ADDED
            };
            comparer.report(rule, &path, "the value is new", values);
        }
    }
    let first =
        |one: &Enum| one.values.first().map(|(value, number)| format!("{value} = {number}"));
    let first_number = |one: &Enum| one.values.first().map(|(_, number)| *number);
    if first_number(old) != first_number(new) {
        let text = "the first value, which is the default, is another";
        let values = (first(old), first(new));
        comparer.report(Rule::PROTO_ENUM_FIRST_VALUE_CHANGED, name, text, values);
    }
    if old.closed != new.closed {
        let spell = |one: &Enum| Some(if one.closed { "closed" } else { "open" }.to_owned());
        let text = "whether the enum is open is another";
        let values = (spell(old), spell(new));
        comparer.report(Rule::PROTO_ENUM_OPENNESS_CHANGED, name, text, values);
    }
    comparer.reserved(name, &old.reserved, &new.reserved);
}
