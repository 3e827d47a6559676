//! How the tree is put together: leaves, sections, and maps of sections.
//!
//! Each section is declared once, by `section!`; files, variables, overlay, schema and what is shown
//! all follow from that.

use super::{
    kind::SettingKind,
    value::{Scalar, Setting, Source, Value},
};
use crate::env::{Env, EnvError};
use std::collections::BTreeMap;

/// Reads a setting from variables that others have named; says which one it was.
pub(super) type ReadVariable = fn(
    &Env,
    &'static [&'static str],
    &SettingKind,
) -> Result<Option<(&'static str, Value)>, EnvError>;

/// Describes a part of the tree.
#[derive(Clone, Debug)]
pub(super) enum PartShape {
    /// A value.
    Leaf(Spec),
    /// Named parts.
    Section(Vec<Field>),
    /// The same for each name that the operator picks.
    Map(Box<Self>),
}

/// Names and describes a part of a section.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is, for people.
    pub(super) doc: String,
    /// What stands there.
    pub(super) shape: PartShape,
}

impl Field {
    pub(super) fn new(name: &'static str, doc: &str, shape: PartShape) -> Self {
        // Doc comments are indented by a space, and broken into lines.
        let doc = doc.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Self { name, doc: doc.trim().to_owned(), shape }
    }
}

/// Describes a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    /// What it may hold.
    pub(super) kind: SettingKind,
    /// The default, as a variable would say it; empty if it depends on where the service runs.
    pub(super) default: &'static str,
    /// Where the environment says it.
    pub(super) variable: Variable,
    /// Whether it is shown to no one.
    pub(super) secret: bool,
}

/// Says where the environment sets a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) enum Variable {
    /// In `MESHWISE_` and the path, in upper case with `_` for what is neither letter nor digit.
    Own,
    /// In variables that others have named; the first beats the second.
    Standard(&'static [&'static str], ReadVariable),
}

impl Spec {
    pub(super) const fn of(kind: SettingKind) -> Self {
        Self { kind, default: "", variable: Variable::Own, secret: false }
    }

    pub(super) const fn or(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(super) const fn from(
        mut self,
        variables: &'static [&'static str],
        read: ReadVariable,
    ) -> Self {
        self.variable = Variable::Standard(variables, read);
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Returns the default, if there is one that holds everywhere.
    #[must_use]
    pub(super) fn default_value(&self) -> Option<Value> {
        if self.default.is_empty() { None } else { self.kind.parse(self.default) }
    }
}

/// Refers to a part that can be read.
#[derive(Clone, Copy)]
pub(super) enum PartRef<'a> {
    /// A leaf.
    Leaf(&'a dyn Leaf),
    /// A section or a map.
    Section(&'a dyn Section),
}

/// Refers to a part that can be changed.
pub(super) enum PartMut<'a> {
    /// A leaf.
    Leaf(&'a mut dyn Leaf),
    /// A section or a map.
    Section(&'a mut dyn Section),
}

/// Any leaf.
pub(super) trait Leaf {
    /// Returns the value, if it is set.
    fn value(&self) -> Option<Value>;
    /// Returns who set it.
    fn origin(&self) -> &Source;
    /// Sets it; tells whether the value is of its type.
    fn put(&mut self, value: Value, source: Source) -> bool;
}

/// Any section.
pub(super) trait Section {
    /// Lists the names of its parts.
    fn names(&self) -> Vec<String>;
    /// Returns a part by its name.
    fn part(&self, name: &str) -> Option<PartRef<'_>>;
    /// Returns a part by its name; a map makes it.
    fn part_mut(&mut self, name: &str) -> Option<PartMut<'_>>;
}

/// What may stand in a section.
pub(super) trait Part: Clone + Default + PartialEq {
    /// Describes it.
    fn shape(spec: Spec) -> PartShape;
    /// Puts what is set in `later` over what is set here.
    fn overlay(&mut self, later: &Self);
    /// Refers to it.
    fn as_ref(&self) -> PartRef<'_>;
    /// Refers to it, to change it.
    fn as_mut(&mut self) -> PartMut<'_>;
}

impl<T: Scalar> Leaf for Setting<T> {
    fn value(&self) -> Option<Value> {
        self.get().map(T::to_value)
    }

    fn origin(&self) -> &Source {
        self.source()
    }

    fn put(&mut self, value: Value, source: Source) -> bool {
        match T::from_value(value) {
            Some(value) => {
                *self = Self::new(value, source);
                true
            }
            None => false,
        }
    }
}

impl<T: Scalar> Part for Setting<T> {
    fn shape(spec: Spec) -> PartShape {
        PartShape::Leaf(spec)
    }

    fn overlay(&mut self, later: &Self) {
        if later.is_set() {
            self.clone_from(later);
        }
    }

    fn as_ref(&self) -> PartRef<'_> {
        PartRef::Leaf(self)
    }

    fn as_mut(&mut self) -> PartMut<'_> {
        PartMut::Leaf(self)
    }
}

/// Holds settings by names that the operator or the author picks.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<S>(BTreeMap<String, S>);

impl<S> Default for Map<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S> Map<S> {
    /// Returns the settings of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&S> {
        self.0.get(name)
    }

