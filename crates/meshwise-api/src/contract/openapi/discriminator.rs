//! Compares how variants are told apart.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::Rule,
    document::OpenApiNode,
    schemas::{Comparer, Direction, Place, Sink},
    view::View,
};
use crate::text::shorten;

/// Compares how a variant is named.
pub(super) fn compare<'a>(
    comparer: &mut Comparer<'a>,
    old: &View<'a>,
    new: &View<'a>,
    place: &Place,
    sink: &mut Sink,
) {
    let of = |view: &View<'a>| view.all("discriminator").next();
    let (Some(before), Some(after)) = (of(old), of(new)) else { return };
    let rule = place
        .direction
        .pick(Rule::REQUEST_DISCRIMINATOR_CHANGED, Rule::RESPONSE_DISCRIMINATOR_CHANGED);
    let name = |node: &OpenApiNode<'a>| node.text("propertyName").unwrap_or_default();
    if name(&before) != name(&after) {
        let text = format!("another property tells the variants of {} apart", place.subject());
        let values = (Some(shorten(name(&before))), Some(shorten(name(&after))));
        return comparer.found(sink, rule, place, &after.at, text, values);
    }
    let (olds, news) = (Named::gather(old, &before), Named::gather(new, &after));
    // A schema that is renamed is called otherwise on the wire, too.
    let renamed = news.names.keys().any(|key| !olds.names.contains_key(key));
    for (key, to) in &olds.names {
        let now = news.names.get(key).copied();
        // One that is gone as a whole is told by itself, but for a name that was written down.
        let is_there = || match news.variants.is_empty() {
            true => comparer.new.lookup(&format!("{SCHEMAS}{to}")).is_some(),
            false => news.variants.contains(to),
        };
        let differs = match now {
            Some(now) => now != *to,
            // Where no variants are listed, a schema is found by its own name.
            None if key == to && news.variants.is_empty() && is_there() => false,
            None if is_there() => true,
            None if olds.written.contains(key) => place.direction == Direction::Sent,
            None => renamed,
        };
        if differs {
            let text = format!("`{}` of {} names another variant", shorten(key), place.subject());
            let values = (Some(shorten(to)), now.map(shorten));
            comparer.found(sink, rule, place, &after.at, text, values);
        }
    }
}

/// Where schemas lie that have names.
const SCHEMAS: &str = "#/components/schemas/";

/// What variants are called on the wire: as the mapping says, else by the names of their schemas.
struct Named<'a> {
    /// The schema that each name means.
    names: BTreeMap<&'a str, &'a str>,
    /// The names that the mapping has.
    written: BTreeSet<&'a str>,
    /// The schemas that a value may be.
    variants: BTreeSet<&'a str>,
}

impl<'a> Named<'a> {
    fn gather(view: &View<'a>, discriminator: &OpenApiNode<'a>) -> Self {
        // A schema may be written as its name alone.
        let schema = |text: &'a str| text.strip_prefix(SCHEMAS).unwrap_or(text);
        let map = discriminator.child("mapping").and_then(|node| node.map());
        let pairs = map.into_iter().flatten();
        let mut names: BTreeMap<&'a str, &'a str> =
            pairs.filter_map(|(key, to)| Some((key.as_str(), schema(to.as_str()?)))).collect();
        let written: BTreeSet<&'a str> = names.keys().copied().collect();
        let mut variants: BTreeSet<&'a str> = names.values().copied().collect();
        for node in ["oneOf", "anyOf"].into_iter().flat_map(|key| view.all(key)) {
            let references =
                node.items().filter_map(|variant| variant.reference()).collect::<Vec<_>>();
            for name in references.into_iter().map(schema) {
                if variants.insert(name) {
                    names.insert(name, name);
                }
            }
        }
        Self { names, written, variants }
    }
}
