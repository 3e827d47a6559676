//! The body that carries the ticket of a call to the end of the response; and responses that stream: a
//! body that may flow for hours and says nothing of the peer's health.

use super::{
    AllGuards, Plan, Timer,
    ticket::{Ticket, end_on_panic},
};
use crate::{clock, debug::debug, retry::Upload};
use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use meshwise_core::{Protocol, internal::messages::Framing};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    num::NonZeroU64,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
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
            if this.watch.is_over() {
                return;
            }
            this.watch.left();
            if let (Some(upload), Some(ticket)) = (&this.watch.upload, &mut this.watch.ticket) {
                let _shown = ticket.give_up_after(upload.load(Relaxed));
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
    messages: Option<Framing>,
    /// Since when the reader takes its time with a piece of the body; with the head, too, if a guard measures the call.
    read_since: Option<NonZeroU64>,
    /// The request's body, if that was being sent when the answer began: as long as it flows, so may the answer.
    upload: Option<Upload>,
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
        let (mut messages, mut read_since) = (None, None);
        if let Some(ticket) = ticket {
            if inner.is_end_stream() {
                ticket.complete(None);
            } else if streams {
                ticket.streams();
            } else {
                // The head of a gRPC call says nothing yet.
                let grpc = protocol == Protocol::Grpc;
                read_since = ticket.handed_out(!grpc);
                messages = grpc.then(Framing::default);
            }
        }
        let watch = Watch { ticket: ticket.take(), messages, read_since, upload };
        Self { inner: Some(inner), timer: Timer::default(), watch }
    }
}

impl<P: Plan> Watch<P> {
    /// Returns when the body is broken off; `u64::MAX` for never.
    fn until(&self) -> u64 {
        self.ticket.as_ref().map_or(u64::MAX, Ticket::body_until)
    }

    /// Ends the call: its response is complete, and not broken off any more.
    #[inline]
    fn complete(&mut self, trailers: Option<&HeaderMap>) {
        self.messages = None;
        if let Some(ticket) = &mut self.ticket {
            ticket.complete(trailers);
            ticket.limits = ticket.limits.past_end();
        }
    }

    /// The response streams: only deadlines that were set on purpose still cut it.
    fn streams(&mut self) {
        self.messages = None;
        self.ticket.iter_mut().for_each(Ticket::streams);
    }

    /// More of a gRPC answer may come, or its end. Until then no time is the peer's.
    fn may_stream(&mut self) {
        self.ticket.iter_mut().for_each(Ticket::may_stream);
        self.read_since = self.ticket.as_mut().and_then(|ticket| NonZeroU64::new(ticket.time()));
    }

    /// Its time is up: tells whether the time of this side, which is taken off, leaves it some.
    fn has_time(&mut self) -> bool {
        let (Some(upload), Some(ticket)) = (&self.upload, &mut self.ticket) else { return false };
        ticket.sent_body(upload.load(Relaxed))
    }

    #[inline(never)]
    fn failed<E: 'static>(&mut self, error: &E) {
        if let Some(ticket) = &mut self.ticket {
            let fault = ticket.gate.classifier.faults().of(error);
            ticket.failed(fault, false);
        }
    }

    /// The reader is back from what it did, or leaves.
    #[inline]
    fn back(&mut self) {
        if let (Some(since), Some(ticket)) = (self.read_since.take(), &mut self.ticket) {
            let nanos = ticket.time().saturating_sub(since.get());
            ticket.take_off(nanos);
            // What an upload takes, and how long an answer of one message, counts from when the call began.
            if self.upload.is_none() && !ticket.limits.is_stream() {
                ticket.limits = ticket.limits.sent_at(ticket.limits.began_at() + nanos);
            }
        }
    }

    /// Tells whether nothing is to be said when the reader leaves but what the ticket says.
    #[inline]
    const fn is_over(&self) -> bool {
        self.upload.is_none() && self.messages.is_none() && self.read_since.is_none()
    }

    #[inline(never)]
    fn left(&mut self) {
        self.back();
        if self.messages.is_some_and(|messages| messages.is_past_the_first()) {
            // Its reader wants no more of the stream, and the peer has done what it was asked for.
            self.streams();
        }
    }
}

impl<B: Body<Error: Into<BoxError> + 'static>, P: Plan> Body for GuardedBody<B, P> {
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
        watch.back();
        match end_on_panic(watch.ticket.as_mut(), || inner.as_mut().poll_frame(cx)) {
            Poll::Ready(None) => {
                watch.complete(None);
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => {
                watch.failed(&error);
                return Poll::Ready(Some(Err(error.into())));
            }
            Poll::Ready(Some(Ok(frame))) => {
                if inner.is_end_stream() || frame.is_trailers() {
                    watch.complete(frame.trailers_ref());
                    return Poll::Ready(Some(Ok(frame)));
                }
                if let (Some(messages), Some(data)) = (&mut watch.messages, frame.data_ref()) {
                    let more = messages.is_past_the_first() && data.has_remaining();
                    let (whole, _) = messages.frame(data);
                    let is_whole = messages.is_past_the_first();
                    if more || whole > 1 {
                        watch.streams();
                    } else if is_whole {
                        watch.ticket.iter_mut().for_each(Ticket::has_answer);
                    }
                }
                // A stream that always has more must not outrun its limit.
                let until = watch.until();
                if until == u64::MAX || clock::coarse() < until || watch.has_time() {
                    watch.read_since = watch.ticket.as_mut().and_then(Ticket::read_on);
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
            Poll::Pending => {
                if watch.messages.is_some_and(|messages| messages.is_past_the_first()) {
                    watch.may_stream();
                }
                loop {
                    // A guard around this one may break it off.
                    watch.ticket.iter_mut().for_each(Ticket::awaits);
                    let until = watch.until();
                    if until == u64::MAX {
                        return Poll::Pending;
                    }
                    ready!(this.timer.poll_limit(until, cx));
                    if !watch.has_time() {
                        break;
                    }
                    this.timer.clear();
                }
            }
        }
        let error = watch.ticket.as_mut().map(|ticket| ticket.expire().0.into());
        let _shown = watch.ticket.as_ref().map(|ticket| ticket.limits.enter_cut());
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
        let watch = Watch { ticket: None, messages: None, read_since: None, upload: None };
        Self { inner: Some(B::default()), timer: Timer::default(), watch }
    }
}

debug!("GuardedBody", [B, P: Plan] GuardedBody<B, P>, body: "ticket" = body.watch.ticket);
