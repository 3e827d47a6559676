//! What goes wrong, and what it is called.

use meshwise_core::ErrorType;
use std::error::Error as StdError;

/// Says why a call got no response, or its body broke off.
pub type Error = reqwest::Error;

/// Names reqwest's errors for telemetry; a rule for `ClientLayer::with_error_kind`.
#[must_use]
pub fn error_kind(error: &(dyn StdError + 'static)) -> Option<ErrorType> {
    let error = error.downcast_ref::<reqwest::Error>()?;
    // A connect that times out is both: that nobody was reached says more.
    if error.is_connect() {
        Some(ErrorType::CONNECT)
    } else if error.is_timeout() {
        Some(ErrorType::TIMEOUT)
    } else if error.is_body() || error.is_decode() {
        Some(ErrorType::BODY)
    } else if error.is_builder() {
        Some(ErrorType::REQUEST)
    } else {
        None
    }
}

/// Says why a request built by [`RequestBuilder`](crate::RequestBuilder) got no response; `E` is
/// the error of the client's service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E = Error> {
    /// The request was never sent: it is not valid.
    #[error("the request is not valid: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The call failed.
    #[error(transparent)]
    Call(E),
}
