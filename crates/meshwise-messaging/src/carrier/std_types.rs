//! Carriers out of the standard library, for clients of one's own and for tests.

use super::{Carrier, CarrierMut, Delivery};
use std::collections::{BTreeMap, HashMap};

impl<K: AsRef<str>, V: AsRef<[u8]>> Carrier for [(K, V)] {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        for (name, value) in self {
            see(name.as_ref(), value.as_ref());
        }
    }
}

impl<K: AsRef<str>, V: AsRef<[u8]>> Carrier for Vec<(K, V)> {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.as_slice().each(see);
    }
}

impl<K, V> CarrierMut for Vec<(K, V)>
where
    K: AsRef<str> + for<'s> From<&'s str>,
    V: AsRef<[u8]> + for<'s> From<&'s str>,
{
    fn add(&mut self, name: &str, value: &str) {
        self.push((name.into(), value.into()));
    }

    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
        self.retain(|(name, _)| !gone(name.as_ref()));
    }
}

/// Implements both for a map by name.
macro_rules! maps {
    ($($map:ident)*) => {$(
        impl<V: AsRef<[u8]>> Carrier for $map<String, V> {
            fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
                for (name, value) in self {
                    see(name, value.as_ref());
                }
            }
        }

        impl<V: AsRef<[u8]> + for<'s> From<&'s str>> CarrierMut for $map<String, V> {
            fn add(&mut self, name: &str, value: &str) {
                self.insert(name.to_owned(), value.into());
            }

            fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
                self.retain(|name, _| !gone(name));
            }
        }

        impl<V: AsRef<[u8]>> Delivery for $map<String, V> {}
    )*};
}

maps!(BTreeMap HashMap);

impl<K: AsRef<str>, V: AsRef<[u8]>> Delivery for Vec<(K, V)> {}
impl<K: AsRef<str>, V: AsRef<[u8]>> Delivery for [(K, V)] {}
