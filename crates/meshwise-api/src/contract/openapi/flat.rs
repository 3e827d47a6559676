//! Compares two schemas that have no variants.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::Value;

use super::{
    super::{Rule, change::shown},
    document::OpenApiNode,
    schemas::{Comparer, Direction, Place, Sink, place_of},
    view::{ARRAY, INTEGER, Limit, NULL, NUMBER, OBJECT, STRING, View, spelled},
};
use crate::text::shorten;

/// A finding about two schemas, on its way.
struct Flat<'c, 'a, 's> {
    comparer: &'c mut Comparer<'a>,
    old: &'c View<'a>,
    new: &'c View<'a>,
    place: &'c Place,
    sink: &'s mut Sink,
}

/// Keywords of which it cannot be told whether one value takes more than another.
const OPAQUE: [&str; 18] = [
    "pattern",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "prefixItems",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];

pub(super) fn compare<'a>(
    comparer: &mut Comparer<'a>,
    old: &View<'a>,
    new: &View<'a>,
    place: &Place,
    sink: &mut Sink,
) {
    let mut flat = Flat { comparer, old, new, place, sink };
    if !flat.types() {
        return;
    }
    let types = old.types() & new.types();
    flat.values();
    flat.defaults();
    flat.formats();
    flat.opaque();
    if types & NUMBER != 0 {
        flat.numbers(types & NUMBER == INTEGER);
    }
    if types & STRING != 0 {
        flat.sizes("minLength", "maxLength");
    }
    if types & ARRAY != 0 {
        flat.sizes("minItems", "maxItems");
        flat.items();
    }
    if types & OBJECT != 0 {
        flat.sizes("minProperties", "maxProperties");
        flat.properties();
        flat.additional();
    }
}

impl<'a> Flat<'_, 'a, '_> {
    /// Returns the side whose values must all be taken, and the side that must take them.
    fn sides(&self) -> (&View<'a>, &View<'a>) {
        self.place.direction.pick((self.old, self.new), (self.new, self.old))
    }

    fn found(
        &mut self,
        sent: &'static Rule,
        received: &'static Rule,
        text: String,
        values: (Option<String>, Option<String>),
    ) {
        let at = place_of(self.old, self.new);
        self.found_at(sent, received, &at, text, values);
    }

    fn found_at(
        &mut self,
        sent: &'static Rule,
        received: &'static Rule,
        at: &str,
        text: String,
        values: (Option<String>, Option<String>),
    ) {
        let rule = self.place.direction.pick(sent, received);
        self.comparer.found(self.sink, rule, self.place, at, text, values);
    }

    /// Compares the types; false if they have none in common.
    fn types(&mut self) -> bool {
        let (sub, sup) = self.sides();
        let (sub, sup) = (sub.types(), sup.types());
        let missing = sub & !sup;
        let (old, new) = (self.old.types(), self.new.types());
        let shown = (Some(spelled(old)), Some(spelled(new)));
        let subject = self.place.subject();
        if missing == NULL {
            let (sent, received) =
                (Rule::REQUEST_BECAME_NOT_NULLABLE, Rule::RESPONSE_BECAME_NULLABLE);
            let text = self
                .place
                .direction
                .pick(format!("{subject} may no longer be null"), format!("{subject} may be null"));
            self.found(sent, received, text, shown);
        } else if missing != 0 {
            let text = format!("{subject} has another type");
            self.found(Rule::REQUEST_TYPE_NARROWED, Rule::RESPONSE_TYPE_WIDENED, text, shown);
        }
        old & new != 0
    }

    fn values(&mut self) {
        let (sub, sup) = self.sides();
        let Some(allowed) = sup.values() else { return };
        let subject = self.place.subject();
        match sub.values() {
            None if sub.types() == NULL => {}
            None => {
                let text = self.place.direction.pick(
                    format!("{subject} takes only listed values"),
                    format!("{subject} is no longer limited to listed values"),
                );
                let list = Some(listed(&allowed));
                let values = self.place.direction.pick((None, list.clone()), (list, None));
                self.found(Rule::REQUEST_BECAME_ENUM, Rule::RESPONSE_ENUM_REMOVED, text, values);
            }
            Some(values) => {
                let extra: Vec<_> =
                    values.into_iter().filter(|value| !holds(&allowed, value)).collect();
                if extra.is_empty() {
                    return;
                }
                let list = listed(&extra);
                let (text, values) = self.place.direction.pick(
                    (format!("{subject} no longer takes {list}"), (Some(list.clone()), None)),
                    (format!("{subject} may be {list}"), (None, Some(list.clone()))),
                );
                let (sent, received) =
                    (Rule::REQUEST_ENUM_VALUE_REMOVED, Rule::RESPONSE_ENUM_VALUE_ADDED);
                self.found(sent, received, text, values);
            }
        }
    }

