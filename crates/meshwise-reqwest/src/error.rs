//! What goes wrong, and what it means.

use hyper_util::client::legacy::Error as PoolError;
use meshwise_core::{
    internal::error_sources,
    outcome::{Fault, FaultKind, Phase},
};
use meshwise_http::hyper_fault;
use std::error::Error as StdError;

/// Says why a call got no response, or its body broke off.
pub type Error = reqwest::Error;

/// Translates the errors of reqwest and of what it is built on; `None` for every other, and for what
/// only an error below it can tell. A rule for `Classifier::with_fault` and the layers' `with_fault`.
///
/// | error | fault |
/// |---|---|
/// | no connection: DNS, refused, TLS, a connect timeout | connect, not sent |
/// | the request cannot be sent as it is: its URL, its version | request |
/// | the request's own body failed | request body |
/// | the time of the whole exchange, or a read timeout, is over | timeout |
/// | the response's body cannot be read or decoded | body |
/// | a connection that broke, and the rest | see [`hyper_fault`] |
#[must_use]
pub fn fault(error: &(dyn StdError + 'static)) -> Option<Fault> {
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return of_reqwest(error);
    }
    if let Some(error) = error.downcast_ref::<PoolError>() {
        return of_pool(error);
    }
    hyper_fault(error)
}

fn of_reqwest(error: &reqwest::Error) -> Option<Fault> {
    // What the source of the request's own body met stands below it, and says nothing of the peer.
    let own = below(error).find(|error| error.is::<hyper::Error>()).and_then(hyper_fault);
    if let Some(own) = own.filter(|fault| fault.kind == FaultKind::RequestBody) {
        return Some(own);
    }
    // A connect that times out is both: that no one was reached says more.
    if error.is_connect() {
        return Some(Fault::new(FaultKind::Connect));
    }
    if error.is_builder() {
        return Some(Fault::new(FaultKind::Request));
    }
    // hyper's own timer is that of a keep-alive ping: such a connection is broken.
    if error.is_timeout() && !pinged_in_vain(error) {
        return Some(Fault::new(FaultKind::Timeout));
    }
    if error.is_body() || error.is_decode() {
        return Some(Fault::new(FaultKind::Body).with_phase(Phase::Body));
    }
    None
}

fn pinged_in_vain(error: &reqwest::Error) -> bool {
    below(error).any(|error| error.downcast_ref().is_some_and(hyper::Error::is_timeout))
}

fn below(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    error_sources(error).skip(1)
}

fn of_pool(error: &PoolError) -> Option<Fault> {
    if error.is_connect() {
        return Some(Fault::new(FaultKind::Connect));
    }
    // What has no cause was refused before a connection was looked for: the version, the method.
    error.source().is_none().then(|| Fault::new(FaultKind::Request))
}

/// Says why a request built by [`RequestBuilder`](crate::request::RequestBuilder) got no response; `E` is
/// the error of the client's service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E = Error> {
    /// The request was never sent: it is not valid.
    #[error("the request is not valid: {reason}")]
    Invalid {
        /// What is wrong with it.
        #[doc(hidden)]
        reason: String,
    },
    /// The call failed.
    #[error(transparent)]
    Call(E),
}
