//! How processing starts: what came with a message is read, and its span begins.

use super::message::{Processing, SentBy, Span, Told};
use crate::{
    carrier::{Delivery, Found, read, read_known, text},
    consumer::{Consumer, ConsumerParts, Parenting, Trust},
    hands::HandFacts,
    messaging::{ApiUse, Shared},
    names,
    senders::Sender,
    system::System,
};
use meshwise_core::{
    RequestId, TraceState,
    internal::{clock, parse_millis},
    propagation::{Baggage, Caller, Incoming, Sampling},
};
use meshwise_trace::{MeshSpan, Started, Tracing, convert};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, Span as _, SpanBuilder, SpanContext, SpanKind, TraceContextExt},
};
use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::{Duration, Instant, SystemTime},
};

/// How many producers' spans a batch links to.
const MAX_LINKS: usize = 128;
/// How much of a message id a span says, in characters.
const MAX_ID: usize = 256;

impl Consumer {
    /// Takes a message in hand: its span starts.
    pub fn receive(&self, message: &(impl Delivery + ?Sized)) -> Processing {
        one(self, message)
    }

    /// Takes several messages in hand at once, as one operation, whose span links to those of their
    /// producers (the first 128).
    pub fn receive_batch<'m, D: Delivery + ?Sized + 'm>(
        &self,
        messages: impl IntoIterator<Item = &'m D>,
    ) -> Processing {
        batch(self, messages)
    }
}

fn one(consumer: &Consumer, message: &(impl Delivery + ?Sized)) -> Processing {
    let began = Instant::now();
    let parts = &*consumer.0;
    let shared = &*parts.messaging.0;
    let mut place = None;
    let trusted = parts.trust == Trust::Internal;
    let known = |said: &[u8]| if trusted { parts.first_senders.find(said) } else { None };
    let Found { incoming, own, said, known } =
        read_known(message, &shared.propagators, &mut place, known);
    let published = message.published_at();

    let (sender, api_version) = match known {
        Some(known) => (Arc::clone(&known.sender), known.api_version.clone()),
        None => sender(parts, incoming.caller.as_ref().filter(|_| trusted), said),
    };
    let mut told = Told::default();
    if trusted {
        let left = |told| time_left(told, began, published);
        told = Told {
            request_id: own.request_id.and_then(RequestId::from_text),
            left: own.timeout_ms.and_then(parse_millis).map(left),
            attempt: attempt(message, own.attempt),
            trace_state: incoming.parent.as_ref().map_or(TraceState::EMPTY, |p| p.state.clone()),
        };
    }
    if let (Some(counter), Some(api)) = (&shared.api, &parts.api) {
        let (version, caller) = (api_version.as_deref(), sender.name.as_deref());
        counter.count(&ApiUse { api, version, caller });
    }

    let producer = parent(shared, &incoming);
    let declined =
        trusted && incoming.parent.is_none() && incoming.sampling == Sampling::NotSampled;
    let is_child = parts.parenting == Parenting::Child && trusted;
    let parent = if is_child { &producer } else { &SpanContext::NONE };
    let baggage = if trusted { incoming.baggage } else { Baggage::EMPTY };
    let fill = |list: &mut Vec<KeyValue>| {
        describe(parts.system, message, &sender, told.attempt, list);
        let linked = !is_child && producer.is_valid();
        linked.then(|| vec![Link::with_context(producer.clone())])
    };
    let mut recorded_at = None;
    let unseen = |tracing: &Tracing| tracing.sees_none_below(parent);
    let span = match shared.tracing.as_ref().is_some_and(unseen) {
        true => Span::Below(parent.clone()),
        false => match start(parts, began, parent, declined, None, fill, &mut recorded_at) {
            Started::Unrecorded(ids) => Span::Ids(ids),
            Started::Recorded(span) => current(span, &told, began, &sender, &baggage),
        },
    };
    let hand = parts.hand();
    let facts = HandFacts { published, trace_id: span.trace_id(), attempt: told.attempt };
    let in_hand = hand.take(began, &facts);
    if let Some(series) = &hand.series {
        series.consumed(1);
    }
    Processing {
        consumer: consumer.clone(),
        ready: OnceLock::new(),
        context: OnceLock::new(),
        span,
        told,
        baggage,
        api_version,
        sent_by: SentBy::One(sender),
        began,
        recorded_at,
        panicked: AtomicBool::new(false),
        in_hand: Some(in_hand),
        finished: false,
    }
}

