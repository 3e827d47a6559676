//! What a message carries beside its body: named values, borrowed from it.

mod delivery;
mod gathered;
mod std_types;

pub use delivery::{Delivery, Position};
pub(crate) use gathered::{Found, first, read, read_known, text};

/// Reads a message's headers, whatever its client calls them.
///
/// Names are compared without case: Go's libraries write `Traceparent`, and NATS keeps the case that
/// was written. Of a name that comes twice, [`Propagators`](meshwise_core::propagation::Propagators)'
/// rule holds for every client: two `traceparent` are none, of other names the first counts, and lists
/// (`tracestate`, `baggage`) are joined.
///
/// ```
/// use meshwise_messaging::Carrier;
/// struct Mine(Vec<(String, Vec<u8>)>);
/// impl Carrier for Mine {
///     fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
///         self.0.iter().for_each(|(name, value)| see(name, value));
///     }
/// }
/// let headers = Mine(vec![("Message-Id".to_owned(), b"7".to_vec())]);
/// let mut seen = 0;
/// headers.each(&mut |_, _| seen += 1);
/// assert_eq!(seen, 1);
/// ```
pub trait Carrier {
    /// Calls `see` with each name and value, in order, once for each value of a name that has several.
    ///
    /// Values that are no text or bytes (numbers, tables) are left out.
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8]));
}

/// Writes a message's headers.
pub trait CarrierMut: Carrier {
    /// Adds a header, whose name is in lower case and not there yet. One for which there is no room is
    /// left out.
    fn add(&mut self, name: &str, value: &str);

    /// Removes all headers for whose names `gone` says so.
    ///
    /// Called only if there is one: a message that is sent on, or again.
    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool);
}

impl<C: Carrier + ?Sized> Carrier for &C {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        (**self).each(see);
    }
}

impl<C: Carrier> Carrier for Option<C> {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        if let Some(carrier) = self {
            carrier.each(see);
        }
    }
}
