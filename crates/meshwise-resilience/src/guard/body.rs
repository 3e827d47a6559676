//! The body that carries the ticket of a call to the end of the response.

use super::{GrpcMessages, Ticket, future::end_on_panic};
use crate::clock;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use meshwise_core::{
    Protocol,
    internal::clock::instant,
    outcome::{Fault, FaultKind, Head, Rule},
};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::{
    task::coop,
    time::{Sleep, sleep_until},
};

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// Passes a response's body through, tells the guards how it ended, and breaks it off with a
    /// [`Refused`](crate::Refused) when its time is up.
    pub struct GuardedBody<B> {
        // `None` once it was broken off: what it holds is free at once.
        #[pin]
        inner: Option<B>,
        // Set when the body first makes its reader wait. Boxed, so that the body can be moved.
        sleep: Option<Pin<Box<Sleep>>>,
        watch: Watch,
    }
}

/// What is known of the call while its body flows.
#[derive(Debug)]
struct Watch {
    ticket: Ticket,
    /// The messages of a gRPC body, which becomes a stream when it goes on after the first.
    messages: Option<GrpcMessages>,
    until: Option<u64>,
    /// Since when the reader waits for the peer.
    pending_since: Option<u64>,
    /// Since when the reader does something else, if that time counts.
    reading_since: Option<u64>,
}

impl<B: Body> GuardedBody<B> {
    #[inline(always)]
    pub(super) fn new(inner: B, ticket: Ticket, protocol: Protocol, streams: bool) -> Self {
        let mut body = Self { inner: Some(inner), sleep: None, watch: Watch::new(ticket) };
        let watch = &mut body.watch;
        if body.inner.as_ref().is_some_and(B::is_end_stream) {
            watch.end(None);
        } else {
            if streams {
                watch.streams();
            } else if protocol == Protocol::Grpc {
                watch.messages = Some(GrpcMessages::default());
            }
            watch.until = watch.ticket.body_until();
        }
        body
    }
}

impl<B> GuardedBody<B> {
    /// Wraps a body whose call is not guarded.
    pub(super) fn unguarded(inner: B) -> Self {
        Self { inner: Some(inner), sleep: None, watch: Watch::new(Ticket::none()) }
    }
}

impl Watch {
    #[inline]
    const fn new(ticket: Ticket) -> Self {
        Self { ticket, messages: None, until: None, pending_since: None, reading_since: None }
    }

    /// Ends the call: its response is complete.
    #[inline]
    fn end(&mut self, trailers: Option<&HeaderMap>) {
        let ticket = &mut self.ticket;
        if let (true, Some(gate), Some(head)) = (ticket.is_open(), ticket.gate(), ticket.head) {
            if head.is_verdict() && head.is_success() {
                return ticket.well();
            }
            let end = gate.classifier.complete(gate.side, head, trailers, &ticket.limits);
            ticket.end(&end);
        }
    }

    /// The response streams: its head is the verdict, its permit is free, and only deadlines that
    /// were set on purpose still cut it.
    #[cold]
    fn streams(&mut self) {
        self.messages = None;
        self.ticket.head = self.ticket.head.map(Head::streaming);
        self.end(None);
        self.ticket.limits = self.ticket.limits.for_stream();
        self.until = self.ticket.body_until();
    }

    /// Ends the call: its body broke off.
    #[cold]
    fn failed<E: 'static>(&mut self, error: &E) {
        if let Some(gate) = self.ticket.gate() {
            let fault = gate.classifier.faults().of(error);
            self.ticket.failed(match fault.kind {
                FaultKind::Other => Fault::new(FaultKind::Body),
                _ => fault,
            });
        }
    }

    /// Breaks the body off: its time is up.
    #[cold]
    fn expired(&mut self, until: u64) -> Option<BoxError> {
        let ticket = &mut self.ticket;
        let gate = ticket.gate()?;
        // The peer is late only if the reader was waiting for it when the time ran out.
        let pending = self.pending_since.is_some_and(|since| since < until);
        let end = gate.classifier.expired(ticket.head, pending, &ticket.limits, clock::now());
        let refused = gate.refuse(Rule::TimedOut);
        ticket.end(&end);
        Some(refused.into())
    }

    /// The reader has a piece of the body, and takes its time with it.
    #[inline]
    fn handed_out(&mut self) {
        self.pending_since = None;
        if self.ticket.is_measured() {
            self.reading_since = Some(clock::exact());
        }
    }

    /// The reader is back for more.
    #[cold]
    fn back(&mut self, since: u64) {
        self.reading_since = None;
        self.ticket.take_off(clock::exact().saturating_sub(since));
    }
}

impl<B> Body for GuardedBody<B>
where
    B: Body,
    B::Error: Into<BoxError> + 'static,
{
    type Data = B::Data;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let watch = this.watch;
        if let Some(since) = watch.reading_since {
            watch.back(since);
        }
        let late = match end_on_panic(&mut watch.ticket, || inner.as_mut().poll_frame(cx)) {
            Poll::Ready(None) => {
                watch.end(None);
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => {
                watch.failed(&error);
                return Poll::Ready(Some(Err(error.into())));
            }
            Poll::Ready(Some(Ok(frame))) => {
                watch.handed_out();
                let over = inner.is_end_stream();
                if over || frame.is_trailers() {
                    watch.end(frame.trailers_ref());
                    watch.until = None;
                } else if let (Some(messages), Some(data)) = (&mut watch.messages, frame.data_ref())
                {
                    messages.data(data);
                }
                // A stream that always has more must not outrun its limit.
                match watch.until {
                    Some(until) if clock::coarse() >= until => until,
                    _ => return Poll::Ready(Some(Ok(frame))),
                }
            }
            Poll::Pending => {
                if watch.messages.is_some_and(|messages| messages.one) {
                    watch.streams();
                }
                let Some(until) = watch.until else { return Poll::Pending };
                watch.pending_since.get_or_insert_with(clock::exact);
                let timer = || Box::pin(sleep_until(instant(until).into()));
                let sleep = this.sleep.get_or_insert_with(timer);
                ready!(pin!(coop::unconstrained(sleep)).poll(cx));
                until
            }
        };
        let error = watch.expired(late);
        watch.until = None;
        this.inner.set(None);
        Poll::Ready(error.map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

impl<B: Default> Default for GuardedBody<B> {
    /// Wraps a default body; no call is guarded.
    fn default() -> Self {
        Self::unguarded(B::default())
    }
}

impl<B> fmt::Debug for GuardedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedBody")
            .field("until", &self.watch.until)
            .field("open", &self.watch.ticket.is_open())
            .finish_non_exhaustive()
    }
}