    fn defaults(&mut self) {
        // What a default of a response says was applied before the value was sent.
        if self.place.direction == Direction::Received {
            return;
        }
        let of = |view: &View<'a>| view.all("default").next().map(|node| node.value);
        let (old, new) = (of(self.old), of(self.new));
        if old == new {
            return;
        }
        // The value itself is a parameter; what lies within it, or in a body, is a property.
        let parameter = self.place.field.is_empty() && self.place.operation.contains(" parameter ");
        let rule = match (parameter, old) {
            (true, Some(_)) => Rule::PARAMETER_DEFAULT_CHANGED,
            (true, None) => Rule::PARAMETER_DEFAULT_ADDED,
            (false, _) => Rule::PROPERTY_DEFAULT_CHANGED,
        };
        let text = format!("the default of {} is another", self.place.subject());
        self.found(rule, rule, text, (old.map(shown), new.map(shown)));
    }

    fn formats(&mut self) {
        let (sub, sup) = self.sides();
        let (sub, sup) = (sub.formats(), sup.formats());
        let taken = |format: &&str| {
            let format = *format;
            sub.iter().any(|has| {
                *has == format || matches!((*has, format), ("int32", "int64") | ("float", "double"))
            })
        };
        if sup.iter().all(taken) {
            return;
        }
        let join =
            |formats: Vec<&str>| (!formats.is_empty()).then(|| shorten(&formats.join(" and ")));
        let values = (join(self.old.formats()), join(self.new.formats()));
        let text = format!("{} has another format", self.place.subject());
        self.found(Rule::REQUEST_FORMAT_NARROWED, Rule::RESPONSE_FORMAT_WIDENED, text, values);
    }

    /// Compares keywords that are only equal or not: one more in the wrong place is a break, one that
    /// changed cannot be judged.
    fn opaque(&mut self) {
        for key in OPAQUE {
            let (sub, sup) = self.sides();
            let of = |view: &View<'a>| view.all(key).map(|node| node.value).collect::<Vec<_>>();
            let (has, wants) = (of(sub), of(sup));
            let everything = |value: &Value| {
                matches!(value, Value::Bool(true))
                    || value.as_object().is_some_and(serde_json::Map::is_empty) && key != "not"
                    || value.as_array().is_some_and(Vec::is_empty)
                    || key == "pattern" && matches!(value.as_str(), Some("" | ".*" | "^.*$"))
                    // What takes none at all is compared by itself.
                    || key == "unevaluatedProperties" && matches!(value, Value::Bool(false))
            };
            let missing: Vec<_> =
                wants.iter().filter(|value| !has.contains(value) && !everything(value)).collect();
            if missing.is_empty() {
                continue;
            }
            let subject = self.place.subject();
            let one = |values: &[&Value]| values.first().map(|value| shown(value));
            let values =
                self.place.direction.pick((one(&has), one(&wants)), (one(&wants), one(&has)));
            if has.iter().all(|value| wants.contains(value)) {
                let text = self.place.direction.pick(
                    format!("{subject} must meet `{key}`"),
                    format!("{subject} need not meet `{key}`"),
                );
                let (sent, received) =
                    (Rule::REQUEST_CONSTRAINT_ADDED, Rule::RESPONSE_CONSTRAINT_REMOVED);
                self.found(sent, received, text, values);
            } else {
                let text = format!("`{key}` of {subject} is another");
                let (sent, received) =
                    (Rule::REQUEST_CONSTRAINT_CHANGED, Rule::RESPONSE_CONSTRAINT_CHANGED);
                self.found(sent, received, text, values);
            }
        }
    }

    fn bound(&mut self, key: &str, old: Option<String>, new: Option<String>) {
        let text = match &new {
            Some(_) => format!("`{key}` of {} is another", self.place.subject()),
            None => format!("`{key}` of {} is gone", self.place.subject()),
        };
        self.found(Rule::REQUEST_BOUND_NARROWED, Rule::RESPONSE_BOUND_WIDENED, text, (old, new));
    }

