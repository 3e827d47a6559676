//! A reason in words, or an error of any type.

use std::{error::Error, fmt};

/// Says why a message was not taken: in words where no error does, or by an error whose type is no
/// [`Error`] itself (a boxed one, `anyhow`'s), with all its sources.
///
/// ```
/// use meshwise_messaging::Reason;
/// assert_eq!(Reason::new("a message without an id").to_string(), "a message without an id");
///
/// let boxed: Box<dyn std::error::Error + Send + Sync> = "from far below".into();
/// assert_eq!(Reason::new(boxed).to_string(), "from far below");
/// ```
#[derive(Debug)]
pub struct Reason(Box<dyn Error + Send + Sync>);

impl Reason {
    /// Takes words, or an error.
    #[must_use]
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Reason {
    /// Returns the error itself: it says the same once more, and is known by its type.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
