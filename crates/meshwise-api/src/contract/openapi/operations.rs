//! Compares paths, operations, and what goes in and out of them.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    super::{Change, Rule},
    document::{OpenApiDocument, OpenApiNode},
    headers,
    schemas::{Comparer, Direction, Place},
    security, servers,
};
use crate::{date::Date, text::shorten};

const METHODS: [&str; 9] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// The response that stands for what is not listed, as statuses are compared.
const DEFAULT: &str = "DEFAULT";

/// How deep callbacks may lie in callbacks.
const MAX_CALLBACKS: usize = 4;

pub(super) struct Operations<'c, 'a> {
    pub(super) comparer: &'c mut Comparer<'a>,
    pub(super) old: OpenApiDocument<'a>,
    pub(super) new: OpenApiDocument<'a>,
    today: Option<Date>,
}

/// One operation in one document, with the path item that it lies in.
#[derive(Clone, Debug)]
pub(super) struct Operation<'a> {
    pub(super) item: OpenApiNode<'a>,
    pub(super) node: OpenApiNode<'a>,
    pub(super) path: &'a str,
}

/// How what holds operations is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// By their paths, without the names of parameters.
    Paths,
    /// By their names, whatever these are.
    Webhooks,
    /// By the expressions that tell a callback's address: another one finds none.
    Expressions,
}

/// A set of operations: paths, webhooks, or one callback's.
struct Scope {
    prefix: String,
    keys: Keys,
    /// Which way a request goes; a response goes the other.
    request: Direction,
    depth: usize,
    rules: [&'static Rule; 3],
}

type Items<'a> = BTreeMap<String, (&'a str, OpenApiNode<'a>)>;

impl<'c, 'a> Operations<'c, 'a> {
    pub(super) fn new(comparer: &'c mut Comparer<'a>, today: Option<Date>) -> Self {
        let (old, new) = (comparer.old, comparer.new);
        Self { comparer, old, new, today }
    }

    pub(super) fn run(mut self) {
        let (old, new) = (self.old.root(), self.new.root());
        servers::compare(self.comparer, "", &old, &new);
        let scope = Scope {
            prefix: String::new(),
            keys: Keys::Paths,
            request: Direction::Sent,
            depth: 0,
            rules: [Rule::PATH_REMOVED, Rule::OPERATION_REMOVED, Rule::OPERATION_ADDED],
        };
        self.items(old.child("paths"), new.child("paths"), &scope);
        let scope = Scope {
            prefix: "webhook ".to_owned(),
            keys: Keys::Webhooks,
            request: Direction::Received,
            depth: 0,
            rules: [Rule::WEBHOOK_REMOVED, Rule::WEBHOOK_REMOVED, Rule::WEBHOOK_ADDED],
        };
        self.items(old.child("webhooks"), new.child("webhooks"), &scope);
    }

    /// Compares path items.
    fn items(&mut self, old: Option<OpenApiNode<'a>>, new: Option<OpenApiNode<'a>>, scope: &Scope) {
        let list = |node: Option<OpenApiNode<'a>>| -> Items<'a> {
            let entries = node.iter().flat_map(OpenApiNode::entries).collect::<Vec<_>>();
            let named = entries.into_iter().filter_map(|(path, item)| match scope.keys {
                Keys::Webhooks => Some((path.to_owned(), (path, item))),
                _ if path.starts_with("x-") => None,
                Keys::Paths => Some((shape(path), (path, item))),
                Keys::Expressions => Some((path.to_owned(), (path, item))),
            });
            named.collect()
        };
        let (olds, news) = (list(old), list(new));
        for (shape, (path, item)) in &olds {
            let Some(old) = self.comparer.resolve(self.old, item.clone()) else { continue };
            let Some((new_path, new_item)) = news.get(shape) else {
                self.path_removed(path, &old, scope);
                continue;
            };
            if path != new_path {
                let values = (Some(shorten(path)), Some(shorten(new_path)));
                let text = "a path parameter has another name";
                let rule = Rule::PATH_PARAMETER_RENAMED;
                self.comparer.report(rule, &scope.prefix, &new_item.at, text, values);
            }
            let Some(new) = self.comparer.resolve(self.new, new_item.clone()) else { continue };
            self.item((path, &old), (new_path, &new), scope);
        }
        for (shape, (path, item)) in &news {
            if !olds.contains_key(shape) {
                let Some(item) = self.comparer.resolve(self.new, item.clone()) else { continue };
                for (method, node) in methods(&item) {
                    self.added(method, path, &node, scope);
                }
            }
        }
    }

