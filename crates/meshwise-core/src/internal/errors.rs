//! An error and its sources.

use std::{error::Error, iter};

/// Returns an error and its sources, the first 32: a chain that leads back into itself must hold no one up.
pub fn error_sources<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source()).take(32)
}

/// Joins an error and its [sources](error_sources) into one line, `outer: inner: innermost`.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in error_sources(error).skip(1) {
        let cause = cause.to_string();
        // Many errors print their source already; say it once.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Self>>);

    #[test]
    fn a_chain_of_errors_says_each_once() {
        let chain = |texts: &[&'static str]| {
            let inner =
                texts.iter().rev().fold(None, |inner, text| Some(Box::new(Layer(text, inner))));
            error_chain(inner.as_deref().unwrap())
        };
        assert_eq!(chain(&["refused"]), "refused");
        assert_eq!(chain(&["call", "connect", "refused"]), "call: connect: refused");
        assert_eq!(chain(&["call: refused", "refused"]), "call: refused");
        let deep = chain(&["x", "y"].repeat(10_000));
        assert!(deep.len() < 200, "bounded: {}", deep.len());
    }
}
