//! Compares the fields of a message, which the wire knows by their numbers and JSON by their names.

use prost_types::field_descriptor_proto::Type;

use super::{
    super::Rule,
    compare::{NONE, ProtoComparer, Values},
    model::{Enum, Field, File, Kind, Message, Presence},
};
use crate::text::shorten;

pub(super) fn compare(comparer: &mut ProtoComparer<'_>, name: &str, old: &Message, new: &Message) {
    for (number, before) in &old.fields {
        let path = format!("{name}.{}", before.name);
        match new.fields.get(number) {
            Some(after) => {
                one(comparer, &path, before, after);
                oneofs(comparer, &path, (old, before), (new, after));
            }
            None => gone(comparer, &path, before, new),
        }
    }
    for (number, after) in &new.fields {
        let path = format!("{name}.{}", after.name);
        let values = (None, Some(number.to_string()));
        // By a field that is new, and by one that was renamed or moved.
        if old.reserved.number(*number) || old.reserved.names.contains(&after.name) {
            let text = "the field takes a number or a name that was reserved";
            comparer.report(Rule::PROTO_RESERVED_TAKEN, &path, text, values.clone());
        }
        if old.fields.contains_key(number) || old.fields.values().any(|f| f.name == after.name) {
            continue;
        }
        if after.presence == Presence::Required {
            let text = "a required field is new";
            comparer.report(Rule::PROTO_REQUIRED_FIELD_ADDED, &path, text, values);
        } else {
            comparer.report(Rule::PROTO_FIELD_ADDED, &path, "the field is new", values);
        }
    }
}

fn gone(comparer: &mut ProtoComparer<'_>, path: &str, old: &Field, new: &Message) {
    let values = (Some(old.number.to_string()), None);
    if let Some(moved) = new.fields.values().find(|field| field.name == old.name) {
        let values = (Some(old.number.to_string()), Some(moved.number.to_string()));
        let text = "the field has another number";
        return comparer.report(Rule::PROTO_FIELD_NUMBER_CHANGED, path, text, values);
    }
    if old.presence == Presence::Required {
        let text = "a required field is gone";
        comparer.report(Rule::PROTO_REQUIRED_FIELD_REMOVED, path, text, values.clone());
    }
    if !new.reserved.number(old.number) {
        let text = "the field is gone, its number is not reserved";
        comparer.report(Rule::PROTO_FIELD_REMOVED_NOT_RESERVED, path, text, values);
    } else if !new.reserved.names.contains(&old.name) {
        let text = "the field is gone, its name is not reserved";
        comparer.report(Rule::PROTO_FIELD_NAME_NOT_RESERVED, path, text, values);
    } else {
        comparer.report(Rule::PROTO_FIELD_REMOVED, path, "the field is gone", values);
    }
}

/// Compares two fields of one number.
pub(super) fn one(comparer: &mut ProtoComparer<'_>, path: &str, old: &Field, new: &Field) {
    let fit = fit(comparer, &old.kind, &new.kind);
    if fit == Fit::None && old.name != new.name {
        let spell = |field: &Field| Some(format!("{} {}", spelled(&field.kind), field.name));
        let text = format!("number {} is another field", old.number);
        let values = (spell(old), spell(new));
        return comparer.report(Rule::PROTO_FIELD_NUMBER_REUSED, path, &text, values);
    }
    if old.json_name != new.json_name {
        let values = (Some(shorten(&old.json_name)), Some(shorten(&new.json_name)));
        let text = "the field has another name in JSON";
        comparer.report(Rule::PROTO_FIELD_JSON_NAME_CHANGED, path, text, values);
    } else if old.name != new.name {
        let values = (Some(old.name.clone()), Some(new.name.clone()));
        comparer.report(Rule::PROTO_FIELD_RENAMED, path, "the field has another name", values);
    }
    let map_changed = matches!(old.kind, Kind::Map(..)) != matches!(new.kind, Kind::Map(..));
    if fit != Fit::None || old.presence == Presence::Repeated || new.presence == Presence::Repeated
    {
        cardinality(comparer, path, old, new, map_changed);
    }
    if !map_changed {
        let rule = match fit {
            Fit::Same => None,
            Fit::Json => Some(Rule::PROTO_FIELD_TYPE_COMPATIBLE),
            Fit::Wire => Some(Rule::PROTO_FIELD_TYPE_WIRE_COMPATIBLE),
            Fit::None => Some(Rule::PROTO_FIELD_TYPE_CHANGED),
        };
        if let Some(rule) = rule {
            let values = (Some(spelled(&old.kind)), Some(spelled(&new.kind)));
            comparer.report(rule, path, "the field has another type", values);
        }
    }
    if old.delimited != new.delimited {
        let spell = |field: &Field| {
            Some(if field.delimited { "delimited" } else { "length-prefixed" }.to_owned())
        };
        let text = "the message is written in another form";
        let values = (spell(old), spell(new));
        comparer.report(Rule::PROTO_FIELD_ENCODING_CHANGED, path, text, values);
    }
    small(comparer, path, old, new);
}

