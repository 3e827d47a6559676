//! `Debug` for what has little to show: futures, and what holds closures or other people's services.

/// Writes `Debug` by a type's name, and the fields that are given.
macro_rules! debug {
    ($name:literal, [$($generics:tt)*] $type:ty $(where [$($bounds:tt)*])?
        $(, $this:ident: $($field:literal = $value:expr),+)?) => {
        impl<$($generics)*> std::fmt::Debug for $type $(where $($bounds)*)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $( let $this = self; )?
                f.debug_struct($name)$($( .field($field, &$value) )+)?.finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use debug;
