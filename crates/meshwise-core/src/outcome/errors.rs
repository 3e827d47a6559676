//! What an error is called in `error.type`, and what it says.

use super::{ErrorType, Refused, error_chain};
use std::{any::Any, error::Error, fmt::Display, io};

type BoxError = Box<dyn Error + Send + Sync>;

/// Describes an error for telemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// What stands in `error.type`.
    pub error_type: ErrorType,
    /// What the error and its sources say, in one line.
    pub message: String,
}

/// Knows how to look into errors, and what their kinds are called.
///
/// A service's error type is only known to be `Display`, because the two kinds in use share no more:
/// concrete errors, and boxed ones (which do not implement `Error`). So errors are viewed through
/// `Any`, by the types that adapters have registered. [`Refused`], [`io::Error`] and boxed errors
/// are known from the start.
///
/// ```
/// use meshwise_core::{ErrorType, outcome::ErrorKinds};
/// let kinds = ErrorKinds::default();
/// let error: Box<dyn std::error::Error + Send + Sync> =
///     Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
/// assert_eq!(kinds.error_type(&error), Some(ErrorType::CONNECT));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ErrorKinds {
    views: Vec<View>,
    kinds: Vec<Kind>,
}

type View = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;
type Kind = fn(&(dyn Error + 'static)) -> Option<ErrorType>;

impl ErrorKinds {
    /// Registers an error type, so that its sources can be seen.
    pub fn view<E: Error + 'static>(&mut self) {
        self.views.push(view::<E>);
    }

    /// Registers a rule that names kinds of error; it is asked for an error and each of its sources.
    pub fn kind(&mut self, kind: Kind) {
        self.kinds.push(kind);
    }

    /// Names an error's kind, if anybody knows it.
    pub fn error_type<E: 'static>(&self, error: &E) -> Option<ErrorType> {
        self.look(error).and_then(|error| self.name(error))
    }

    /// Finds out whether a guard refused the call instead of making it, however deep that lies.
    pub fn refused<'a, E: 'static>(&self, error: &'a E) -> Option<&'a Refused> {
        let mut next = self.look(error);
        while let Some(error) = next {
            if let Some(refused) = error.downcast_ref() {
                return Some(refused);
            }
            next = error.source();
        }
        None
    }

    /// Describes any error of a service or a body; one whose kind nobody knows is `fallback`.
    pub fn describe<E: Display + 'static>(&self, error: &E, fallback: ErrorType) -> Described {
        match self.look(error) {
            Some(error) => Described {
                error_type: self.name(error).unwrap_or(fallback),
                message: error_chain(error).into_owned(),
            },
            None => Described { error_type: fallback, message: error.to_string() },
        }
    }

    /// Sees an error as one, if its type is registered.
    fn look<'a, E: 'static>(&self, error: &'a E) -> Option<&'a (dyn Error + 'static)> {
        let any: &'a dyn Any = error;
        let boxed = any.downcast_ref::<BoxError>().map(|boxed| &**boxed as &(dyn Error + 'static));
        let plain = || view::<io::Error>(any).or_else(|| view::<Refused>(any));
        boxed.or_else(plain).or_else(|| self.views.iter().find_map(|view| view(any)))
    }

    /// Looks through an error and its sources for one whose kind is known.
    fn name(&self, error: &(dyn Error + 'static)) -> Option<ErrorType> {
        let mut next = Some(error);
        while let Some(error) = next {
            let known = self.kinds.iter().find_map(|kind| kind(error)).or_else(|| own_kind(error));
            if known.is_some() {
                return known;
            }
            next = error.source();
        }
        None
    }
}

fn view<E: Error + 'static>(any: &dyn Any) -> Option<&(dyn Error + 'static)> {
    any.downcast_ref::<E>().map(|error| error as _)
}

fn own_kind(error: &(dyn Error + 'static)) -> Option<ErrorType> {
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return Some(refused.rule().error_type());
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::TimedOut => Some(ErrorType::TIMEOUT),
        io::ErrorKind::ConnectionRefused => Some(ErrorType::CONNECT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Rule;

    #[derive(Debug, thiserror::Error)]
    #[error("could not send")]
    struct Outer(#[source] io::Error);

    fn refused() -> Outer {
        Outer(io::Error::new(io::ErrorKind::ConnectionRefused, "refused"))
    }

    #[test]
    fn kinds_are_found_through_boxes_and_sources() {
        let kinds = ErrorKinds::default();
        let boxed: BoxError = Box::new(refused());
        let described = kinds.describe(&boxed, ErrorType::OTHER);
        assert_eq!(described.error_type, ErrorType::CONNECT);
        assert_eq!(described.message, "could not send: refused");
    }

    #[test]
    fn a_refusal_is_found_wherever_it_lies() {
        #[derive(Debug, thiserror::Error)]
        #[error("call failed")]
        struct Wrapped(#[source] Refused);

        let refused = || Refused::new(Rule::BulkheadFull, "stock");
        let mut kinds = ErrorKinds::default();
        let boxed: BoxError = Box::new(Wrapped(refused()));
        assert_eq!(kinds.error_type(&refused()), Some(ErrorType::BULKHEAD_FULL));
        assert_eq!(kinds.error_type(&boxed), Some(ErrorType::BULKHEAD_FULL));
        assert_eq!(kinds.refused(&boxed).map(Refused::rule), Some(Rule::BulkheadFull));
        assert!(kinds.refused(&Wrapped(refused())).is_none(), "not registered");
        kinds.view::<Wrapped>();
        assert!(kinds.refused(&Wrapped(refused())).is_some());
        assert!(kinds.refused(&io::Error::other("no")).is_none());
    }

    #[test]
    fn a_concrete_type_is_seen_through_once_registered() {
        let mut kinds = ErrorKinds::default();
        assert_eq!(kinds.describe(&refused(), ErrorType::OTHER).error_type, ErrorType::OTHER);
        kinds.view::<Outer>();
        assert_eq!(kinds.describe(&refused(), ErrorType::OTHER).error_type, ErrorType::CONNECT);
        kinds.kind(|error| error.is::<Outer>().then_some(ErrorType::TIMEOUT));
        assert_eq!(kinds.describe(&refused(), ErrorType::OTHER).error_type, ErrorType::TIMEOUT);
    }
}
