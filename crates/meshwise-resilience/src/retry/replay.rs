//! A request's body that is kept while it flows, to be sent again.

use crate::{
    clock,
    debug::debug,
    sync::{Mutex, lock},
};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    error::Error,
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Tells how far the body of a request has got whose answer has begun: since when it is the peer's turn, or
/// [`WAITS`].
pub(crate) type Upload = Arc<AtomicU64>;

/// Of a body that waits for this side to make more of it.
pub(crate) const WAITS: u64 = u64::MAX;

/// Passes a request's body on, and keeps it for another attempt.
///
/// A body that lies ready as a whole (an empty one, or a single piece of bytes) is copied by
/// reference. Of a stream, all attempts share the source and what has come out of it: the next
/// attempt begins with what is kept and goes on where the last one stopped. From then on the last
/// one's body fails, should anyone still read it.
pub struct ReplayBody<B>(Replayed<B>);

enum Replayed<B> {
    /// All that there is still to be sent.
    Whole(Bytes),
    Stream(Reader<B>),
}

/// Reads a shared stream from its beginning.
struct Reader<B> {
    flow: Arc<Mutex<Flow<B>>>,
    /// Which attempt this is.
    turn: u32,
    /// How many of the kept pieces it has sent; with the trailers it is at its [`END`].
    at: u32,
}

const END: u32 = u32::MAX;

/// A stream, and what has come out of it.
pub(super) struct Flow<B> {
    source: B,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    trailers: Option<HeaderMap>,
    /// What went wrong when it was looked at, to be told to the reader so far.
    failed: Option<BoxError>,
    /// How many bytes may be kept.
    limit: usize,
    state: FlowState,
    /// Whose turn it is to read.
    turn: u32,
    /// Who waits for the source.
    waker: Option<Waker>,
    /// Whether the source is waited for, or since when it is not.
    sent: u64,
    /// Who wants to know that from here on.
    upload: Option<Upload>,
    /// It has said that there is no more.
    over: bool,
}

/// A body that lies ready as a whole is looked at up to this length, where nothing is kept.
const LOOK: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum FlowState {
    /// All that came out so far is kept.
    Keeping,
    /// Some of it is gone: it cannot be sent again.
    Gone,
    /// All that came out is kept, and there is no more.
    Ended,
}

/// What is kept of a body.
pub(super) enum KeptBody<B> {
    Whole(Bytes),
    Stream(Arc<Mutex<Flow<B>>>),
}

impl<B> KeptBody<B> {
    pub(super) const EMPTY: Self = Self::Whole(Bytes::new());
}

impl<B: Body<Error: Into<BoxError>> + Unpin> ReplayBody<B> {
    /// Keeps a body of up to `limit` bytes, that of a call which must not be made twice, too: the
    /// peer may say that it never saw it (`REFUSED_STREAM`), after some of it was sent. Without a
    /// limit nothing is kept, and a stream is followed only.
    #[inline(always)]
    pub(super) fn keep(body: B, limit: Option<u32>) -> (Self, KeptBody<B>) {
        if body.is_end_stream() {
            return (Self::default(), KeptBody::EMPTY);
        }
        Self::keep_some(body, limit.map(|limit| limit as usize))
    }

    #[inline(never)]
    fn keep_some(source: B, limit: Option<usize>) -> (Self, KeptBody<B>) {
        let whole = |bytes: Bytes| (Self(Replayed::Whole(bytes.clone())), KeptBody::Whole(bytes));
        let mut flow = Flow {
            source,
            kept: Vec::new(),
            kept_bytes: 0,
            trailers: None,
            failed: None,
            limit: limit.unwrap_or_default(),
            state: FlowState::Keeping,
            turn: 0,
            waker: None,
            sent: 0,
            upload: None,
            over: false,
        };
        // One that says it is no longer than that may lie ready in one piece. It is polled once, without
        // anyone to wake: the next poll brings a waker.
        let length = flow.source.size_hint().exact();
        if length.is_some_and(|length| length <= limit.unwrap_or(LOOK) as u64) {
            let mut cx = Context::from_waker(Waker::noop());
            match Pin::new(&mut flow.source).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(mut data) => {
                        let piece = data.copy_to_bytes(data.remaining());
                        if flow.source.is_end_stream() {
                            return whole(piece);
                        }
                        flow.kept_bytes = piece.len();
                        flow.kept.push(piece);
                    }
                    Err(frame) => {
                        flow.trailers = frame.into_trailers().ok();
                        flow.state = FlowState::Ended;
                    }
                },
                Poll::Ready(Some(Err(error))) => {
                    flow.failed = Some(error.into());
                    flow.state = FlowState::Gone;
                }
                Poll::Ready(None) => return whole(Bytes::new()),
                Poll::Pending => {}
            }
        }
        let flow = Arc::new(Mutex::new(flow));
        let reader = Reader { flow: Arc::clone(&flow), turn: 0, at: 0 };
        (Self(Replayed::Stream(reader)), KeptBody::Stream(flow))
    }
}

impl<B> KeptBody<B> {
    /// Returns how far the body has got, if it is a stream.
    #[inline]
    pub(super) fn sent(&self) -> Option<u64> {
        match self {
            Self::Whole(_) => None,
            Self::Stream(flow) => Some(lock(flow).sent),
        }
    }

    /// Follows the body, if it is a stream that is being sent.
    #[inline]
    pub(super) fn upload(&self) -> Option<Upload> {
        let Self::Stream(flow) = self else { return None };
        Self::follow(flow)
    }