fn small(comparer: &mut ProtoComparer<'_>, path: &str, old: &Field, new: &Field) {
    let texts = |old: &Option<String>, new: &Option<String>| -> Values {
        (old.as_deref().map(shorten), new.as_deref().map(shorten))
    };
    if old.default != new.default {
        let values = texts(&old.default, &new.default);
        let text = "the default is another";
        comparer.report(Rule::PROTO_FIELD_DEFAULT_CHANGED, path, text, values);
    }
    if old.packed != new.packed && old.presence == new.presence {
        let values = (Some(old.packed.to_string()), Some(new.packed.to_string()));
        let text = "the list is packed otherwise";
        comparer.report(Rule::PROTO_FIELD_PACKED_CHANGED, path, text, values);
    }
    if old.jstype != new.jstype {
        let values = texts(&old.jstype, &new.jstype);
        comparer.report(Rule::PROTO_FIELD_JSTYPE_CHANGED, path, "jstype is another", values);
    }
    if new.deprecated && !old.deprecated {
        comparer.report(Rule::PROTO_FIELD_DEPRECATED, path, "the field is deprecated", NONE);
    }
}

fn cardinality(
    comparer: &mut ProtoComparer<'_>,
    path: &str,
    old: &Field,
    new: &Field,
    map_changed: bool,
) {
    let spell = |field: &Field| {
        let text = match field.presence {
            _ if matches!(field.kind, Kind::Map(..)) => "map",
            Presence::Implicit => "one, presence implicit",
            Presence::Explicit => "one, presence explicit",
            Presence::Required => "required",
            Presence::Repeated => "repeated",
        };
        Some(text.to_owned())
    };
    let values = (spell(old), spell(new));
    let repeated = |field: &Field| field.presence == Presence::Repeated;
    let required = |field: &Field| field.presence == Presence::Required;
    let (rule, text) = if repeated(old) != repeated(new) || map_changed {
        (Rule::PROTO_FIELD_CARDINALITY_CHANGED, "how many values the field holds is another")
    } else if required(old) != required(new) {
        (Rule::PROTO_FIELD_REQUIRED_CHANGED, "whether the field is required is another")
    } else if old.presence != new.presence && old.oneof.is_some() == new.oneof.is_some() {
        (
            Rule::PROTO_FIELD_PRESENCE_CHANGED,
            "whether a default is told from a missing value is another",
        )
    } else {
        return;
    };
    comparer.report(rule, path, text, values);
}

fn oneofs(
    comparer: &mut ProtoComparer<'_>,
    path: &str,
    (old_message, old): (&Message, &Field),
    (new_message, new): (&Message, &Field),
) {
    let values = (old.oneof.clone(), new.oneof.clone());
    match (&old.oneof, &new.oneof) {
        (None, None) => {}
        (Some(before), Some(after)) => {
            // The name of a oneof is in no format: it is the same if its old fields are still together.
            let members = |message: &Message, name: &String| -> Vec<i32> {
                let of = |field: &&Field| field.oneof.as_ref() == Some(name);
                message.fields.values().filter(of).map(|field| field.number).collect()
            };
            let (before, after) = (members(old_message, before), members(new_message, after));
            let kept = |number: &&i32| new_message.fields.contains_key(*number);
            let known = |number: &&i32| old_message.fields.contains_key(*number);
            if !before.iter().filter(kept).all(|number| after.contains(number)) {
                let text = "fields of one oneof are in several now";
                comparer.report(Rule::PROTO_FIELD_MOVED_OUT_OF_ONEOF, path, text, values);
            } else if !after.iter().filter(known).all(|number| before.contains(number)) {
                let text = "fields of several oneofs are in one now";
                comparer.report(Rule::PROTO_FIELD_MOVED_INTO_ONEOF, path, text, values);
            }
        }
        (None, Some(name)) => {
            let of = |field: &&Field| field.oneof.as_ref() == Some(name);
            let others = new_message.fields.values().filter(of).any(|field| {
                field.number != new.number && old_message.fields.contains_key(&field.number)
            });
            let (rule, text) = if others {
                (
                    Rule::PROTO_FIELD_MOVED_INTO_ONEOF,
                    "the field is in a oneof with older fields now",
                )
            } else {
                (Rule::PROTO_FIELD_JOINED_NEW_ONEOF, "the field is in a oneof now")
            };
            comparer.report(rule, path, text, values);
        }
        (Some(_), None) => {
            let text = "the field is in no oneof any more";
            comparer.report(Rule::PROTO_FIELD_MOVED_OUT_OF_ONEOF, path, text, values);
        }
    }
}