    fn path_removed(&mut self, path: &str, item: &OpenApiNode<'a>, scope: &Scope) {
        let operations = methods(item);
        if operations.is_empty() {
            return;
        }
        // Gone as a whole, unless each of its operations was announced to end.
        if operations.iter().all(|(_, node)| self.has_ended(node)) {
            for (method, node) in operations {
                self.removed(method, path, &node, scope);
            }
            return;
        }
        let place = format!("{}{}", scope.prefix, shorten(path));
        self.comparer.report(scope.rules[0], &place, &item.at, "it is gone", (None, None));
    }

    fn item(
        &mut self,
        (path, old): (&'a str, &OpenApiNode<'a>),
        (new_path, new): (&'a str, &OpenApiNode<'a>),
        scope: &Scope,
    ) {
        let news: BTreeMap<_, _> = methods(new).into_iter().collect();
        let olds = methods(old);
        for (method, node) in &olds {
            match news.get(method) {
                None => self.removed(method, path, node, scope),
                Some(now) => {
                    let old = Operation { item: old.clone(), node: node.clone(), path };
                    let new = Operation { item: new.clone(), node: now.clone(), path: new_path };
                    self.operation(method, &old, &new, scope);
                }
            }
        }
        for (method, node) in &news {
            if !olds.iter().any(|(old, _)| old == method) {
                self.added(method, new_path, node, scope);
            }
        }
    }

    fn added(&mut self, method: &str, path: &str, node: &OpenApiNode<'a>, scope: &Scope) {
        let place = label(&scope.prefix, method, path);
        self.comparer.report(scope.rules[2], &place, &node.at, "it is new", (None, None));
    }

    fn removed(&mut self, method: &str, path: &str, node: &OpenApiNode<'a>, scope: &Scope) {
        let place = label(&scope.prefix, method, path);
        let rule = if self.has_ended(node) {
            Rule::OPERATION_REMOVED_AFTER_SUNSET
        } else {
            scope.rules[1]
        };
        let text = match (node.is("deprecated"), node.text("x-sunset")) {
            (true, Some(sunset)) => format!("it is gone; its sunset was {}", shorten(sunset)),
            (true, None) => "it is gone; it was deprecated without a sunset".to_owned(),
            (false, _) => "it is gone".to_owned(),
        };
        self.comparer.report(rule, &place, &node.at, text, (None, None));
    }

    /// Tells whether it was deprecated and its announced last day has come.
    fn has_ended(&self, node: &OpenApiNode<'a>) -> bool {
        let sunset = node.text("x-sunset").and_then(|text| text.get(..10)?.parse::<Date>().ok());
        node.is("deprecated")
            && matches!((sunset, self.today), (Some(sunset), Some(today)) if sunset <= today)
    }

    fn operation(&mut self, method: &str, old: &Operation<'a>, new: &Operation<'a>, scope: &Scope) {
        let name = label(&scope.prefix, method, new.path);
        let (before, after) = (&old.node, &new.node);
        if after.is("deprecated") && !before.is("deprecated") {
            let rule = Rule::OPERATION_DEPRECATED;
            self.comparer.report(rule, &name, &after.at, "it is deprecated", (None, None));
        }
        let id = |node: &OpenApiNode<'a>| node.text("operationId").map(shorten);
        if id(before).is_some() && id(before) != id(after) {
            let values = (id(before), id(after));
            let rule = Rule::OPERATION_ID_CHANGED;
            self.comparer.report(rule, &name, &after.at, "its operationId is another", values);
        }
        if scope.request == Direction::Sent {
            for (old, new) in [(before, after), (&old.item, &new.item)] {
                if old.get("servers").is_some() || new.get("servers").is_some() {
                    servers::compare(self.comparer, &name, old, new);
                }
            }
            security::compare(self, &name, before, after);
        }
        headers::parameters(self, &name, old, new, scope.request);
        self.request(&name, before, after, scope.request);
        self.responses(&name, before, after, scope.request.reversed());
        self.callbacks(&name, before, after, scope);
    }

