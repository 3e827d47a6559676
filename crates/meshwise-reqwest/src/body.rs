//! Any body as one that reqwest takes.

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use sync_wrapper::SyncWrapper;

/// Makes a body `Sync`, as reqwest demands, without a lock: only the task that polls it looks at it.
///
/// What can be asked of a body by shared reference is kept beside it.
pub(crate) struct SyncBody<B> {
    inner: SyncWrapper<Pin<Box<B>>>,
    hint: SizeHint,
    ended: bool,
}

impl<B: Body> SyncBody<B> {
    pub(crate) fn new(body: B) -> Self {
        Self {
            hint: body.size_hint(),
            ended: body.is_end_stream(),
            inner: SyncWrapper::new(Box::pin(body)),
        }
    }
}

impl<B: Body> Body for SyncBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let inner = self.inner.get_mut();
        let frame = ready!(inner.as_mut().poll_frame(cx));
        let (hint, ended) = (inner.size_hint(), inner.is_end_stream());
        self.hint = hint;
        self.ended = ended;
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