    #[inline(never)]
    fn follow(flow: &Arc<Mutex<Flow<B>>>) -> Option<Upload> {
        // Otherwise no one reads it any more.
        let is_read = Arc::strong_count(flow) > 1;
        let mut flow = lock(flow);
        if !is_read || flow.over {
            return None;
        }
        let upload = Upload::new(AtomicU64::new(flow.sent));
        flow.upload = Some(Upload::clone(&upload));
        Some(upload)
    }

    pub(super) fn again(&mut self) -> Option<ReplayBody<B>> {
        let flow = match self {
            Self::Whole(bytes) => return Some(ReplayBody(Replayed::Whole(bytes.clone()))),
            Self::Stream(flow) => flow,
        };
        let mut state = lock(flow);
        if state.state == FlowState::Gone {
            return None;
        }
        state.turn = state.turn.wrapping_add(1);
        let turn = state.turn;
        // A reader that still reads for the last attempt learns that there is nothing more to come.
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(ReplayBody(Replayed::Stream(Reader { flow: Arc::clone(flow), turn, at: 0 })))
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Reader<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Held while the source is polled. No one else waits for it, unless the call is being tried
        // again at this moment.
        let mut flow = lock(&self.flow);
        let flow = &mut *flow;
        if flow.turn != self.turn {
            return Poll::Ready(Some(Err(Superseded.into())));
        }
        if let Some(piece) = flow.kept.get(self.at as usize) {
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        if flow.state == FlowState::Ended {
            let trailers = mem::replace(&mut self.at, END) < END;
            let trailers = flow.trailers.as_ref().filter(|_| trailers);
            return Poll::Ready(trailers.cloned().map(Frame::trailers).map(Ok));
        }
        if let Some(error) = flow.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        // Once the call has its answer no one will try again: no need to keep any more.
        if flow.state == FlowState::Keeping && Arc::strong_count(&self.flow) == 1 {
            flow.forget();
        }
        let Poll::Ready(frame) = Pin::new(&mut flow.source).poll_frame(cx) else {
            flow.set_sent(WAITS);
            if flow.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                flow.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        flow.set_sent(clock::coarse());
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(flow.pass(frame, &mut self.at))),
            Some(Err(error)) => {
                flow.over = true;
                flow.forget();
                Some(Err(error.into()))
            }
            None => {
                flow.over = true;
                if flow.state == FlowState::Keeping {
                    flow.state = FlowState::Ended;
                    self.at = END;
                }
                None
            }
        })
    }
}

impl<B> Drop for Reader<B> {
    fn drop(&mut self) {
        let mut flow = lock(&self.flow);
        // No one waits for the source any more: what is left of the call is up to the peer.
        if flow.turn == self.turn && flow.sent == WAITS {
            flow.set_sent(clock::coarse());
        }
    }
}

impl<B> Flow<B> {
    fn set_sent(&mut self, sent: u64) {
        self.sent = sent;
        if let Some(upload) = &self.upload {
            upload.store(sent, Relaxed);
        }
    }

    fn forget(&mut self) {
        self.state = FlowState::Gone;
        self.kept = Vec::new();
    }
}

impl<B: Body> Flow<B> {
    /// Passes a fresh piece on, and keeps it if there is room.
    fn pass(&mut self, frame: Frame<B::Data>, at: &mut u32) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) => {
                let piece = data.copy_to_bytes(data.remaining());
                if self.state == FlowState::Keeping {
                    self.kept_bytes = self.kept_bytes.saturating_add(piece.len());
                    if self.kept_bytes > self.limit || *at == END - 1 {
                        self.forget();
                    } else {
                        self.kept.push(piece.clone());
                        *at += 1;
                    }
                }
                Frame::data(piece)
            }
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                if self.state == FlowState::Keeping {
                    self.state = FlowState::Ended;
                    self.trailers = Some(trailers.clone());
                    *at = END;
                }
                Frame::trailers(trailers)
            }
        }
    }
}

/// Says that a request's body goes with another attempt now.
#[derive(Debug, thiserror::Error)]
#[error("the request's body is being sent with another attempt")]
struct Superseded;

impl<B: Body<Error: Into<BoxError>> + Unpin> Body for ReplayBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Replayed::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Replayed::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Replayed::Stream(reader) => reader.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Replayed::Whole(bytes) => bytes.is_empty(),
            Replayed::Stream(reader) => {
                let flow = lock(&reader.flow);
                if flow.turn != reader.turn || (reader.at as usize) < flow.kept.len() {
                    return false;
                }
                match flow.state {
                    FlowState::Ended => reader.at == END || flow.trailers.is_none(),
                    FlowState::Keeping | FlowState::Gone => flow.source.is_end_stream(),
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Replayed::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Replayed::Stream(reader) => {
                let flow = lock(&reader.flow);
                if flow.turn != reader.turn {
                    return SizeHint::default();
                }
                let kept = flow.kept.get(reader.at as usize..).unwrap_or_default();
                let kept: u64 = kept.iter().map(|piece| piece.len() as u64).sum();
                let mut hint = match flow.state {
                    FlowState::Ended => SizeHint::with_exact(0),
                    FlowState::Keeping | FlowState::Gone => flow.source.size_hint(),
                };
                if let Some(upper) = hint.upper() {
                    hint.set_upper(kept.saturating_add(upper));
                }
                hint.set_lower(kept.saturating_add(hint.lower()));
                hint
            }
        }
    }
}

impl<B> Default for ReplayBody<B> {
    /// Makes an empty body.
    fn default() -> Self {
        Self(Replayed::Whole(Bytes::new()))
    }
}

debug!("ReplayBody", [B] ReplayBody<B>);

#[cfg(test)]
mod tests;
