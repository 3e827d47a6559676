//! How processing starts: what came with a message is read, and its span begins.

use super::message::{Processing, Span};
use crate::{
    carrier::{Delivery, Gathered, text},
    consumer::{Consumer, ConsumerParts, Parenting, Trust},
    messaging::{ApiUse, Shared},
    names,
    system::System,
};
use http::HeaderValue;
use meshwise_core::{
    CallInfo, RequestId,
    internal::{Limits, clock, parse_millis},
    propagation::{Baggage, Incoming, Sampling},
};
use meshwise_trace::{Started, convert};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, Span as _, SpanBuilder, SpanContext, SpanKind, TraceContextExt},
};
use std::{
    borrow::Cow,
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
    let gathered = Gathered::of(message, &shared.propagators);
    let incoming = shared.propagators.extract_pairs(gathered.context());
    let trusted = parts.trust == Trust::Internal;
    let published = message.published_at();

    let mut info = CallInfo::default();
    let mut api_version = None;
    if trusted {
        info.caller = incoming.caller.as_ref().map(|c| shared.callers.intern(&c.service));
        info.attempt = attempt(message, &gathered);
        if let Some(parent) = &incoming.parent {
            info.trace_state = parent.state.clone();
        }
        let told = gathered.own(names::X_REQUEST_TIMEOUT_MS).and_then(parse_millis);
        if let Some(told) = told {
            info.set_deadline(began, left(told, began, published));
        }
        let version = incoming.caller.as_ref().and_then(|caller| caller.api_version.as_deref());
        api_version = version.map(Arc::from);
    }
    if let (Some(counter), Some(api)) = (&shared.api, &parts.api) {
        let (version, caller) = (api_version.as_deref(), info.caller.as_deref());
        counter.count(&ApiUse { api, version, caller });
    }

    let producer = parent(shared, &incoming);
    let declined =
        trusted && incoming.parent.is_none() && incoming.sampling == Sampling::NotSampled;
    let (parent, link) = match (parts.parenting, trusted) {
        (Parenting::Child, true) => (producer, None),
        _ => (SpanContext::NONE, producer.is_valid().then_some(producer)),
    };
    let baggage = if trusted { incoming.baggage } else { Baggage::EMPTY };
    let links = link.map(|link| vec![Link::with_context(link)]).unwrap_or_default();
    let fill = |list: &mut Vec<KeyValue>| describe(parts.system, message, &info, list);
    let (started, recorded_at) = start(parts, began, &parent, links, declined, None, fill);
    let told = gathered.own(names::X_REQUEST_ID).filter(|_| trusted);
    info.request_id = request_id(told, &started);
    let span = current(started, &info, &baggage);
    let limits = limits(&info, began);
    let in_hand = parts.hand().take(began, published);
    if let Some(metrics) = &shared.metrics {
        metrics.consumed(&parts.channel(), 1);
    }
    Processing {
        consumer: consumer.clone(),
        context: OnceLock::new(),
        span,
        info,
        baggage,
        api_version,
        messages: None,
        senders: Vec::new(),
        began,
        recorded_at,
        limits,
        panicked: AtomicBool::new(false),
        in_hand: Some(in_hand),
        finished: false,
    }
}

fn batch<'m, D: Delivery + ?Sized + 'm>(
    consumer: &Consumer,
    messages: impl IntoIterator<Item = &'m D>,
) -> Processing {
    let began = Instant::now();
    let parts = &*consumer.0;
    let shared = &*parts.messaging.0;
    let (mut count, mut links, mut oldest) = (0_u32, Vec::new(), None::<SystemTime>);
    let mut senders: Vec<(Option<Arc<str>>, u32)> = Vec::new();
    let mut soonest: Option<Duration> = None;
    for message in messages {
        count = count.saturating_add(1);
        let published = message.published_at();
        oldest = [oldest, published].into_iter().flatten().min();
        let gathered = Gathered::of(message, &shared.propagators);
        let incoming = shared.propagators.extract_pairs(gathered.context());
        if links.len() < MAX_LINKS
            && let Some(parent) = &incoming.parent
        {
            let ids = convert::span_context(parent, parent.flags.is_sampled());
            links.push(Link::with_context(ids));
        }
        let trusted = parts.trust == Trust::Internal;
        let caller = incoming.caller.as_ref().filter(|_| trusted);
        let sender = caller.map(|caller| shared.callers.intern(&caller.service));
        match senders.iter_mut().find(|(known, _)| *known == sender) {
            Some((_, messages)) => *messages += 1,
            None => senders.push((sender, 1)),
        }
        if let (Some(counter), Some(api)) = (&shared.api, &parts.api) {
            let version = caller.and_then(|caller| caller.api_version.as_deref());
            counter.count(&ApiUse { api, version, caller: caller.map(|caller| &*caller.service) });
        }
        if trusted {
            let told = gathered.own(names::X_REQUEST_TIMEOUT_MS).and_then(parse_millis);
            let told = told.map(|told| left(told, began, published));
            soonest = [soonest, told].into_iter().flatten().min();
        }
    }
    let mut info = CallInfo::default();
    if let Some(soonest) = soonest {
        info.set_deadline(began, soonest);
    }
    let (none, baggage) = (SpanContext::NONE, Baggage::EMPTY);
    let fill = |_: &mut Vec<KeyValue>| {};
    let (started, recorded_at) = start(parts, began, &none, links, false, Some(count), fill);
    info.request_id = request_id(None, &started);
    let span = current(started, &info, &baggage);
    if let Some(metrics) = &shared.metrics {
        metrics.consumed(&parts.channel(), u64::from(count));
    }
    Processing {
        consumer: consumer.clone(),
        context: OnceLock::new(),
        span,
        limits: limits(&info, began),
        info,
        baggage,
        api_version: None,
        messages: Some(count),
        senders,
        began,
        recorded_at,
        panicked: AtomicBool::new(false),
        in_hand: (count > 0).then(|| parts.hand().take(began, oldest)),
        finished: false,
    }
}