    fn request(
        &mut self,
        name: &str,
        old: &OpenApiNode<'a>,
        new: &OpenApiNode<'a>,
        direction: Direction,
    ) {
        let body = |this: &mut Self, document, operation: &OpenApiNode<'a>| {
            let node = operation.child("requestBody")?;
            this.comparer.resolve(document, node)
        };
        let (before, after) = (body(self, self.old, old), body(self, self.new, new));
        let sent = direction == Direction::Sent;
        match (before, after) {
            (None, None) => {}
            (None, Some(body)) => {
                // A reference that leads elsewhere was told; it is no new body.
                if old.get("requestBody").is_some() {
                    return;
                }
                let required = body.is("required") && sent;
                let (rule, text) = if required {
                    (Rule::REQUIRED_REQUEST_BODY_ADDED, "the request must have a body")
                } else {
                    (Rule::OPTIONAL_REQUEST_BODY_ADDED, "the request may have a body")
                };
                self.comparer.report(rule, name, &body.at, text, (None, None));
            }
            (Some(body), None) => {
                if new.get("requestBody").is_none() {
                    let text = "the request has no body any more";
                    self.comparer.report(
                        Rule::REQUEST_BODY_REMOVED,
                        name,
                        &body.at,
                        text,
                        (None, None),
                    );
                }
            }
            (Some(before), Some(after)) => {
                if sent && after.is("required") && !before.is("required") {
                    let text = "the request must have a body";
                    let rule = Rule::REQUEST_BODY_BECAME_REQUIRED;
                    self.comparer.report(rule, name, &after.at, text, (None, None));
                }
                let place = Place::new(format!("{name}, request body"), direction);
                headers::content(self.comparer, &place, &before, &after);
            }
        }
    }

    fn responses(
        &mut self,
        name: &str,
        old: &OpenApiNode<'a>,
        new: &OpenApiNode<'a>,
        direction: Direction,
    ) {
        let list = |node: &OpenApiNode<'a>| -> BTreeMap<String, OpenApiNode<'a>> {
            let responses = node.child("responses");
            responses
                .iter()
                .flat_map(OpenApiNode::members)
                .map(|(status, node)| (status.to_ascii_uppercase(), node))
                .collect()
        };
        let (olds, news) = (list(old), list(new));
        let is_success = |status: &str| status.starts_with('2');
        let has_success = olds.keys().any(|status| is_success(status));
        // `default` is what is not listed: of successes only where there is no other.
        let is_within = |now: &str, status: &str| {
            is_within(now, status)
                || status == DEFAULT
                    && now != DEFAULT
                    && !(has_success && is_success(now))
                    && !olds.keys().any(|old| old == now || is_within(now, old))
        };
        for (status, before) in &olds {
            let place = format!("{name}, response {}", shorten(status));
            // What a range promised holds for each of its statuses that is listed by itself now.
            let narrowed = || news.iter().filter(|(now, _)| is_within(now, status));
            let promises = is_success(status) || status == DEFAULT && !has_success;
            let kept = narrowed().any(|(now, _)| status != DEFAULT || !promises || is_success(now));
            if !news.contains_key(status) && !kept {
                // The caller of a webhook is its provider: what it need no longer answer breaks no subscriber.
                let success = promises && direction == Direction::Received;
                let (rule, text) = if success {
                    (Rule::RESPONSE_REMOVED, "it is no longer promised")
                } else {
                    (Rule::ERROR_RESPONSE_REMOVED, "it is no longer listed")
                };
                self.comparer.report(rule, &place, &before.at, text, (None, None));
            }
            let singled_out = narrowed().filter(|(now, _)| !olds.contains_key(*now));
            for (now, after) in news.get_key_value(status).into_iter().chain(singled_out) {
                let before = self.comparer.resolve(self.old, before.clone());
                let after = self.comparer.resolve(self.new, after.clone());
                let (Some(before), Some(after)) = (before, after) else { continue };
                let place = Place::new(format!("{name}, response {}", shorten(now)), direction);
                headers::response_headers(self, &place, &before, &after);
                headers::content(self.comparer, &place, &before, &after);
            }
        }
        let is_known =
            |status: &String| olds.keys().any(|old| old == status || is_within(status, old));
        for (status, after) in news.iter().filter(|(status, _)| !is_known(status)) {
            let place = format!("{name}, response {}", shorten(status));
            self.comparer.report(
                Rule::RESPONSE_ADDED,
                &place,
                &after.at,
                "it is new",
                (None, None),
            );
        }
    }

