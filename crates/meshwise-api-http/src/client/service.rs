//! The service that calls a peer's APIs.

use super::{
    future::ApiClientFuture,
    shared::ClientShared,
    undeclared::{Undeclared, UndeclaredCall},
};
use http::{Request, Response};
use meshwise_core::ApiVersion;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// Watches the calls that `S` makes to a peer's APIs. Made by
/// [`ApiClientLayer`](super::ApiClientLayer).
#[derive(Clone, Debug)]
pub struct ApiClientService<S> {
    inner: S,
    shared: Arc<ClientShared>,
}

impl<S> ApiClientService<S> {
    pub(super) fn new(inner: S, shared: Arc<ClientShared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ApiClientService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: From<UndeclaredCall>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ApiClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // A refused call leaves the inner service ready and unused: whatever it has reserved serves
        // the next call, or goes with this clone.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let ClientShared { targets, notices, undeclared, service, .. } = &*self.shared;
        let target = targets.find(&request);
        let place = notices.place(targets, target);
        let entry = notices.entry(place);
        if notices.call(entry, service) && *undeclared == Undeclared::Refuse {
            let peer = Arc::clone(targets.peer());
            return ApiClientFuture::refuse(UndeclaredCall { peer, api: target.api.into() });
        }
        // What stands for all beyond the bounds is no version that anyone asks for.
        let version = match place.is_known() {
            true => entry.version.clone(),
            false => target.version.map(Into::into),
        };
        if let Some(version) = version
            && request.extensions().get::<ApiVersion>().is_none()
        {
            request.extensions_mut().insert(ApiVersion(version));
        }
        ApiClientFuture::call(self.inner.call(request), Arc::clone(&self.shared), place)
    }
}
