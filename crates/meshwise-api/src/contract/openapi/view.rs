//! A schema as one conjunction: `$ref` followed, `allOf` flattened, `anyOf` and `oneOf` set apart.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::{Map, Value};

use super::{
    dialect::Dialect,
    document::{OpenApiDocument, OpenApiNode},
};

pub(super) const NULL: u8 = 1;
pub(super) const BOOLEAN: u8 = 2;
pub(super) const INTEGER: u8 = 4;
/// Numbers that are no integers; `number` is both.
pub(super) const FRACTION: u8 = 8;
pub(super) const STRING: u8 = 16;
pub(super) const ARRAY: u8 = 32;
pub(super) const OBJECT: u8 = 64;
pub(super) const NUMBER: u8 = INTEGER | FRACTION;
pub(super) const ALL: u8 = 127;

/// How many schemas one view joins.
const MAX_PARTS: usize = 256;
/// How many alternatives a schema is split into.
const MAX_ALTERNATIVES: usize = 512;

/// What must all hold of a value, with the variants of which one must.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    parts: Vec<OpenApiNode<'a>>,
    /// The schema as it was given, where it lies if it has no parts.
    origin: Option<Rc<str>>,
    /// What was looked at, so that circles of references end.
    seen: Vec<usize>,
    groups: Vec<Vec<OpenApiNode<'a>>>,
    /// References that lead elsewhere.
    pub(super) elsewhere: Vec<&'a str>,
    nullable: bool,
    dialect: Dialect,
    /// Only values of these types, if it was split.
    mask: u8,
    /// Only this value, if it was split.
    only: Option<&'a Value>,
    /// What the schema is called: its component, or its title.
    pub(super) name: Option<&'a str>,
    /// More than can be looked at.
    pub(super) overflow: bool,
}

/// One end of the range of numbers, with whether the number itself is out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    pub(super) value: f64,
    pub(super) exclusive: bool,
}