/// Finds who sent a message, and for which version of an API.
#[inline(never)]
fn sender(
    parts: &ConsumerParts,
    caller: Option<&Caller<'_>>,
    said: Option<&[u8]>,
) -> (Arc<Sender>, Option<Arc<str>>) {
    let senders = &parts.messaging.0.senders;
    let sender = senders.find(caller.map(|caller| &*caller.service));
    let version = caller.and_then(|caller| caller.api_version.as_deref());
    let version = version.map(|version| senders.version(version));
    if let (Some(caller), Some(said)) = (caller, said)
        && !parts.first_senders.is_full()
        // Each message of one that is beyond the bound is counted as such.
        && sender.name.as_deref() == Some(&*caller.service)
    {
        parts.first_senders.keep(said, &sender, version.as_ref());
    }
    (sender, version)
}

fn batch<'m, D: Delivery + ?Sized + 'm>(
    consumer: &Consumer,
    messages: impl IntoIterator<Item = &'m D>,
) -> Processing {
    let began = Instant::now();
    let parts = &*consumer.0;
    let shared = &*parts.messaging.0;
    let (mut count, mut links, mut oldest) = (0_u32, Vec::new(), None::<SystemTime>);
    let mut senders: Vec<(Arc<Sender>, u32)> = Vec::new();
    // It is of use as long as one of its messages is.
    let (mut latest, mut endless) = (None::<Duration>, false);
    for message in messages {
        count = count.saturating_add(1);
        let published = message.published_at();
        oldest = [oldest, published].into_iter().flatten().min();
        let mut place = None;
        let (incoming, own) = read(message, &shared.propagators, &mut place);
        if links.len() < MAX_LINKS
            && let Some(parent) = &incoming.parent
        {
            let ids = convert::span_context(parent, parent.flags.is_sampled());
            links.push(Link::with_context(ids));
        }
        let trusted = parts.trust == Trust::Internal;
        let caller = incoming.caller.as_ref().filter(|_| trusted);
        let sender = shared.senders.find(caller.map(|caller| &*caller.service));
        match senders.iter_mut().find(|(known, _)| known.name == sender.name) {
            Some((_, messages)) => *messages = messages.saturating_add(1),
            None => senders.push((sender, 1)),
        }
        if let (Some(counter), Some(api)) = (&shared.api, &parts.api) {
            let version = caller.and_then(|caller| caller.api_version.as_deref());
            counter.count(&ApiUse { api, version, caller: caller.map(|caller| &*caller.service) });
        }
        let told = own.timeout_ms.filter(|_| trusted).and_then(parse_millis);
        match told {
            Some(told) => latest = latest.max(Some(time_left(told, began, published))),
            None => endless = true,
        }
    }
    let told = Told { left: latest.filter(|_| !endless), ..Told::default() };
    let (none, baggage) = (SpanContext::NONE, Baggage::EMPTY);
    let fill = |_: &mut Vec<KeyValue>| (!links.is_empty()).then_some(links);
    let mut recorded_at = None;
    let span = match start(parts, began, &none, false, Some(count), fill, &mut recorded_at) {
        Started::Unrecorded(ids) => Span::Ids(ids),
        Started::Recorded(span) => current(span, &told, began, shared.senders.unnamed(), &baggage),
    };
    let hand = parts.hand();
    let facts = HandFacts { published: oldest, trace_id: span.trace_id(), attempt: 0 };
    if let Some(series) = &hand.series {
        series.consumed(count.into());
    }
    Processing {
        consumer: consumer.clone(),
        ready: OnceLock::new(),
        context: OnceLock::new(),
        span,
        told,
        baggage,
        api_version: None,
        sent_by: SentBy::Many(senders),
        began,
        recorded_at,
        panicked: AtomicBool::new(false),
        in_hand: (count > 0).then(|| hand.take(began, &facts)),
        finished: false,
    }
}

