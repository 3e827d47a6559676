//! The body that carries the ticket of a call to the end of the response; and responses that stream: a
//! body that may flow for hours and says nothing of the peer's health.

use super::{
    AllGuards, Plan, Timer,
    ticket::{Ticket, end_on_panic},
};
use crate::{clock, debug::debug, retry::Upload};
use bytes::Buf;
use http::{HeaderMap, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use meshwise_core::{
    Protocol,
    internal::{is_event_stream, messages::Messages},
    outcome::{Fault, FaultKind, Rule},
};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// Passes a response's body through, tells the guards how it ended, and breaks it off with a
    /// [`Refused`](crate::Refused) when its time is up.
    pub struct GuardedBody<B, P: Plan = AllGuards> {
        // `None` once it was broken off: what it holds is free at once.
        #[pin]
        inner: Option<B>,
        // Set when the body first makes its reader wait.
        timer: Timer,
        watch: Watch<P>,
    }

    impl<B, P: Plan> PinnedDrop for GuardedBody<B, P> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let (Some(upload), Some(ticket)) = (&this.watch.upload, &mut this.watch.ticket) {
                let _shown = ticket.give_up_after(upload.sent());
                this.inner.set(None);
            }
        }
    }
}

/// What is known of the call while its body flows.
struct Watch<P: Plan> {
    /// `None` if the call is not guarded.
    ticket: Option<Ticket<P>>,
    /// The messages of a gRPC body, which becomes a stream when it goes on after the first.
    messages: Option<Messages>,
    /// When it is broken off; `u64::MAX` for never.
    until: u64,
    since: Since,
    /// The request's body, if that was being sent when the answer began: as long as it flows, so may the answer.
    upload: Option<Upload>,
}

/// What the time goes into, and since when.
#[derive(Clone, Copy, Debug)]
enum Since {
    Unknown,
    /// The reader waits for the peer.
    Waiting(u64),
    /// The reader does something else, and that time counts.
    Reading(u64),
}

impl Since {
    /// The reader has the head or a piece of the body, and takes its time with it. `flows` says that this tells
    /// that all is well so far.
    #[inline]
    fn handed_out<P: Plan>(ticket: &mut Ticket<P>, flows: bool) -> Self {
        if !ticket.is_measured() {
            return Self::Unknown;
        }
        if flows {
            ticket.flows();
        }
        Self::Reading(clock::exact())
    }
}

impl<B: Body, P: Plan> GuardedBody<B, P> {
    /// Wraps the body of a response; the ticket is taken to its end.
    // All is decided before it is made: afterwards it would have to be moved.
    #[inline(always)]
    pub(super) fn new(
        inner: B,
        ticket: &mut Option<Ticket<P>>,
        protocol: Protocol,
        streams: bool,
        upload: Option<Upload>,
    ) -> Self {
        let (mut messages, mut until, mut since) = (None, u64::MAX, Since::Unknown);
        if let Some(ticket) = ticket {
            if inner.is_end_stream() {
                ticket.complete(None);
            } else if streams {
                ticket.streams();
            } else {
                // The head of a gRPC call says nothing yet.
                let grpc = protocol == Protocol::Grpc;
                since = Since::handed_out(ticket, !grpc);
                if grpc {
                    messages = Some(Messages::default());
                }
            }
            until = ticket.body_until();
        }
        let watch = Watch { ticket: ticket.take(), messages, until, since, upload };
        Self { inner: Some(inner), timer: Timer::default(), watch }
    }
}

impl<P: Plan> Watch<P> {
    /// Ends the call: its response is complete.
    #[inline]
    fn complete(&mut self, trailers: Option<&HeaderMap>) {
        self.messages = None;
        if let Some(ticket) = &mut self.ticket {
            ticket.complete(trailers);
        }
    }

    /// The response streams: only deadlines that were set on purpose still cut it.
    fn streams(&mut self) {
        self.messages = None;
        if let Some(ticket) = &mut self.ticket {
            ticket.streams();
            self.until = ticket.body_until();
        }
    }

    /// Its time is up: tells whether the time of this side, which is taken off, leaves it some.
    fn has_time(&mut self) -> bool {
        let (Some(upload), Some(ticket)) = (&self.upload, &mut self.ticket) else { return false };
        let left = ticket.sent_body(upload.sent());
        self.until = ticket.body_until();
        left
    }

