//! What an error is called in `error.type`, and what it says.

use meshwise_core::{ErrorType, outcome::error_chain};
use std::{any::Any, error::Error, fmt::Display, io};

type BoxError = Box<dyn Error + Send + Sync>;

/// Describes an error for telemetry.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) error_type: ErrorType,
    pub(crate) message: String,
}

/// Knows how to look into errors.
///
/// A service's error type is only known to be `Display`, because the two kinds in use share no more:
/// concrete errors, and boxed ones (which do not implement `Error`). So errors are viewed through
/// `Any`, by the types that adapters have registered.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorKinds {
    views: Vec<View>,
    kinds: Vec<Kind>,
}

type View = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;
type Kind = fn(&(dyn Error + 'static)) -> Option<ErrorType>;

impl ErrorKinds {
    /// Registers an error type, so that its sources can be seen.
    pub(crate) fn view<E: Error + 'static>(&mut self) {
        self.views.push(|any| any.downcast_ref::<E>().map(|error| error as _));
    }

    /// Registers a rule that names kinds of error; it is asked for an error and each of its sources.
    pub(crate) fn kind(&mut self, kind: Kind) {
        self.kinds.push(kind);
    }

    /// Describes any error of a service or a body; one whose kind nobody knows is `fallback`.
    pub(crate) fn describe<E: Display + 'static>(
        &self,
        error: &E,
        fallback: ErrorType,
    ) -> Described {
        let any: &dyn Any = error;
        let boxed = any.downcast_ref::<BoxError>().map(|boxed| &**boxed as &(dyn Error + 'static));
        let io = || any.downcast_ref::<io::Error>().map(|error| error as &(dyn Error + 'static));
        match boxed.or_else(io).or_else(|| self.views.iter().find_map(|view| view(any))) {
            Some(error) => Described {
                error_type: self.error_type(error).unwrap_or(fallback),
                message: error_chain(error).into_owned(),
            },
            None => Described { error_type: fallback, message: error.to_string() },
        }
    }

    /// Looks through an error and its sources for one whose kind is known.
    fn error_type(&self, error: &(dyn Error + 'static)) -> Option<ErrorType> {
        let mut next = Some(error);
        while let Some(error) = next {
            let known = self.kinds.iter().find_map(|kind| kind(error)).or_else(|| io_kind(error));
            if known.is_some() {
                return known;
            }
            next = error.source();
        }
        None
    }
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<ErrorType> {
    match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::TimedOut => Some(ErrorType::TIMEOUT),
        io::ErrorKind::ConnectionRefused => Some(ErrorType::CONNECT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_concrete_type_is_seen_through_once_registered() {
        let mut kinds = ErrorKinds::default();
        assert_eq!(kinds.describe(&refused(), ErrorType::OTHER).error_type, ErrorType::OTHER);
        kinds.view::<Outer>();
        assert_eq!(kinds.describe(&refused(), ErrorType::OTHER).error_type, ErrorType::CONNECT);
        kinds.kind(|error| error.is::<Outer>().then_some(ErrorType::TIMEOUT));
        assert_eq!(kinds.describe(&refused(), ErrorType::OTHER).error_type, ErrorType::TIMEOUT);
    }
}
