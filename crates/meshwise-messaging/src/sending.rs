//! One message on its way to the broker, from its start to its one finish.

use crate::{
    carrier::CarrierMut,
    exemplar::exemplar,
    names,
    producer::{Operation, Producer},
};
use meshwise_core::{
    ApiVersion, CallEnd, CallInfo, Deadline,
    internal::{Limits, clock, error_chain},
    outcome::{EndedBy, Fault, FaultKind, Side},
    propagation::{Caller, Outgoing},
};
use meshwise_metrics::{internal::OperationEnd, with_exemplar};
use meshwise_trace::{MeshSpan, Room, Started, convert};
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceState},
};
use std::{
    borrow::Cow,
    error::Error,
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

/// Observes one operation that sends; made by [`Producer`]. Dropping it finishes it.
///
/// | what happens | it ends | as |
/// |---|---|---|
/// | [`confirmed`](Self::confirmed) | then | success: the broker has it |
/// | [`unconfirmed`](Self::unconfirmed) | then | success as far as this side knows: no one was asked (`QoS` 0, core NATS) |
/// | [`failed`](Self::failed) | then | failure, `error.type` by the error's kind |
/// | [`watch`](Self::watch)'s future ends | then | as its result says |
/// | it is dropped | then | cancelled: whether the broker has it is not known; past its deadline `timeout` |
#[must_use = "dropping it tells that the message was given up"]
pub struct Sending {
    producer: Producer,
    operation: Operation,
    parent: Context,
    span: SendingSpan,
    began: Instant,
    recorded_at: Option<SystemTime>,
    messages: Option<u32>,
    deadline: Option<Deadline>,
    api_version: Option<ApiVersion>,
    finished: bool,
}

/// What the message goes by.
enum SendingSpan {
    /// The span around it, for tracing is off.
    Current,
    Ids(SpanContext),
    // Boxed: it is large, and few are recorded.
    Recorded(Box<MeshSpan>),
}

impl Producer {
    /// Begins to send one message: its span starts.
    pub fn send(&self) -> Sending {
        Sending::start(self, Operation::Send, None)
    }

    /// Begins to send several messages in one operation, each with the same context.
    pub fn send_batch(&self, messages: u32) -> Sending {
        Sending::start(self, Operation::Send, Some(messages))
    }

    /// Begins to send a message that is answered: its span lasts to the answer, and the deadline of the
    /// call on whose behalf this code runs goes on with it.
    pub fn request(&self) -> Sending {
        Sending::start(self, Operation::Request, None)
    }
}

impl Sending {
    fn start(producer: &Producer, operation: Operation, messages: Option<u32>) -> Self {
        let began = Instant::now();
        let shared = &producer.0.messaging.0;
        let parent = Context::current();
        let current = parent.span();
        let mut recorded_at = None;
        let span = match &shared.tracing {
            None => SendingSpan::Current,
            Some(_) if parent.is_telemetry_suppressed() => SendingSpan::Ids(SpanContext::NONE),
            Some(tracing) => {
                let kind = match operation {
                    Operation::Send => SpanKind::Producer,
                    Operation::Request => SpanKind::Client,
                };
                let build = |room: &mut Room| {
                    attributes(producer, operation, messages, &mut room.attributes);
                    let now = clock::wall_time(began);
                    recorded_at = Some(now);
                    let name = match operation {
                        Operation::Send => &*producer.0.send,
                        Operation::Request => &*producer.0.request,
                    };
                    SpanBuilder {
                        span_kind: Some(kind),
                        start_time: Some(now),
                        ..SpanBuilder::from_name(String::from(name))
                    }
                };
                match tracing.start(current.span_context(), || parent.clone(), build) {
                    Started::Recorded(span) => SendingSpan::Recorded(Box::new(span)),
                    Started::Unrecorded(ids) => SendingSpan::Ids(ids),
                }
            }
        };
        let mut sending = Self {
            producer: producer.clone(),
            operation,
            span,
            began,
            recorded_at,
            messages,
            deadline: None,
            api_version: None,
            finished: false,
            parent,
        };
        if operation == Operation::Request
            && let Some(limit) = sending.parent.get::<CallInfo>().and_then(CallInfo::limit)
        {
            sending = sending.with_deadline(limit);
        }
        sending
    }

    /// Sets the moment past which the message is of no use: its consumer is told how long it has, and
    /// an earlier deadline stays.
    ///
    /// A message that is only sent inherits none: an order that was placed is to be handled, however
    /// long ago the customer's request ended.
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline.earlier(self.deadline));
        self
    }

    /// Names the version of the consumer's API that the message is made for.
    pub fn with_api_version(mut self, version: impl Into<Arc<str>>) -> Self {
        self.api_version = Some(ApiVersion(version.into()));
        self
    }

    /// Sets the message's id on the span; the caller puts it into the message.
    pub fn with_message_id(self, id: &str) -> Self {
        if let SendingSpan::Recorded(span) = &self.span
            && span.is_recording()
        {
            let id: String = id.chars().take(256).collect();
            return self.set(KeyValue::new(names::MESSAGING_MESSAGE_ID, id));
        }
        self
    }

    /// Sets the body's length, in bytes, on the span.
    pub fn with_body_size(self, bytes: usize) -> Self {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.set(KeyValue::new(names::MESSAGING_MESSAGE_BODY_SIZE, bytes))
    }

    fn set(mut self, attribute: KeyValue) -> Self {
        if let SendingSpan::Recorded(span) = &mut self.span {
            span.set_attribute(attribute);
        }
        self
    }

    /// Returns the moment past which no one waits for an answer any more.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// Writes into a message what its consumer shall know, in the place of what stood there: context,
    /// baggage, who sends, the API version asked for, the request id of the call being served, the time
    /// that is left.
    pub fn inject(&self, carrier: &mut (impl CarrierMut + ?Sized)) {
        let shared = &self.producer.0.messaging.0;
        let ours = |name: &str| {
            shared.propagators.is_own(name)
                || name.eq_ignore_ascii_case(names::X_REQUEST_TIMEOUT_MS)
                || name.eq_ignore_ascii_case(names::X_REQUEST_ID)
        };
        let mut stale = false;
        carrier.each(&mut |name, _| stale |= ours(name));
        if stale {
            carrier.remove_if(&ours);
        }
        if self.parent.is_telemetry_suppressed() {
            return;
        }
        let info = self.parent.get::<CallInfo>();
        let current = self.parent.span();
        let ids = match &self.span {
            SendingSpan::Recorded(span) => span.span_context(),
            SendingSpan::Ids(ids) => ids,
            SendingSpan::Current => current.span_context(),
        };
        let state = match ids.trace_state() {
            none if *none == TraceState::NONE => String::new(),
            state => state.header(),
        };
        let state = match info {
            Some(info) if state.is_empty() => Cow::Borrowed(info.trace_state.as_str()),
            _ => Cow::Owned(state),
        };
        let caller = Caller::new(shared.service.name());
        let caller = match &self.api_version {
            Some(ApiVersion(version)) => caller.with_api_version(&**version),
            None => caller,
        };
        let baggage = convert::baggage(&self.parent);
        let outgoing = Outgoing {
            trace_id: convert::trace_id(ids.trace_id()),
            span_id: convert::span_id(ids.span_id()),
            flags: convert::flags(ids.trace_flags()),
            state: &state,
            caller: Some(caller),
            baggage: &baggage,
        };
        shared
            .propagators
            .inject_with(&outgoing, &mut |name, value| carrier.add(name.as_str(), value));
        let trace = || convert::trace_id(current.span_context().trace_id());
        if let Some(id) = info.and_then(|info| info.request_id_in(trace())) {
            carrier.add(names::X_REQUEST_ID, id.as_str());
        }
        if let Some(deadline) = self.deadline {
            let left = deadline.remaining(Instant::now()).unwrap_or_default().as_millis();
            // Eleven days are as good as no deadline; more digits would not be read.
            carrier.add(names::X_REQUEST_TIMEOUT_MS, &left.min(999_999_999).to_string());
        }
    }

    /// Ends it: the broker has the message.
    pub fn confirmed(mut self) {
        self.finish(CallEnd::SUCCESS, None);
    }

    /// Ends it: the message was handed over, and whether the broker has it is not asked.
    pub fn unconfirmed(mut self) {
        self.finish(CallEnd::SUCCESS, None);
    }

    /// Ends it: the message was not taken.
    pub fn failed(mut self, error: &(dyn Error + 'static)) {
        let fault = self.producer.0.messaging.0.classifier.faults().of_chain(error);
        self.broke(fault, Some(error_chain(error)));
    }

    /// Ends it: the message was not taken, for a reason that is known.
    pub fn failed_as(mut self, fault: Fault) {
        self.broke(fault, None);
    }

    /// Waits for a future that sends the message, and ends as its result says. Past the deadline, if
    /// there is one, a request is given up; if it has passed already, the future is not even begun.
    ///
    /// # Errors
    /// [`WatchError::Sending`] with the future's own, [`WatchError::DeadlineExceeded`] once the
    /// deadline has passed.
    pub async fn watch<T, E: Error + 'static>(
        self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, WatchError<E>> {
        let enforced = self.deadline.filter(|_| self.operation == Operation::Request);
        let result = match enforced {
            Some(deadline) => {
                let moment = tokio::time::Instant::from_std(deadline.moment());
                // A timeout asks its future first.
                let in_time = tokio::time::Instant::now() < moment;
                let begun = async { tokio::time::timeout_at(moment, future).await.ok() };
                match if in_time { begun.await } else { None } {
                    Some(result) => result,
                    None => {
                        self.failed_as(Fault::new(FaultKind::Timeout));
                        return Err(WatchError::DeadlineExceeded);
                    }
                }
            }
            None => future.await,
        };
        match result {
            Ok(sent) => {
                self.confirmed();
                Ok(sent)
            }
            Err(error) => {
                self.failed(&error);
                Err(WatchError::Sending(error))
            }
        }
    }

    fn broke(&mut self, fault: Fault, message: Option<String>) {
        let classifier = &self.producer.0.messaging.0.classifier;
        let end = classifier.failed(Side::Client, None, fault, &self.limits(), Instant::now());
        self.finish(end, message);
    }

    fn limits(&self) -> Limits {
        Limits::new(self.began).with_told(self.deadline)
    }

    fn finish(&mut self, end: CallEnd, message: Option<String>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let duration = self.began.elapsed();
        let exemplar = match &mut self.span {
            SendingSpan::Recorded(span) => {
                if let Some(error) = end.error_type() {
                    span.set_attribute(KeyValue::new(names::ERROR_TYPE, error.as_str()));
                }
                if end.ended_by != EndedBy::Peer {
                    let by = end.ended_by.as_str();
                    span.set_attribute(KeyValue::new(names::MESHWISE_ENDED_BY, by));
                }
                if end.outcome.is_failure() {
                    span.set_status(Status::error(message.unwrap_or_default()));
                }
                let ended = self.recorded_at.map(|began| began + duration);
                let ids = span.span_context().clone();
                match ended {
                    Some(ended) => span.end_with_timestamp(ended),
                    None => span.end(),
                }
                exemplar(&ids, ended)
            }
            _ => None,
        };
        if let Some(series) = &self.producer.0.series {
            let operation = self.operation.as_str();
            let end = OperationEnd { operation, settled: "", error_type: end.error_type() };
            let count = u64::from(self.messages.unwrap_or(1));
            with_exemplar(exemplar, || series.ended(&end, duration, count));
        }
    }
}