    #[cold]
    fn failed<E: 'static>(&mut self, error: &E) {
        if let Some(ticket) = &mut self.ticket {
            let fault = ticket.gate.classifier.faults().of(error);
            ticket.failed(
                match fault.kind {
                    FaultKind::Other => Fault::new(FaultKind::Body),
                    _ => fault,
                },
                false,
            );
        }
    }

    /// Breaks the body off: its time is up.
    fn expired(&mut self, until: u64) -> Option<BoxError> {
        let ticket = self.ticket.as_mut()?;
        let gate = &ticket.gate;
        // The peer is late only if the reader was waiting for it when the time ran out.
        let pending = matches!(self.since, Since::Waiting(since) if since < until);
        let end = gate.classifier.expired(ticket.head, pending, &ticket.limits, clock::now());
        let refused = gate.refuse(Rule::TimedOut);
        ticket.end(&end);
        Some(refused.into())
    }

    /// The reader is back from what it did since then, or leaves.
    fn back(&mut self, since: u64) {
        self.since = Since::Unknown;
        if let Some(ticket) = &mut self.ticket {
            ticket.take_off(clock::exact().saturating_sub(since));
        }
    }
}

impl<P: Plan> Drop for Watch<P> {
    #[inline]
    fn drop(&mut self) {
        match (self.since, &mut self.ticket) {
            (Since::Reading(since), _) => self.back(since),
            (Since::Waiting(since), Some(ticket)) => ticket.awaited(since),
            _ => {}
        }
        if self.messages.is_some_and(|messages| messages.are_past_the_first()) {
            // Its reader wants no more of the stream, and the peer has done what it was asked for.
            self.streams();
        }
    }
}

impl<B, P> Body for GuardedBody<B, P>
where
    B: Body,
    P: Plan,
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
        if let Since::Reading(since) = watch.since {
            watch.back(since);
        }
        let ticket = watch.ticket.as_mut();
        let late = match end_on_panic(ticket, || inner.as_mut().poll_frame(cx)) {
            Poll::Ready(None) => {
                watch.complete(None);
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => {
                watch.failed(&error);
                return Poll::Ready(Some(Err(error.into())));
            }
            Poll::Ready(Some(Ok(frame))) => {
                let over = inner.is_end_stream();
                if over || frame.is_trailers() {
                    watch.complete(frame.trailers_ref());
                    watch.until = u64::MAX;
                } else if let (Some(messages), Some(data)) = (&mut watch.messages, frame.data_ref())
                {
                    let more = messages.are_past_the_first() && data.has_remaining();
                    messages.frame(data);
                    if more || messages.count > 1 {
                        watch.streams();
                    }
                }
                let handed_out = |ticket| Since::handed_out(ticket, true);
                watch.since = watch.ticket.as_mut().map_or(Since::Unknown, handed_out);
                // A stream that always has more must not outrun its limit.
                if watch.until == u64::MAX || clock::coarse() < watch.until || watch.has_time() {
                    return Poll::Ready(Some(Ok(frame)));
                }
                watch.until
            }
            Poll::Pending => {
                if watch.messages.is_some_and(|messages| messages.are_past_the_first()) {
                    watch.streams();
                }
                // A guard around this one may break it off.
                let limited = |ticket: &Ticket<P>| ticket.limits.body_ends() != u64::MAX;
                if let Since::Unknown = watch.since
                    && watch.ticket.as_ref().is_some_and(limited)
                {
                    watch.since = Since::Waiting(clock::exact());
                }
                loop {
                    let until = watch.until;
                    if until == u64::MAX {
                        return Poll::Pending;
                    }
                    ready!(this.timer.poll(until, cx));
                    if !watch.has_time() {
                        break until;
                    }
                    this.timer.clear();
                }
            }
        };
        let error = watch.expired(late);
        watch.until = u64::MAX;
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

impl<B: Default, P: Plan> Default for GuardedBody<B, P> {
    /// Wraps a default body; no call is guarded.
    fn default() -> Self {
        let (until, since) = (u64::MAX, Since::Unknown);
        let watch = Watch { ticket: None, messages: None, until, since, upload: None };
        Self { inner: Some(B::default()), timer: Timer::default(), watch }
    }
}

debug!("GuardedBody", [B, P: Plan] GuardedBody<B, P>, body: "ticket" = body.watch.ticket);

/// Tells whether a response streams by what its head says: server-sent events, and connections that
/// become another protocol's.
#[inline]
pub(super) fn by_head(protocol: Protocol, status: StatusCode, headers: &HeaderMap) -> bool {
    if protocol == Protocol::Grpc {
        return false;
    }
    status == StatusCode::SWITCHING_PROTOCOLS
        || (!headers.is_empty() && is_event_stream(headers.get(header::CONTENT_TYPE)))
}