/// How far values of one type can be read as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    None,
    /// In the binary form alone.
    Wire,
    /// In both forms, but for the range.
    Json,
    Same,
}

fn fit(comparer: &ProtoComparer<'_>, old: &Kind, new: &Kind) -> Fit {
    match (old, new) {
        (Kind::Scalar(old), Kind::Scalar(new)) => scalars(*old, *new),
        (Kind::Map(old_key, old), Kind::Map(new_key, new)) => {
            fit(comparer, old_key, new_key).min(fit(comparer, old, new))
        }
        (Kind::Message(a), Kind::Message(b)) | (Kind::Foreign(a), Kind::Foreign(b)) if a == b => {
            Fit::Same
        }
        // A foreign name may be written with more or less of its package.
        (Kind::Foreign(a), Kind::Foreign(b)) => {
            let ends = |long: &str, short: &str| {
                long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'))
            };
            if ends(a, b) || ends(b, a) { Fit::Same } else { Fit::None }
        }
        (Kind::Enum(a), Kind::Enum(b)) if a == b => Fit::Same,
        (Kind::Enum(a), Kind::Enum(b)) => {
            let contains = |file: &File, name: &String| file.enums.get(name).cloned();
            match (contains(comparer.old, a), contains(comparer.new, b)) {
                (Some(old), Some(new)) if same_values(&old, &new) => Fit::Json,
                _ => Fit::Wire,
            }
        }
        (Kind::Enum(_), Kind::Scalar(scalar)) | (Kind::Scalar(scalar), Kind::Enum(_)) => {
            let varint = [Type::Int32, Type::Int64, Type::Uint32, Type::Uint64, Type::Bool];
            if varint.contains(scalar) { Fit::Wire } else { Fit::None }
        }
        _ => Fit::None,
    }
}

fn same_values(old: &Enum, new: &Enum) -> bool {
    old.values.iter().all(|value| new.values.contains(value))
}

/// Tells which scalars are compatible (protobuf.dev, Updating A Message Type; JSON by buf's groups).
fn scalars(old: Type, new: Type) -> Fit {
    use Type::{
        Bool, Bytes, Fixed32, Fixed64, Int32, Int64, Sfixed32, Sfixed64, Sint32, Sint64, String,
        Uint32, Uint64,
    };
    let both = |group: &[Type]| group.contains(&old) && group.contains(&new);
    if old == new {
        return Fit::Same;
    }
    let json: [&[Type]; 4] =
        [&[Int32, Uint32], &[Int64, Uint64], &[Fixed32, Sfixed32], &[Fixed64, Sfixed64]];
    let wire: [&[Type]; 2] = [&[Int32, Uint32, Int64, Uint64, Bool], &[Sint32, Sint64]];
    if json.into_iter().any(both) {
        Fit::Json
    } else if wire.into_iter().any(both) || old == String && new == Bytes {
        // The other way round is only safe for what happens to be UTF-8.
        Fit::Wire
    } else {
        Fit::None
    }
}

fn spelled(kind: &Kind) -> String {
    match kind {
        Kind::Scalar(scalar) => {
            scalar.as_str_name().trim_start_matches("TYPE_").to_ascii_lowercase()
        }
        Kind::Message(name) | Kind::Enum(name) | Kind::Foreign(name) => shorten(name),
        Kind::Map(key, value) => format!("map<{}, {}>", spelled(key), spelled(value)),
    }
}