    fn numbers(&mut self, integers: bool) {
        let (sub, sup) = self.sides();
        let tighter = |sub: Option<Limit>, sup: Option<Limit>, beyond: fn(f64, f64) -> bool| {
            let Some(sup) = sup else { return false };
            sub.is_none_or(|sub| {
                beyond(sub.value, sup.value)
                    || sub.value == sup.value && sup.exclusive && !sub.exclusive
            })
        };
        let low = tighter(sub.lower(integers), sup.lower(integers), |sub, sup| sub < sup);
        let high = tighter(sub.upper(integers), sup.upper(integers), |sub, sup| sub > sup);
        let step = |view: &View<'a>| view.number("multipleOf", f64::max);
        let coarser = step(sup).is_some_and(|sup| {
            step(sub).is_none_or(|sub| {
                let times = sub / sup;
                (times - times.round()).abs() > 1e-9
            })
        });
        let spell = |limit: Option<Limit>| {
            limit.map(
                |Limit { value, exclusive }| {
                    if exclusive { format!("{value} exclusive") } else { value.to_string() }
                },
            )
        };
        if low {
            self.bound("minimum", spell(self.old.lower(integers)), spell(self.new.lower(integers)));
        }
        if high {
            self.bound("maximum", spell(self.old.upper(integers)), spell(self.new.upper(integers)));
        }
        if coarser {
            let text = |view| step(view).map(|number| number.to_string());
            self.bound("multipleOf", text(self.old), text(self.new));
        }
    }

    fn sizes(&mut self, min: &str, max: &str) {
        let (sub, sup) = self.sides();
        let low = |view: &View<'a>| view.number(min, f64::max).filter(|size| *size > 0.0);
        let high = |view: &View<'a>| view.number(max, f64::min);
        let shorter = low(sup).is_some_and(|sup| low(sub).is_none_or(|sub| sub < sup));
        let longer = high(sup).is_some_and(|sup| high(sub).is_none_or(|sub| sub > sup));
        let text = |size: Option<f64>| size.map(|size| size.to_string());
        if shorter {
            self.bound(min, text(low(self.old)), text(low(self.new)));
        }
        if longer {
            self.bound(max, text(high(self.old)), text(high(self.new)));
        }
    }

    fn items(&mut self) {
        let (sub, sup) = self.sides();
        if sup.flag("uniqueItems") && !sub.flag("uniqueItems") {
            let flag = |view: &View<'a>| Some(view.flag("uniqueItems").to_string());
            self.bound("uniqueItems", flag(self.old), flag(self.new));
        }
        let items = |view: &View<'a>| view.all("items").collect::<Vec<_>>();
        let (old, new) = (items(self.old), items(self.new));
        if !(old.is_empty() && new.is_empty()) {
            self.comparer.within(old, new, self.place.below("[]"), self.sink);
        }
    }