/// Starts the span.
fn start(
    parts: &ConsumerParts,
    began: Instant,
    parent: &SpanContext,
    links: Vec<Link>,
    declined: bool,
    messages: Option<u32>,
    fill: impl FnOnce(&mut Vec<KeyValue>),
) -> (Started, Option<SystemTime>) {
    let mut recorded_at = None;
    let started = match &parts.messaging.0.tracing {
        _ if declined => Started::unrecorded(),
        None => Started::Unrecorded(parent.clone()),
        Some(tracing) => {
            let mut builder = SpanBuilder::from_name("process").with_kind(SpanKind::Consumer);
            builder.links = (!links.is_empty()).then_some(links);
            let context = || match parent.is_valid() {
                true => Context::new().with_remote_span_context(parent.clone()),
                false => Context::new(),
            };
            tracing.start(parent, context, builder, |builder| {
                let now = clock::wall_time(began);
                recorded_at = Some(now);
                builder.start_time = Some(now);
                builder.name = Cow::Owned(String::from(&*parts.process));
                let mut list = attributes(parts, messages);
                fill(&mut list);
                builder.attributes = Some(list);
            })
        }
    };
    (started, recorded_at)
}

/// Puts a span that records into its context at once.
fn current(started: Started, info: &CallInfo, baggage: &Baggage) -> Span {
    match started {
        Started::Unrecorded(ids) => Span::Ids(ids),
        Started::Recorded(span) => {
            let cx = convert::with_baggage(Context::new(), baggage).with_value(info.clone());
            Span::Recorded(cx.with_span(span.of_call()))
        }
    }
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
fn left(told: Duration, began: Instant, published: Option<SystemTime>) -> Duration {
    let waited = published.and_then(|at| clock::wall_time(began).duration_since(at).ok());
    told.saturating_sub(waited.unwrap_or_default())
}

/// Takes over the request id of the call that the message was sent for, or names the message by its
/// trace: one id to search for.
fn request_id(told: Option<&[u8]>, started: &Started) -> Option<RequestId> {
    let ids = match started {
        Started::Recorded(span) => span.span_context(),
        Started::Unrecorded(ids) => ids,
    };
    let told = told.filter(|value| value.len() <= RequestId::MAX_LEN);
    let told = told.and_then(|value| RequestId::from_header(&HeaderValue::from_bytes(value).ok()?));
    let made = || {
        let trace = u128::from_be_bytes(ids.trace_id().to_bytes());
        ids.is_valid().then(|| RequestId::from_random(trace))
    };
    told.or_else(made)
}

fn attempt(message: &(impl Delivery + ?Sized), gathered: &Gathered<'_>) -> u32 {
    let told = gathered.own(names::X_ATTEMPT).and_then(|value| {
        let text = text(value, 9)?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    });
    message.deliveries_before().saturating_add(told.unwrap_or(0))
}

fn limits(info: &CallInfo, began: Instant) -> Limits {
    let limits = Limits::new(began);
    match info.deadline {
        Some(deadline) => limits.with_told(deadline),
        None => limits,
    }
}

fn attributes(parts: &ConsumerParts, messages: Option<u32>) -> Vec<KeyValue> {
    let mut list = Vec::with_capacity(16);
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
    list
}

/// Adds what is known of one message.
fn describe(
    system: System,
    message: &(impl Delivery + ?Sized),
    info: &CallInfo,
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
    if let Some(caller) = &info.caller {
        list.push(KeyValue::new(names::CLIENT_SERVICE_NAME, Arc::clone(caller)));
    }
    if info.attempt > 0 {
        list.push(KeyValue::new(names::MESHWISE_MESSAGE_ATTEMPT, i64::from(info.attempt)));
    }
}
