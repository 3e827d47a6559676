//! Compares schemas: what callers send may only get wider, what they receive only narrower.
//!
//! Both are one question, whether one schema takes all that another does. Which is which depends on
//! the [`Direction`]. Pairs are looked at from a queue, each once, so that circles of references end
//! and long chains need no stack.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
};

use super::{
    super::{Change, Comparison, ContractError, Rule, Severity},
    discriminator,
    document::{OpenApiDocument, OpenApiNode, Target},
    flat,
    view::View,
};
use crate::text::shorten;

/// How many pairs of schemas are compared.
const MAX_PAIRS: usize = 100_000;
/// How deep variants are looked into to find which of the other document's they are.
const MAX_TRIAL_DEPTH: usize = 24;

/// Which way values go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// From the caller of the older document: the newer must take all that the older accepted.
    Sent,
    /// To the caller of the older document: the newer must promise all that the older promised.
    Received,
}

impl Direction {
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::Sent => Self::Received,
            Self::Received => Self::Sent,
        }
    }

    /// Returns the first rule for what is sent, the second for what is received.
    pub(super) fn pick<T>(self, sent: T, received: T) -> T {
        match self {
            Self::Sent => sent,
            Self::Received => received,
        }
    }
}

/// Where a comparison stands, for people.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The operation and its part: `GET /orders, response 200`.
    pub(super) operation: Rc<str>,
    /// The path within the value: `items[].price`; empty for the value itself.
    pub(super) field: Rc<str>,
    pub(super) direction: Direction,
}

impl Place {
    pub(super) fn new(operation: impl Into<Rc<str>>, direction: Direction) -> Self {
        Self { operation: operation.into(), field: Rc::from(""), direction }
    }

    pub(super) fn property(&self, name: &str) -> Self {
        let dot = if self.field.is_empty() { "" } else { "." };
        self.below(&format!("{dot}{}", shorten(name)))
    }

    pub(super) fn below(&self, suffix: &str) -> Self {
        // A chain of properties through many schemas would repeat itself into megabytes.
        let field = if self.field.len() > 400 { "…" } else { &*self.field };
        Self { field: Rc::from(format!("{field}{suffix}")), ..self.clone() }
    }

    /// Names what is meant: the field, or the value as such.
    pub(super) fn subject(&self) -> String {
        if self.field.is_empty() { "the value".to_owned() } else { format!("`{}`", self.field) }
    }
}

/// Two schemas that stand for each other, each the conjunction of some.
#[derive(Debug)]
struct Pair<'a> {
    old: Vec<OpenApiNode<'a>>,
    new: Vec<OpenApiNode<'a>>,
    place: Place,
}

type PairId = (Vec<usize>, Vec<usize>, Direction);

pub(super) struct Comparer<'a> {
    pub(super) old: OpenApiDocument<'a>,
    pub(super) new: OpenApiDocument<'a>,
    queue: VecDeque<Pair<'a>>,
    seen: HashSet<PairId>,
    /// Whether pairs fit each other, as trials found out.
    trials: HashMap<PairId, bool>,
    /// Those that fit, in the order in which they were found to.
    fitting: Vec<PairId>,
    pairs: usize,
    exhausted: bool,
    out: Comparison,
    told: HashSet<String>,
}

/// Where findings go: to the report, or nowhere but to the question whether there is one.
pub(super) enum Sink {
    Report,
    Trial { depth: usize, fits: bool },
}

impl<'a> Comparer<'a> {
    pub(super) fn new(old: OpenApiDocument<'a>, new: OpenApiDocument<'a>) -> Self {
        Self {
            old,
            new,
            queue: VecDeque::new(),
            seen: HashSet::new(),
            trials: HashMap::new(),
            fitting: Vec::new(),
            pairs: 0,
            exhausted: false,
            out: Comparison::default(),
            told: HashSet::new(),
        }
    }

    pub(super) fn finish(mut self) -> Result<Comparison, ContractError> {
        while let Some(pair) = self.queue.pop_front() {
            if self.exhausted {
                return Err(ContractError::TooComplex);
            }
            let old = View::gather(&self.old, &pair.old);
            let new = View::gather(&self.new, &pair.new);
            if self.seen.insert((old.id(), new.id(), pair.place.direction)) {
                discriminator::compare(&mut self, &old, &new, &pair.place, &mut Sink::Report);
                self.views(&old, &new, &pair.place, &mut Sink::Report);
            }
        }
        if self.exhausted { Err(ContractError::TooComplex) } else { Ok(self.out.finish()) }
    }