    /// Lists the properties that go this way: what is read-only is not sent, what is write-only is
    /// not received.
    fn visible(&self, old: bool) -> (BTreeMap<&'a str, Vec<OpenApiNode<'a>>>, Vec<&'a str>) {
        let (view, document) =
            if old { (self.old, self.comparer.old) } else { (self.new, self.comparer.new) };
        let hidden = self.place.direction.pick("readOnly", "writeOnly");
        let all = view.properties();
        let is_hidden = |nodes: &[OpenApiNode<'a>]| View::gather(&document, nodes).flag(hidden);
        let required = view
            .required()
            .into_iter()
            .filter(|name| all.get(name).is_none_or(|nodes| !is_hidden(nodes)))
            .collect();
        let properties = all.into_iter().filter(|(_, nodes)| !is_hidden(nodes)).collect();
        (properties, required)
    }

    fn properties(&mut self) {
        let (old, old_required) = self.visible(true);
        let (new, new_required) = self.visible(false);
        for (name, nodes) in &old {
            match new.get(name) {
                Some(others) => {
                    let place = self.place.property(name);
                    self.comparer.within(nodes.clone(), others.clone(), place, self.sink);
                }
                None => self.property_gone(name, nodes, old_required.contains(name)),
            }
        }
        for (name, nodes) in &new {
            if !old.contains_key(name) {
                self.property_new(name, nodes, new_required.contains(name));
            }
        }
        let before = |name: &&str| old.contains_key(*name) || old_required.contains(name);
        match self.place.direction {
            Direction::Sent => {
                for name in new_required.iter().filter(|name| !old_required.contains(name)) {
                    // One that is required and not described is new all the same.
                    if before(name) {
                        let text = format!("{} became required", self.named(name));
                        self.at_property(Rule::REQUEST_PROPERTY_BECAME_REQUIRED, name, &new, text);
                    } else if !new.contains_key(name) {
                        let text = format!("{} is new and required", self.named(name));
                        self.at_property(Rule::REQUIRED_REQUEST_PROPERTY_ADDED, name, &new, text);
                    }
                }
            }
            Direction::Received => {
                for name in old_required.iter().filter(|name| !new_required.contains(name)) {
                    if new.contains_key(name) || !old.contains_key(name) {
                        let text = format!("{} is no longer required", self.named(name));
                        self.at_property(Rule::RESPONSE_PROPERTY_BECAME_OPTIONAL, name, &new, text);
                    }
                }
            }
        }
    }

    fn named(&self, name: &str) -> String {
        self.place.property(name).subject()
    }

    fn at_property(
        &mut self,
        rule: &'static Rule,
        name: &str,
        properties: &BTreeMap<&str, Vec<OpenApiNode<'a>>>,
        text: String,
    ) {
        let node = properties.get(name).and_then(|nodes| nodes.first());
        let at = node.map_or_else(|| place_of(self.old, self.new), |node| Rc::clone(&node.at));
        self.found_at(rule, rule, &at, text, (None, None));
    }

    fn property_gone(&mut self, name: &str, nodes: &[OpenApiNode<'a>], required: bool) {
        let at =
            nodes.first().map_or_else(|| place_of(self.old, self.new), |node| Rc::clone(&node.at));
        let text = format!("{} is gone", self.named(name));
        let sent = if self.new.is_closed() {
            Rule::REQUEST_PROPERTY_REFUSED
        } else {
            Rule::REQUEST_PROPERTY_REMOVED
        };
        let received = if required {
            Rule::RESPONSE_PROPERTY_REMOVED
        } else {
            Rule::OPTIONAL_RESPONSE_PROPERTY_REMOVED
        };
        self.found_at(sent, received, &at, text, (None, None));
    }

    fn property_new(&mut self, name: &str, nodes: &[OpenApiNode<'a>], required: bool) {
        let at =
            nodes.first().map_or_else(|| place_of(self.old, self.new), |node| Rc::clone(&node.at));
        let text =
            format!("{} is new{}", self.named(name), if required { " and required" } else { "" });
        let sent = if required {
            Rule::REQUIRED_REQUEST_PROPERTY_ADDED
        } else {
            Rule::OPTIONAL_REQUEST_PROPERTY_ADDED
        };
        let received = if self.old.is_closed() {
            Rule::RESPONSE_PROPERTY_ADDED_TO_CLOSED
        } else {
            Rule::RESPONSE_PROPERTY_ADDED
        };
        self.found_at(sent, received, &at, text, (None, None));
    }

    fn additional(&mut self) {
        let (sub, sup) = self.sides();
        if sup.is_closed() {
            // The other side may still list all there is.
            if !sub.is_closed() {
                let subject = self.place.subject();
                let text = self.place.direction.pick(
                    format!("{subject} takes no further properties"),
                    format!("{subject} may have further properties"),
                );
                let (sent, received) = (
                    Rule::REQUEST_ADDITIONAL_PROPERTIES_FORBIDDEN,
                    Rule::RESPONSE_ADDITIONAL_PROPERTIES_ALLOWED,
                );
                self.found(sent, received, text, (None, None));
            }
            return;
        }
        let (old, new) = (self.old.additional(), self.new.additional());
        let (sub_schemas, sup_schemas) = self.place.direction.pick((&old, &new), (&new, &old));
        if sup_schemas.is_empty() || sub.is_closed() {
            return;
        }
        if sub_schemas.is_empty() && self.place.direction == Direction::Received {
            let text = format!("the members of {} may be of any type", self.place.subject());
            let rule = Rule::RESPONSE_ADDITIONAL_PROPERTIES_WIDENED;
            return self.found(rule, rule, text, (None, None));
        }
        self.comparer.within(old, new, self.place.below(".*"), self.sink);
    }
}

/// Tells whether a value is among others; numbers by their value, not their spelling.
fn holds(values: &[&Value], wanted: &Value) -> bool {
    values.iter().any(|value| match (value.as_f64(), wanted.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => *value == wanted,
    })
}

/// Lists values for a message.
pub(super) fn listed(values: &[&Value]) -> String {
    let texts: Vec<String> = values.iter().map(|value| shown(value)).collect();
    crate::text::listed(texts.iter().map(String::as_str))
}