    /// Returns the settings of a name, to be changed; empty ones if there are none yet.
    pub fn entry(&mut self, name: &str) -> &mut S
    where
        S: Default,
    {
        self.0.entry(name.to_owned()).or_default()
    }

    /// Takes the settings of a name out.
    pub fn remove(&mut self, name: &str) -> Option<S> {
        self.0.remove(name)
    }

    /// Lists all, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &S)> {
        self.0.iter().map(|(name, settings)| (name.as_str(), settings))
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: Part> Section for Map<S> {
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn part(&self, name: &str) -> Option<PartRef<'_>> {
        self.0.get(name).map(S::as_ref)
    }

    fn part_mut(&mut self, name: &str) -> Option<PartMut<'_>> {
        Some(self.entry(name).as_mut())
    }
}

impl<S: Part> Part for Map<S> {
    fn shape(spec: Spec) -> PartShape {
        PartShape::Map(Box::new(S::shape(spec)))
    }

    fn overlay(&mut self, later: &Self) {
        for (name, settings) in &later.0 {
            self.entry(name).overlay(settings);
        }
    }

    fn as_ref(&self) -> PartRef<'_> {
        PartRef::Section(self)
    }

    fn as_mut(&mut self) -> PartMut<'_> {
        PartMut::Section(self)
    }
}

/// Declares a section: the doc comment of each part is what schema and error messages say of it.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            $( $(#[doc = $text:literal])+ $field:ident: $type:ty $(= $spec:expr)?; )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[doc = $text])+ #[doc(hidden)] pub $field: $type, )+
        }

        impl $name {
            /// Puts what is set in `later` over what is set here.
            #[doc(hidden)]
            pub fn overlay(&mut self, later: &Self) {
                $( $crate::settings::part::Part::overlay(&mut self.$field, &later.$field); )+
            }
        }

        impl $crate::settings::part::Section for $name {
            fn names(&self) -> Vec<String> {
                [$( stringify!($field) ),+].map(str::to_owned).into()
            }

            fn part(&self, name: &str) -> Option<$crate::settings::part::PartRef<'_>> {
                match name {
                    $( stringify!($field) => {
                        Some($crate::settings::part::Part::as_ref(&self.$field))
                    } )+
                    _ => None,
                }
            }

            fn part_mut(&mut self, name: &str) -> Option<$crate::settings::part::PartMut<'_>> {
                match name {
                    $( stringify!($field) => {
                        Some($crate::settings::part::Part::as_mut(&mut self.$field))
                    } )+
                    _ => None,
                }
            }
        }

        impl $crate::settings::part::Part for $name {
            fn shape(_: $crate::settings::part::Spec) -> $crate::settings::part::PartShape {
                // For sections among the parts this stands for nothing.
                #[allow(unused_variables, reason = "a section of leaves alone does not need it")]
                let none = $crate::settings::part::Spec::of($crate::settings::kind::SettingKind::Bool);
                $crate::settings::part::PartShape::Section(vec![
                    $( $crate::settings::part::Field::new(
                        stringify!($field),
                        concat!($($text, "\n"),+),
                        <$type as $crate::settings::part::Part>::shape(
                            section!(@spec none $($spec)?),
                        ),
                    ) ),+
                ])
            }

            fn overlay(&mut self, later: &Self) {
                Self::overlay(self, later);
            }

            fn as_ref(&self) -> $crate::settings::part::PartRef<'_> {
                $crate::settings::part::PartRef::Section(self)
            }

            fn as_mut(&mut self) -> $crate::settings::part::PartMut<'_> {
                $crate::settings::part::PartMut::Section(self)
            }
        }
    };
    (@spec $none:ident) => { $none };
    (@spec $none:ident $spec:expr) => { $spec };
}

pub(super) use section;
