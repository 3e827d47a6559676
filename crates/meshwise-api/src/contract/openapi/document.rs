//! A document, its nodes with their places, and references within it.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::dialect::Dialect;

/// How many references are followed to reach one node.
const MAX_HOPS: usize = 32;

#[derive(Clone, Copy, Debug)]
pub(super) struct OpenApiDocument<'a> {
    root: &'a Value,
    pub(super) dialect: Dialect,
}

/// A value of a document, and the JSON pointer to it.
#[derive(Clone, Debug)]
pub(super) struct OpenApiNode<'a> {
    pub(super) value: &'a Value,
    pub(super) at: Rc<str>,
}

/// What a node is once its references are followed.
#[derive(Debug)]
pub(super) enum Target<'a> {
    Found(OpenApiNode<'a>),
    /// It points to another document, to nothing, or round in a circle.
    Elsewhere(&'a str),
}

impl<'a> OpenApiDocument<'a> {
    pub(super) fn new(root: &'a Value, dialect: Dialect) -> Self {
        Self { root, dialect }
    }

    pub(super) fn root(&self) -> OpenApiNode<'a> {
        OpenApiNode { value: self.root, at: Rc::from("") }
    }

    /// Follows the node's `$ref`, and the ones after it.
    pub(super) fn resolve(&self, node: OpenApiNode<'a>) -> Target<'a> {
        let mut node = node;
        for _ in 0..MAX_HOPS {
            match node.reference() {
                None => return Target::Found(node),
                Some(reference) => match self.lookup(reference) {
                    Some(target) => node = target,
                    None => return Target::Elsewhere(reference),
                },
            }
        }
        Target::Elsewhere(node.reference().unwrap_or_default())
    }

    /// Finds what a reference points to in this document.
    pub(super) fn lookup(&self, reference: &str) -> Option<OpenApiNode<'a>> {
        let pointer = reference.strip_prefix('#')?;
        let pointer = percent_decoded(pointer)?;
        let value = self.root.pointer(&pointer)?;
        Some(OpenApiNode { value, at: Rc::from(pointer) })
    }
}

/// Decodes the few percent escapes that a fragment may hold (RFC 6901 section 6).
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl<'a> OpenApiNode<'a> {
    pub(super) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.value.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    pub(super) fn is(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn reference(&self) -> Option<&'a str> {
        self.text("$ref")
    }

    /// Returns the address, which tells nodes apart.
    pub(super) fn id(&self) -> usize {
        std::ptr::from_ref(self.value).addr()
    }

    pub(super) fn child(&self, key: &str) -> Option<Self> {
        Some(Self { value: self.get(key)?, at: self.pointer_to(key) })
    }

    pub(super) fn pointer_to(&self, key: &str) -> Rc<str> {
        let key = key.replace('~', "~0").replace('/', "~1");
        Rc::from(format!("{}/{key}", self.at))
    }

    /// Lists the members of an object, without extensions (`x-`).
    pub(super) fn members(&self) -> impl Iterator<Item = (&'a str, Self)> {
        self.entries().filter(|(key, _)| !key.starts_with("x-"))
    }

    /// Lists the entries of a map, whose keys are names of the author's: none of them is an extension.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let parent = self.clone();
        self.map()
            .into_iter()
            .flatten()
            .map(move |(key, value)| (key.as_str(), Self { value, at: parent.pointer_to(key) }))
    }

    /// Lists the items of an array.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> {
        let parent = self.clone();
        self.value
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
            .map(move |(at, value)| Self { value, at: Rc::from(format!("{}/{at}", parent.at)) })
    }
}
