//! What the pages are made from, and what they are.

use meshwise_api::{Date, Dictionary, contract::Description};

use super::path::PagePath;
use crate::{environment::Environment, store::Store, tested::Tested};

/// What the pages are made from.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    /// What is published.
    pub dictionary: &'a Dictionary,
    /// Whether all services could be read.
    pub is_whole: bool,
    /// Where descriptions lie.
    pub store: &'a Store,
    /// What runs where, by environment.
    pub environments: Vec<(String, Environment)>,
    /// What became of tests.
    pub tested: Tested,
    /// The day that states are told of.
    pub today: Date,
}

/// The description of a version, as far as it can be shown.
#[derive(Debug)]
pub(super) enum Shown {
    /// None was published.
    None,
    /// It lies in the dictionary, or should.
    Unreadable(String),
    Read {
        file: String,
        text: String,
        description: Option<Description>,
    },
}

/// One page or file: its place and its text.
pub(super) type File = (PagePath, String);