    fn callbacks(
        &mut self,
        name: &str,
        old: &OpenApiNode<'a>,
        new: &OpenApiNode<'a>,
        scope: &Scope,
    ) {
        if scope.depth >= MAX_CALLBACKS {
            return;
        }
        let list = |node: &OpenApiNode<'a>| -> BTreeMap<&'a str, OpenApiNode<'a>> {
            node.child("callbacks").iter().flat_map(OpenApiNode::entries).collect()
        };
        let (olds, news) = (list(old), list(new));
        for (callback, after) in news.iter().filter(|(callback, _)| !olds.contains_key(*callback)) {
            let place = format!("{name}, callback {}", shorten(callback));
            self.comparer.report(
                Rule::CALLBACK_ADDED,
                &place,
                &after.at,
                "it is new",
                (None, None),
            );
        }
        for (callback, before) in olds {
            let prefix = format!("{name}, callback {} ", shorten(callback));
            let after = news.get(callback).cloned();
            let Some(before) = self.comparer.resolve(self.old, before) else { continue };
            let Some(after) = after else {
                let rule = Rule::CALLBACK_REMOVED;
                self.comparer.report(
                    rule,
                    prefix.trim_end(),
                    &before.at,
                    "it is gone",
                    (None, None),
                );
                continue;
            };
            let after = self.comparer.resolve(self.new, after);
            let scope = Scope {
                prefix,
                keys: Keys::Expressions,
                request: scope.request.reversed(),
                depth: scope.depth + 1,
                rules: [Rule::CALLBACK_REMOVED, Rule::CALLBACK_REMOVED, Rule::CALLBACK_ADDED],
            };
            self.items(Some(before), after, &scope);
        }
    }
}

impl<'a> Comparer<'a> {
    /// Reports a change at a place within an operation.
    pub(super) fn at(
        &mut self,
        rule: &'static Rule,
        place: &Place,
        at: &str,
        text: impl Into<String>,
        (old, new): (Option<String>, Option<String>),
    ) {
        let place = place.operation.to_string();
        self.push(Change { rule, path: at.to_owned(), place, text: text.into(), old, new });
    }
}

fn methods<'a>(item: &OpenApiNode<'a>) -> Vec<(&'static str, OpenApiNode<'a>)> {
    METHODS.into_iter().filter_map(|method| Some((method, item.child(method)?))).collect()
}

fn label(prefix: &str, method: &str, path: &str) -> String {
    format!("{prefix}{} {}", method.to_ascii_uppercase(), shorten(path))
}

/// Writes a path without the names of its parameters: `/orders/{}`.
fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '{' => {
                inside = true;
                shape.push(c);
            }
            '}' => {
                inside = false;
                shape.push(c);
            }
            _ if !inside => shape.push(c),
            _ => {}
        }
    }
    shape
}

/// Lists the names of a path's parameters, in order.
pub(super) fn path_parameters(path: &str) -> Vec<Rc<str>> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| Rc::from(name))
        .collect()
}

/// Tells whether a status lies in a range, such as 204 in 2XX.
fn is_within(status: &str, range: &str) -> bool {
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    is_status && range.ends_with("XX") && range.len() == 3 && status.starts_with(&range[..1])
}