impl<'a> View<'a> {
    /// Gathers the schemas that must all hold.
    pub(super) fn gather(document: &OpenApiDocument<'a>, schemas: &[OpenApiNode<'a>]) -> Self {
        let mut view = Self {
            parts: Vec::new(),
            origin: schemas.first().map(|schema| Rc::clone(&schema.at)),
            seen: Vec::new(),
            groups: Vec::new(),
            elsewhere: Vec::new(),
            nullable: false,
            dialect: document.dialect,
            mask: ALL,
            only: None,
            name: None,
            overflow: false,
        };
        for schema in schemas {
            view.add(document, schema.clone());
        }
        view
    }

    fn add(&mut self, document: &OpenApiDocument<'a>, schema: OpenApiNode<'a>) {
        let mut pending = vec![schema];
        while let Some(node) = pending.pop() {
            if self.seen.contains(&node.id()) {
                continue;
            }
            if self.seen.len() >= MAX_PARTS {
                self.overflow = true;
                return;
            }
            self.seen.push(node.id());
            if let Some(reference) = node.reference() {
                match document.lookup(reference) {
                    Some(target) => {
                        self.name = self.name.or_else(|| reference.rsplit('/').next());
                        pending.push(target);
                    }
                    None => self.elsewhere.push(reference),
                }
                // Nothing beside a reference counts in 3.0.
                if document.dialect == Dialect::V30 {
                    continue;
                }
            }
            // Where a dynamic reference leads depends on how the schema was reached.
            self.elsewhere.extend(node.text("$dynamicRef"));
            if let Some(all) = node.child("allOf") {
                pending.extend(all.items());
            }
            for key in ["anyOf", "oneOf"] {
                let Some(variants) = node.child(key) else { continue };
                let variants: Vec<_> = variants.items().collect();
                match variants.len() {
                    0 => {}
                    1 => pending.extend(variants),
                    _ => self.groups.push(variants),
                }
            }
            // By the letter, nullable means nothing without a type beside it; those who write it beside
            // allOf or a $ref mean it.
            let composed = ["allOf", "anyOf", "oneOf"].iter().any(|key| node.get(key).is_some());
            if document.dialect == Dialect::V30
                && node.is("nullable")
                && composed
                && node.get("type").is_none()
            {
                self.nullable = true;
            }
            self.name = self.name.or_else(|| node.text("title"));
            self.parts.push(node);
        }
    }

    /// Returns what tells this view apart from any other of the same document.
    pub(super) fn id(&self) -> Vec<usize> {
        let mut ids: Vec<usize> = self.parts.iter().map(OpenApiNode::id).collect();
        ids.sort_unstable();
        let only = self.only.map_or(0, |value| std::ptr::from_ref(value).addr());
        ids.extend([self.groups.len(), usize::from(self.mask), only]);
        ids
    }

    /// Returns where it lies; `None` if there is no schema.
    pub(super) fn at(&self) -> Option<Rc<str>> {
        // What a reference points to is the schema itself, which tells more than the reference.
        let own = self.parts.iter().find(|part| part.reference().is_none());
        own.or(self.parts.first()).map(|part| &part.at).or(self.origin.as_ref()).map(Rc::clone)
    }

    /// Splits it into views without variants; `None` if there are too many.
    pub(super) fn alternatives(&self, document: &OpenApiDocument<'a>) -> Option<Vec<Self>> {
        let mut pending = vec![self.clone()];
        let mut done = Vec::new();
        while let Some(mut view) = pending.pop() {
            if view.overflow || pending.len() + done.len() > MAX_ALTERNATIVES {
                return None;
            }
            match view.groups.pop() {
                None => done.push(view),
                Some(variants) => {
                    for variant in variants.into_iter().rev() {
                        let mut one = view.clone();
                        // The variant's own name tells it apart, not that of what holds them all.
                        one.name = None;
                        one.add(document, variant);
                        pending.push(one);
                    }
                }
            }
        }
        Some(done)
    }

    /// Splits it by its listed values, or by its types; itself if there is but one.
    pub(super) fn split(&self) -> Vec<Self> {
        if let (None, Some(values)) = (self.only, self.values())
            && values.len() > 1
        {
            return values
                .into_iter()
                .map(|value| Self { only: Some(value), ..self.clone() })
                .chain((self.types() & NULL != 0).then(|| Self { mask: NULL, ..self.clone() }))
                .collect();
        }
        let types = self.types();
        [NULL, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT]
            .into_iter()
            .filter(|bits| types & bits != 0)
            .map(|bits| Self { mask: self.mask & bits, ..self.clone() })
            .collect()
    }

    /// Returns the types that its values may have.
    pub(super) fn types(&self) -> u8 {
        let types = match self.only {
            Some(value) => type_of(value),
            None if self.parts.iter().any(|part| part.value == &Value::Bool(false)) => 0,
            None => {
                self.rules().fold(ALL, |types, map| types & part_types(self.dialect, map))
                    | if self.nullable { NULL } else { 0 }
            }
        };
        types & self.mask
    }

    fn rules(&self) -> impl Iterator<Item = &'a Map<String, Value>> {
        self.parts.iter().filter_map(OpenApiNode::map)
    }

    /// Finds every value of a keyword, with its place.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = OpenApiNode<'a>> {
        self.parts.iter().filter_map(move |part| part.child(key))
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.parts.iter().any(|part| part.is(key))
    }

    /// Returns the values that are allowed, if they are listed; null aside, for the types tell.
    pub(super) fn values(&self) -> Option<Vec<&'a Value>> {
        if let Some(value) = self.only {
            return Some(vec![value]);
        }
        if self.mask == NULL {
            return None;
        }
        let mut allowed: Option<Vec<&'a Value>> = None;
        for map in self.rules() {
            let listed = match (map.get("enum").and_then(Value::as_array), map.get("const")) {
                (_, Some(value)) => vec![value],
                (Some(values), None) => values.iter().collect(),
                (None, None) => continue,
            };
            allowed = Some(match allowed {
                None => listed,
                Some(before) => before.into_iter().filter(|v| listed.contains(v)).collect(),
            });
        }
        allowed.map(|values| values.into_iter().filter(|value| !value.is_null()).collect())
    }

    pub(super) fn properties(&self) -> BTreeMap<&'a str, Vec<OpenApiNode<'a>>> {
        let mut properties: BTreeMap<&'a str, Vec<OpenApiNode<'a>>> = BTreeMap::new();
        for listed in self.all("properties") {
            let Some(map) = listed.map() else { continue };
            for (key, value) in map {
                let node = OpenApiNode { value, at: listed.pointer_to(key) };
                properties.entry(key).or_default().push(node);
            }
        }
        properties
    }

    pub(super) fn required(&self) -> Vec<&'a str> {
        let mut names: Vec<&'a str> = self
            .all("required")
            .filter_map(|node| node.value.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Tells whether properties besides the listed ones are refused.
    pub(super) fn is_closed(&self) -> bool {
        ["additionalProperties", "unevaluatedProperties"]
            .into_iter()
            .any(|key| self.all(key).any(|node| node.value == &Value::Bool(false)))
    }

    /// Returns the schemas of properties besides the listed ones; empty if anything goes.
    pub(super) fn additional(&self) -> Vec<OpenApiNode<'a>> {
        self.all("additionalProperties")
            .filter(|node| node.map().is_some_and(|map| !map.is_empty()))
            .collect()
    }

    /// Returns the tightest number under a keyword.
    pub(super) fn number(&self, key: &str, tightest: fn(f64, f64) -> f64) -> Option<f64> {
        self.all(key).filter_map(|node| node.value.as_f64()).reduce(tightest)
    }

    pub(super) fn lower(&self, integers: bool) -> Option<Limit> {
        self.limits("minimum", "exclusiveMinimum")
            .map(|limit| if integers { limit.whole(1.0, f64::floor) } else { limit })
            .reduce(
                |a, b| if b.value > a.value || b.value == a.value && b.exclusive { b } else { a },
            )
    }

    pub(super) fn upper(&self, integers: bool) -> Option<Limit> {
        self.limits("maximum", "exclusiveMaximum")
            .map(|limit| if integers { limit.whole(-1.0, f64::ceil) } else { limit })
            .reduce(
                |a, b| if b.value < a.value || b.value == a.value && b.exclusive { b } else { a },
            )
    }

    fn limits(&self, inclusive: &str, exclusive: &str) -> impl Iterator<Item = Limit> {
        self.rules().flat_map(move |map| {
            let number = |key: &str| map.get(key).and_then(Value::as_f64);
            // A flag in 3.0, a number of its own in 3.1.
            let flag = map.get(exclusive).and_then(Value::as_bool).unwrap_or(false);
            let first = number(inclusive).map(|value| Limit { value, exclusive: flag });
            let second = number(exclusive).map(|value| Limit { value, exclusive: true });
            [first, second].into_iter().flatten()
        })
    }

    /// Returns the formats, without those that only tell how to show a value.
    pub(super) fn formats(&self) -> Vec<&'a str> {
        self.all("format")
            .filter_map(|node| node.value.as_str())
            .filter(|format| !matches!(*format, "password" | ""))
            .collect()
    }
}

