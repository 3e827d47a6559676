//! The body of a response that may be the handler's or our own.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// Holds the inner service's body, untouched, or the reason why the call was refused.
    pub struct ApiBody<B> {
        #[pin]
        kind: ApiBodyKind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum ApiBodyKind<B> {
        Inner { #[pin] body: B },
        // Taken when it was sent.
        Own { bytes: Option<Bytes> },
    }
}

impl<B> ApiBody<B> {
    pub(super) const fn inner(body: B) -> Self {
        Self { kind: ApiBodyKind::Inner { body } }
    }

    /// Holds a body of our own; none if there are no bytes.
    pub(super) fn own(bytes: Bytes) -> Self {
        Self { kind: ApiBodyKind::Own { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()) } }
    }
}

impl<B: Body> Body for ApiBody<B>
where
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body } => body.poll_frame(cx),
            KindProjection::Own { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            ApiBodyKind::Inner { body } => body.is_end_stream(),
            ApiBodyKind::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            ApiBodyKind::Inner { body } => body.size_hint(),
            ApiBodyKind::Own { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

impl<B: Default> Default for ApiBody<B> {
    fn default() -> Self {
        Self::inner(B::default())
    }
}

impl<B> fmt::Debug for ApiBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ApiBodyKind::Inner { .. } => "ApiBody::Inner",
            ApiBodyKind::Own { .. } => "ApiBody::Own",
        })
    }
}
