//! What a time limit covers: the future alone, or the response's body too.

use super::{TimeoutBody, Until};
use http::{Request, Response};
use meshwise_core::Deadline;

/// Knows where a request keeps its deadline, and how far a time limit reaches into the response.
pub trait Covers<Req, Res>: Clone {
    /// The response as it is handed on.
    type Response;

    /// Tells whether the response's body is covered too: then the time counts from the call.
    fn body(&self) -> bool;

    /// Reads the deadline that the request carries.
    fn deadline(&self, request: &Req) -> Option<Deadline>;

    /// Writes the deadline into the request, for layers that can't see it otherwise.
    fn tell(&self, request: &mut Req, deadline: Deadline);

    /// Hands the response on, its body limited if it is covered.
    fn cover(&self, response: Res, until: Option<Until>) -> Self::Response;
}

/// Covers any service's future; the response is handed on as it is.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CoverAny {}

impl CoverAny {
    /// Creates it.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl<Req, Res> Covers<Req, Res> for CoverAny {
    type Response = Res;

    fn body(&self) -> bool {
        false
    }

    fn deadline(&self, _request: &Req) -> Option<Deadline> {
        None
    }

    fn tell(&self, _request: &mut Req, _deadline: Deadline) {}

    #[inline]
    fn cover(&self, response: Res, _until: Option<Until>) -> Res {
        response
    }
}

/// Covers HTTP calls, with their bodies or without; reads the [`Deadline`] in the request's
/// extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoverHttp {
    body: bool,
}

impl CoverHttp {
    /// Covers head and body.
    #[must_use]
    pub const fn whole() -> Self {
        Self { body: true }
    }

    /// Covers the time until the response's head: for responses that stream for hours.
    #[must_use]
    pub const fn head() -> Self {
        Self { body: false }
    }
}

impl<ReqBody, ResBody> Covers<Request<ReqBody>, Response<ResBody>> for CoverHttp {
    type Response = Response<TimeoutBody<ResBody>>;

    #[inline]
    fn body(&self) -> bool {
        self.body
    }

    fn deadline(&self, request: &Request<ReqBody>) -> Option<Deadline> {
        request.extensions().get().copied()
    }

    fn tell(&self, request: &mut Request<ReqBody>, deadline: Deadline) {
        request.extensions_mut().insert(deadline);
    }

    #[inline]
    fn cover(&self, response: Response<ResBody>, until: Option<Until>) -> Self::Response {
        response.map(|body| TimeoutBody::new(body, until.filter(|_| self.body)))
    }
}
