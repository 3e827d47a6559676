//! Compares how variants are told apart.

use std::collections::BTreeMap;

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
    let mapping = |node: &OpenApiNode<'a>| -> BTreeMap<&'a str, &'a str> {
        let map = node.child("mapping").and_then(|node| node.map());
        map.into_iter()
            .flatten()
            .filter_map(|(key, to)| Some((key.as_str(), to.as_str()?)))
            .collect()
    };
    let (old, new) = (mapping(&before), mapping(&after));
    for (key, to) in &old {
        let now = new.get(key);
        let gone = now.is_none() && place.direction == Direction::Sent && !new.is_empty();
        if gone || now.is_some_and(|now| now != to) {
            let text = format!("`{}` of {} names another variant", shorten(key), place.subject());
            let values = (Some(shorten(to)), now.map(|now| shorten(now)));
            comparer.found(sink, rule, place, &after.at, text, values);
        }
    }
}