/// Starts the span; `fill` adds what only this message has, and returns links.
fn start(
    parts: &ConsumerParts,
    began: Instant,
    parent: &SpanContext,
    declined: bool,
    messages: Option<u32>,
    fill: impl FnOnce(&mut Vec<KeyValue>) -> Option<Vec<Link>>,
    recorded_at: &mut Option<SystemTime>,
) -> Started {
    match &parts.messaging.0.tracing {
        _ if declined => Started::unrecorded(),
        None => Started::Unrecorded(parent.clone()),
        Some(tracing) => {
            let context = || match parent.is_valid() {
                true => Context::new().with_remote_span_context(parent.clone()),
                false => Context::new(),
            };
            tracing.start(parent, context, |room| {
                let now = clock::wall_time(began);
                *recorded_at = Some(now);
                attributes(parts, messages, &mut room.attributes);
                let links = fill(&mut room.attributes);
                SpanBuilder {
                    span_kind: Some(SpanKind::Consumer),
                    start_time: Some(now),
                    links,
                    ..SpanBuilder::from_name(String::from(&*parts.process))
                }
            })
        }
    }
}

/// Puts a span that records into its context at once.
#[inline(never)]
fn current(
    span: MeshSpan,
    told: &Told,
    began: Instant,
    sender: &Sender,
    baggage: &Baggage,
) -> Span {
    let cx = told.context(began, sender, baggage, span.span_context());
    Span::Recorded(cx.with_span(span.of_call()))
}

/// Turns the producer's span into OpenTelemetry's form, with the decision that holds here.
fn parent(shared: &Shared, incoming: &Incoming<'_>) -> SpanContext {
    let Some(parent) = &incoming.parent else { return SpanContext::NONE };
    let sampled = match (parent.sampling, &shared.tracing) {
        (Sampling::Deferred, Some(tracing)) => tracing.decide_root(parent.trace_id),
        (Sampling::Deferred | Sampling::NotSampled, _) => false,
        (Sampling::Sampled | Sampling::Debug, _) => true,
    };
    convert::span_context(parent, sampled)
}

/// Works out what is left of the time that the producer gave: the time in the queue counts, if it is
/// known. A clock that differs can only take away, and no more than all of it.
fn time_left(told: Duration, began: Instant, published: Option<SystemTime>) -> Duration {
    let waited = published.and_then(|at| clock::wall_time(began).duration_since(at).ok());
    told.saturating_sub(waited.unwrap_or_default())
}

fn attempt(message: &(impl Delivery + ?Sized), told: Option<&[u8]>) -> u32 {
    let told = told.and_then(|value| {
        let text = text(value, 20)?;
        // A count that is too large is not none.
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(u32::MAX))
    });
    message.deliveries_before().saturating_add(told.unwrap_or(0))
}

fn attributes(parts: &ConsumerParts, messages: Option<u32>, list: &mut Vec<KeyValue>) {
    list.reserve(16);
    list.extend([
        KeyValue::new(names::MESSAGING_SYSTEM_NAME, parts.system.as_str()),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(&parts.destination)),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, "process"),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, "process"),
    ]);
    if let Some(group) = &parts.group {
        list.push(KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, Arc::clone(group)));
    }
    if let Some(messages) = messages {
        list.push(KeyValue::new(names::MESSAGING_BATCH_MESSAGE_COUNT, i64::from(messages)));
    }
}

/// Adds what is known of one message.
fn describe(
    system: System,
    message: &(impl Delivery + ?Sized),
    sender: &Sender,
    attempt: u32,
    list: &mut Vec<KeyValue>,
) {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    if let Some(id) = message.message_id() {
        let id: String = id.chars().take(MAX_ID).collect();
        list.push(KeyValue::new(names::MESSAGING_MESSAGE_ID, id));
    }
    if let Some(at) = message.position() {
        if let Some(partition) = at.partition {
            let partition = partition.to_string();
            list.push(KeyValue::new(names::MESSAGING_DESTINATION_PARTITION_ID, partition));
        }
        if system == System::KAFKA {
            list.push(KeyValue::new(names::KAFKA_OFFSET, number(at.offset)));
        }
    }
    if let Some(bytes) = message.body_size() {
        let bytes = number(bytes as u64);
        list.push(KeyValue::new(names::MESSAGING_MESSAGE_BODY_SIZE, bytes));
    }
    if let Some(caller) = &sender.name {
        list.push(KeyValue::new(names::CLIENT_SERVICE_NAME, Arc::clone(caller)));
    }
    if attempt > 0 {
        list.push(KeyValue::new(names::MESHWISE_MESSAGE_ATTEMPT, i64::from(attempt)));
    }
}