    pub(super) fn push(&mut self, change: Change) {
        self.out.push(change);
    }

    /// Reports a change of an operation's form.
    pub(super) fn report(
        &mut self,
        rule: &'static Rule,
        place: &str,
        path: impl AsRef<str>,
        text: impl Into<String>,
        (old, new): (Option<String>, Option<String>),
    ) {
        let path = path.as_ref();
        let path = if path.is_empty() { "/" } else { path };
        self.push(Change {
            rule,
            path: path.to_owned(),
            place: place.to_owned(),
            text: text.into(),
            old,
            new,
        });
    }

    /// Follows a reference to anything but a schema; one that leads elsewhere is told once.
    pub(super) fn resolve(
        &mut self,
        document: OpenApiDocument<'a>,
        node: OpenApiNode<'a>,
    ) -> Option<OpenApiNode<'a>> {
        let at = Rc::clone(&node.at);
        match document.resolve(node) {
            Target::Found(node) => Some(node),
            Target::Elsewhere(reference) => {
                self.elsewhere(reference, &at, "");
                None
            }
        }
    }

    fn elsewhere(&mut self, reference: &str, at: &str, place: &str) {
        if self.told.insert(reference.to_owned()) {
            let text = format!("the reference {} leads out of the document", shorten(reference));
            self.report(Rule::REFERENCE_NOT_FOLLOWED, place, at, text, (None, None));
        }
    }

    /// Puts two schemas into the queue; one that is missing takes anything.
    pub(super) fn schemas(
        &mut self,
        old: Vec<OpenApiNode<'a>>,
        new: Vec<OpenApiNode<'a>>,
        place: Place,
    ) {
        if self.pairs + self.queue.len() > MAX_PAIRS {
            self.exhausted = true;
            return;
        }
        self.queue.push_back(Pair { old, new, place });
    }

    /// Compares schemas that lie within others: later if this is for the report, at once if for a trial.
    pub(super) fn within(
        &mut self,
        old: Vec<OpenApiNode<'a>>,
        new: Vec<OpenApiNode<'a>>,
        place: Place,
        sink: &mut Sink,
    ) {
        match sink {
            Sink::Report => self.schemas(old, new, place),
            Sink::Trial { fits: false, .. } => {}
            Sink::Trial { depth, fits } => {
                // Of one name on both sides: the same schema, which is compared by itself.
                if let ([a], [b]) = (&old[..], &new[..])
                    && a.reference().is_some()
                    && a.reference() == b.reference()
                {
                    return self.schemas(old, new, place);
                }
                let depth = *depth + 1;
                let old = View::gather(&self.old, &old);
                let new = View::gather(&self.new, &new);
                let mut own = Sink::Trial { depth, fits: true };
                discriminator::compare(self, &old, &new, &place, &mut own);
                let named = matches!(own, Sink::Trial { fits: true, .. });
                *fits = named && self.fits(&old, &new, &place, depth);
            }
        }
    }

    /// Tells whether nothing but harmless changes lies between two views.
    fn fits(&mut self, old: &View<'a>, new: &View<'a>, place: &Place, depth: usize) -> bool {
        let id = (old.id(), new.id(), place.direction);
        if let Some(fits) = self.trials.get(&id) {
            return *fits;
        }
        if depth > MAX_TRIAL_DEPTH {
            self.exhausted = true;
            return false;
        }
        // What is being looked at is taken to fit: a circle breaks elsewhere or not at all.
        self.trials.insert(id.clone(), true);
        let before = self.fitting.len();
        let mut sink = Sink::Trial { depth, fits: true };
        self.views(old, new, place, &mut sink);
        let fits = matches!(sink, Sink::Trial { fits: true, .. });
        if fits {
            self.fitting.push(id);
        } else {
            // What was found to fit meanwhile may have relied on this pair.
            for relied in self.fitting.drain(before..) {
                self.trials.remove(&relied);
            }
            self.trials.insert(id, false);
        }
        fits
    }

    fn views(&mut self, old: &View<'a>, new: &View<'a>, place: &Place, sink: &mut Sink) {
        self.pairs += 1;
        if self.exhausted || old.overflow || new.overflow || self.pairs > MAX_PAIRS {
            self.exhausted = true;
            return;
        }
        for reference in old.elsewhere.iter().chain(&new.elsewhere) {
            self.elsewhere(reference, &place_of(old, new), &place.operation);
        }
        // What is not known cannot be compared; the reference was told.
        if !(old.elsewhere.is_empty() && new.elsewhere.is_empty()) {
            if let Sink::Trial { fits, .. } = sink {
                *fits &= old.elsewhere == new.elsewhere;
            }
            return;
        }
        let (Some(olds), Some(news)) = (old.alternatives(&self.old), new.alternatives(&self.new))
        else {
            self.exhausted = true;
            return;
        };
        if let ([old], [new]) = (&olds[..], &news[..]) {
            return flat::compare(self, old, new, place, sink);
        }
        match place.direction {
            Direction::Sent => self.variants(&olds, &news, place, sink),
            Direction::Received => self.variants(&news, &olds, place, sink),
        }
    }

    /// Looks for a place for each variant of one side on the other.
    fn variants(&mut self, from: &[View<'a>], into: &[View<'a>], place: &Place, sink: &mut Sink) {
        let direction = place.direction;
        for (at, one) in from.iter().enumerate() {
            let named =
                one.name.and_then(|name| into.iter().find(|other| other.name == Some(name)));
            let found = match named {
                Some(named) => Some(named),
                None => {
                    let mut found = None;
                    for other in into {
                        let (old, new) = direction.pick((one, other), (other, one));
                        if self.fits(old, new, place, depth_of(sink) + 1) {
                            found = Some(other);
                            break;
                        }
                    }
                    found
                }
            };
            // Unnamed variants in equal number are most likely the same in order.
            let same_place = || {
                let unnamed = one.name.is_none() && from.len() == into.len();
                into.get(at).filter(|other| unnamed && other.name.is_none())
            };
            if found.is_none() && from.len() == 1 || found.is_none() && same_place().is_none() {
                let pieces = one.split();
                if pieces.len() > 1 {
                    self.variants(&pieces, into, place, sink);
                    continue;
                }
            }
            match found.or_else(same_place) {
                Some(other) => {
                    let (old, new) = direction.pick((one, other), (other, one));
                    flat::compare(self, old, new, place, sink);
                }
                None => self.no_place(one, into, place, sink),
            }
        }
    }

    fn no_place(&mut self, one: &View<'a>, into: &[View<'a>], place: &Place, sink: &mut Sink) {
        let listed = one.values().is_some() && into.iter().all(|other| other.values().is_some());
        let what = match (one.name, one.values()) {
            (Some(name), _) => format!("`{}`", shorten(name)),
            (None, Some(values)) => flat::listed(&values),
            (None, None) => super::view::spelled(one.types()),
        };
        let rule = match (place.direction, listed) {
            (Direction::Sent, true) => Rule::REQUEST_ENUM_VALUE_REMOVED,
            (Direction::Sent, false) => Rule::REQUEST_VARIANT_REMOVED,
            (Direction::Received, true) => Rule::RESPONSE_ENUM_VALUE_ADDED,
            (Direction::Received, false) => Rule::RESPONSE_VARIANT_ADDED,
        };
        let subject = place.subject();
        let (text, values) = place.direction.pick(
            (format!("{subject} is no longer {what}"), (Some(what.clone()), None)),
            (format!("{subject} may be {what}"), (None, Some(what.clone()))),
        );
        self.found(sink, rule, place, &one.at().unwrap_or_default(), text, values);
    }

    /// Takes a finding about a schema to where it belongs.
    pub(super) fn found(
        &mut self,
        sink: &mut Sink,
        rule: &'static Rule,
        place: &Place,
        at: &str,
        text: String,
        values: (Option<String>, Option<String>),
    ) {
        match sink {
            Sink::Trial { fits, .. } => *fits &= rule.severity() == Severity::Info,
            Sink::Report => self.report(rule, &place.operation, at, text, values),
        }
    }
}

/// Says where two schemas lie: in the newer document, unless it has none.
pub(super) fn place_of(old: &View<'_>, new: &View<'_>) -> Rc<str> {
    new.at().or_else(|| old.at()).unwrap_or_default()
}

fn depth_of(sink: &Sink) -> usize {
    match sink {
        Sink::Report => 0,
        Sink::Trial { depth, .. } => *depth,
    }
}