fn attributes(
    producer: &Producer,
    operation: Operation,
    messages: Option<u32>,
    list: &mut Vec<KeyValue>,
) {
    let parts = &producer.0;
    list.reserve(10);
    list.extend([
        KeyValue::new(names::MESSAGING_SYSTEM_NAME, parts.system.as_str()),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, Arc::clone(&parts.destination)),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, operation.as_str()),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, "send"),
    ]);
    if let Some(messages) = messages {
        list.push(KeyValue::new(names::MESSAGING_BATCH_MESSAGE_COUNT, i64::from(messages)));
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.finished {
            let classifier = &self.producer.0.messaging.0.classifier;
            let end = match std::thread::panicking() {
                true => classifier.failed(
                    Side::Client,
                    None,
                    Fault::new(FaultKind::Panic),
                    &self.limits(),
                    Instant::now(),
                ),
                false => {
                    classifier.dropped(Side::Client, None, false, &self.limits(), Instant::now())
                }
            };
            self.finish(end, None);
        }
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("destination", &self.producer.0.destination)
            .field("operation", &self.operation)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Says why a message that was [watched](Sending::watch) was not sent, or a request not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError<E> {
    /// The client said so.
    #[error("the message could not be sent: {0}")]
    Sending(E),
    /// No one waits for the answer any more.
    #[error("no answer before the deadline; see how far the consumers are behind")]
    DeadlineExceeded,
}