impl Limit {
    /// Turns a limit on integers into one that is an integer, and is in.
    fn whole(self, step: f64, towards: fn(f64) -> f64) -> Self {
        if self.exclusive {
            Self { value: towards(self.value) + step, exclusive: false }
        } else if step > 0.0 {
            Self { value: self.value.ceil(), exclusive: false }
        } else {
            Self { value: self.value.floor(), exclusive: false }
        }
    }
}

fn part_types(dialect: Dialect, map: &Map<String, Value>) -> u8 {
    let has = |keys: &[&str]| keys.iter().any(|key| map.contains_key(*key));
    let types = match map.get("type") {
        Some(Value::String(name)) => named(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).fold(0, |types, name| types | named(name))
        }
        // Without a type, what only objects can meet means an object to those who write it.
        _ if has(&["properties", "required", "additionalProperties"]) => OBJECT,
        _ if has(&["items"]) => ARRAY,
        _ => ALL,
    };
    let nullable = dialect == Dialect::V30
        && map.get("nullable").and_then(Value::as_bool).unwrap_or(false)
        && map.contains_key("type");
    let types = if nullable { types | NULL } else { types };
    match (map.get("enum").and_then(Value::as_array), map.get("const")) {
        (_, Some(value)) => types & type_of(value),
        // A null among the values is meant where the type lets it in, and one that is missing in 3.0 is not
        // taken for a ban: its own examples leave it out.
        (Some(values), None) => {
            let unlisted = if dialect == Dialect::V30 { NULL & types } else { 0 };
            types
                & (values.iter().fold(unlisted, |types, value| types | type_of(value)))
                & if map.contains_key("type") || values.contains(&Value::Null) {
                    ALL
                } else {
                    !NULL
                }
        }
        (None, None) => types,
    }
}

fn named(name: &str) -> u8 {
    match name {
        "null" => NULL,
        "boolean" => BOOLEAN,
        "integer" => INTEGER,
        "number" => NUMBER,
        "string" => STRING,
        "array" => ARRAY,
        "object" => OBJECT,
        _ => ALL,
    }
}

fn type_of(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOLEAN,
        Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => INTEGER,
        Value::Number(_) => FRACTION,
        Value::String(_) => STRING,
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
    }
}

/// Names types for people.
pub(super) fn spelled(types: u8) -> String {
    if types == ALL {
        return "any type".to_owned();
    }
    let mut names = Vec::new();
    for (bits, name) in [
        (BOOLEAN, "boolean"),
        (NUMBER, "number"),
        (INTEGER, "integer"),
        (STRING, "string"),
        (ARRAY, "array"),
        (OBJECT, "object"),
        (NULL, "null"),
    ] {
        let hidden = name == "integer" && types & NUMBER == NUMBER;
        if types & bits == bits && !hidden {
            names.push(name);
        }
    }
    if names.is_empty() { "nothing".to_owned() } else { names.join(" or ") }
}
