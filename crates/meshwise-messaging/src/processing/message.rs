//! One message (or batch) in hand, from its start to its one finish.

use super::settled::Settled;
use crate::{consumer::Consumer, exemplar::exemplar, names, senders::Sender};
use meshwise_core::{
    CallEnd, CallInfo, Deadline, ErrorType, RequestId, TraceId, TraceState,
    internal::{Limits, error_chain},
    outcome::{EndedBy, Fault, FaultKind, Side},
    propagation::Baggage,
};
use meshwise_metrics::{
    internal::{EdgeCall, OperationEnd},
    with_exemplar,
};
use meshwise_trace::{CallSpan, CallSpanGuard, Started, convert, end_as_owner};
use opentelemetry::{
    Context, ContextGuard, KeyValue,
    trace::{SpanContext, TraceContextExt},
};
use std::{
    error::Error,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

/// Observes the processing of one message or batch; made by [`Consumer`]. Dropping it finishes it.
///
/// | what happens | it is settled as | its span |
/// |---|---|---|
/// | [`ack`](Self::ack) | `ack` | success |
/// | [`nack`](Self::nack): it is to come again | `nack` | failure, by the error's kind |
/// | [`reject`](Self::reject): it is thrown away | `reject` | failure, by the error's kind |
/// | [`dead_letter`](Self::dead_letter): it is set aside | `dead_letter` | failure, by the error's kind |
/// | it is dropped | `dropped` | cancelled; past its deadline `timeout`; after a panic in it `panic` |
///
/// Of an error the whole chain of sources is looked at. What the broker is told is the caller's business:
/// settle here after it has been told.
#[must_use = "dropping it tells that the message was given up"]
pub struct Processing {
    pub(crate) consumer: Consumer,
    /// The context that the handler runs in, made once it is asked for: who only settles pays nothing for it.
    pub(super) ready: OnceLock<Ready>,
    /// The same for who asks: with the request id as such, if it is the trace's.
    pub(super) context: OnceLock<Context>,
    pub(super) span: Span,
    pub(super) told: Told,
    pub(super) baggage: Baggage,
    pub(super) api_version: Option<Arc<str>>,
    pub(super) sent_by: SentBy,
    pub(super) began: Instant,
    pub(super) recorded_at: Option<SystemTime>,
    pub(super) panicked: AtomicBool,
    /// Its slot among the messages in hand.
    pub(super) in_hand: Option<usize>,
    pub(super) finished: bool,
}

/// What the message says of itself.
#[derive(Default)]
pub(super) struct Told {
    pub(super) request_id: Option<RequestId>,
    /// How long it is of use.
    pub(super) left: Option<Duration>,
    pub(super) attempt: u32,
    pub(super) trace_state: TraceState,
}

/// Who sent it.
pub(super) enum SentBy {
    One(Arc<Sender>),
    /// Those who sent the messages of a batch, and how many each.
    Many(Vec<(Arc<Sender>, u32)>),
}

/// What the message goes by.
pub(super) enum Span {
    /// A span that records, in the context already.
    Recorded(Context),
    /// One that no one sees.
    Ids(SpanContext),
    /// One that no one sees, below this one of the producer's: its own ids are made with the context.
    Below(SpanContext),
}

/// A context that is ready to be attached.
pub(super) struct Ready {
    cx: Context,
    span: Option<CallSpan>,
}

impl Processing {
    /// Makes the message's context current until the guard is dropped, for code that is not `async`.
    #[must_use = "the context is current as long as this lives"]
    pub fn enter(&self) -> Entered<'_> {
        let ready = self.ready();
        let attached = self.attach(&ready.cx);
        Entered { _span: ready.span.as_ref().map(CallSpan::enter), _attached: attached }
    }

    /// Returns the message's context.
    #[must_use]
    pub fn context(&self) -> &Context {
        self.context.get_or_init(|| {
            let cx = &self.ready().cx;
            match cx.get::<CallInfo>().filter(|info| info.request_id.is_none()) {
                Some(info) => cx.with_value(info.in_trace(self.span.trace_id())),
                None => cx.clone(),
            }
        })
    }

    /// Returns the moment past which the message is of no use, if its producer said so.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.told.left.map(|left| Deadline::after(self.began, left))
    }

    /// Tells whether the message came too late to be of use.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline.remaining(Instant::now()).is_none())
    }

    /// Returns the name of the service that sent the message, if it told.
    #[must_use]
    pub fn caller(&self) -> Option<&Arc<str>> {
        match &self.sent_by {
            SentBy::One(sender) => sender.name.as_ref(),
            SentBy::Many(_) => None,
        }
    }

    /// Returns the version of this service's API that the message was made for, if its producer told.
    #[must_use]
    pub fn api_version(&self) -> Option<&str> {
        self.api_version.as_deref()
    }

    /// Returns how often the message was tried before; 0 for the first time.
    #[must_use]
    pub fn attempts_before(&self) -> u32 {
        self.told.attempt
    }

    /// Returns the baggage that came with the message.
    #[must_use]
    pub fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    /// Ends it: the message was handled.
    pub fn ack(mut self) {
        self.finish(Settled::Ack, CallEnd::SUCCESS, None);
    }

    /// Ends it: the message could not be handled, and is to come again.
    pub fn nack(self, error: &(dyn Error + 'static)) {
        self.broke(Settled::Nack, error);
    }

    /// Ends it: the message cannot be handled, and is thrown away.
    pub fn reject(self, error: &(dyn Error + 'static)) {
        self.broke(Settled::Reject, error);
    }

    /// Ends it: the message cannot be handled, and was set aside.
    pub fn dead_letter(self, error: &(dyn Error + 'static)) {
        self.broke(Settled::DeadLetter, error);
    }

    /// Ends it in any way; `fault` says what went wrong, if anything did.
    pub fn settle(mut self, settled: Settled, fault: Option<Fault>) {
        let end = fault.map_or(CallEnd::SUCCESS, |fault| self.judge(fault));
        self.finish(settled, end, None);
    }

    fn broke(mut self, settled: Settled, error: &(dyn Error + 'static)) {
        let mut fault = self.consumer.0.messaging.0.classifier.faults().of_chain(error);
        if *self.panicked.get_mut() && fault.kind == FaultKind::Other {
            fault.kind = FaultKind::Panic;
        }
        let end = self.judge(fault);
        self.finish(settled, end, Some(error_chain(error)));
    }

    fn judge(&self, fault: Fault) -> CallEnd {
        self.consumer.0.messaging.0.classifier.failed(
            Side::Server,
            None,
            fault,
            &self.limits(),
            Instant::now(),
        )
    }

    fn limits(&self) -> Limits {
        Limits::new(self.began).with_told(self.deadline())
    }

    fn ready(&self) -> &Ready {
        self.ready.get_or_init(|| {
            let cx = match &self.span {
                Span::Recorded(cx) => cx.clone(),
                Span::Ids(ids) => self.around(ids.clone()),
                Span::Below(parent) => self.around(Started::ids_below(parent)),
            };
            let shared = &self.consumer.0.messaging.0;
            let span = shared.tracing_span.then(|| CallSpan::new(&cx, shared.dispatch.as_ref()));
            Ready { cx, span }
        })
    }

    /// Puts ids into the context of what the message says.
    fn around(&self, ids: SpanContext) -> Context {
        let senders = &self.consumer.0.messaging.0.senders;
        let sender = match &self.sent_by {
            SentBy::One(sender) => sender,
            SentBy::Many(_) => senders.unnamed(),
        };
        let cx = self.told.context(self.began, sender, &self.baggage, &ids);
        if ids.is_valid() { cx.with_remote_span_context(ids) } else { cx }
    }

    fn attach(&self, cx: &Context) -> Attached<'_> {
        let shared = &self.consumer.0.messaging.0;
        Attached {
            _cx: cx.clone().attach(),
            _dispatch: shared.dispatch.as_ref().map(tracing::dispatcher::set_default),
            _recorder: shared.recorder.as_ref().map(|r| metrics::set_default_local_recorder(r)),
        }
    }

    fn finish(&mut self, settled: Settled, end: CallEnd, message: Option<String>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let duration = self.began.elapsed();
        let exemplar = match &self.span {
            Span::Recorded(cx) => {
                let span = cx.span();
                let ended = self.recorded_at.map(|began| began + duration);
                let failure = end.outcome.is_failure().then(|| message.unwrap_or_default());
                end_as_owner(&span, failure, ended, |list| {
                    list.push(KeyValue::new(names::MESHWISE_MESSAGE_SETTLED, settled.as_str()));
                    if let Some(error) = end.error_type() {
                        list.push(KeyValue::new(names::ERROR_TYPE, error.as_str()));
                    }
                    if end.ended_by != EndedBy::Peer {
                        list.push(KeyValue::new(names::MESHWISE_ENDED_BY, end.ended_by.as_str()));
                    }
                });
                exemplar(span.span_context(), ended)
            }
            Span::Ids(_) | Span::Below(_) => None,
        };
        with_exemplar(exemplar, || self.count(settled, end.error_type(), duration));
        if let Some(slot) = self.in_hand.take() {
            self.consumer.0.hand().release(slot);
        }
    }

    /// Counts the messages, and the edges of the map that end here.
    fn count(&self, settled: Settled, error_type: Option<ErrorType>, duration: Duration) {
        if let Some(series) = &self.consumer.0.hand().series {
            let settled = settled.as_str();
            let end = OperationEnd { operation: "process", settled, error_type };
            series.ended(&end, duration, self.sent_by.messages());
        }
        let call = EdgeCall { status: None, code: None, error_type, duration };
        match &self.sent_by {
            SentBy::One(sender) => sender.count(1, &call),
            SentBy::Many(senders) => {
                senders
                    .iter()
                    .for_each(|(sender, messages)| sender.count((*messages).into(), &call));
            }
        }
    }
}

impl Span {
    pub(super) fn trace_id(&self) -> TraceId {
        convert::trace_id(match self {
            Self::Recorded(cx) => cx.span().span_context().trace_id(),
            Self::Ids(ids) | Self::Below(ids) => ids.trace_id(),
        })
    }
}

impl SentBy {
    pub(super) fn messages(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(senders) => senders.iter().map(|(_, messages)| u64::from(*messages)).sum(),
        }
    }
}

impl Told {
    /// Makes a context of what was told. A message that brought no request id is named by its trace: one id
    /// to search for.
    pub(super) fn context(
        &self,
        began: Instant,
        sender: &Sender,
        baggage: &Baggage,
        ids: &SpanContext,
    ) -> Context {
        let says_no_more = self.left.is_none()
            && self.attempt == 0
            && self.trace_state.is_empty()
            && baggage.is_empty()
            && self.request_id.as_ref().is_none_or(|id| is_trace(id, ids));
        match (says_no_more, ids.is_valid() || sender.name.is_some()) {
            (true, true) => sender.facts.clone(),
            (true, false) => Context::new(),
            (false, _) => {
                let cx = convert::with_baggage(Context::new(), baggage);
                let info = self.info(began, sender);
                if info.says_nothing() { cx } else { cx.with_value(info) }
            }
        }
    }

    #[inline(never)]
    fn info(&self, began: Instant, sender: &Sender) -> CallInfo {
        let mut info = CallInfo::default().named_by_trace();
        info.request_id.clone_from(&self.request_id);
        info.caller.clone_from(&sender.name);
        info.attempt = self.attempt;
        info.trace_state = self.trace_state.clone();
        if let Some(left) = self.left {
            info.set_deadline(began, left);
        }
        info
    }
}

/// Tells whether a request id is its trace's, as ids are that services of a mesh make.
fn is_trace(id: &RequestId, ids: &SpanContext) -> bool {
    ids.is_valid() && id.as_bytes() == convert::trace_id(ids.trace_id()).to_hex()
}

impl Drop for Processing {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let panicked = *self.panicked.get_mut() || std::thread::panicking();
        let end = match panicked {
            true => self.judge(Fault::new(FaultKind::Panic)),
            false => {
                let classifier = &self.consumer.0.messaging.0.classifier;
                classifier.dropped(Side::Server, None, false, &self.limits(), Instant::now())
            }
        };
        self.finish(Settled::Dropped, end, None);
    }
}

impl fmt::Debug for Processing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processing")
            .field("destination", &self.consumer.0.destination)
            .field("caller", &self.caller())
            .field("deadline", &self.deadline())
            .field("attempts_before", &self.told.attempt)
            .field("panicked", &self.panicked.load(Relaxed))
            .finish_non_exhaustive()
    }
}

/// Holds a message's context and span current; what was made last is dropped first.
pub struct Entered<'a> {
    _span: Option<CallSpanGuard<'a>>,
    _attached: Attached<'a>,
}

impl fmt::Debug for Entered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

struct Attached<'a> {
    _cx: ContextGuard,
    _dispatch: Option<tracing::dispatcher::DefaultGuard>,
    _recorder: Option<metrics::LocalRecorderGuard<'a>>,
}
