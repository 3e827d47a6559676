//! All that can be set without code: one tree, one rule.
//!
//! The tree is [`Settings`]. What is later beats what is earlier, for every setting alike, and who
//! operates a service has the last word over who wrote it:
//!
//! | | who | how |
//! |---|---|---|
//! | 1 | | the default |
//! | 2 | the author | code: builder methods, closures, settings from TOML |
//! | 3 | the operator | the file or directory that `MESHWISE_CONFIG` names, in TOML (feature `toml`) |
//! | 4 | the operator | environment variables |
//!
//! A setting's variable is `MESHWISE_` and its path in upper case (`drain.timeout` is
//! `MESHWISE_DRAIN_TIMEOUT`, `peers.auth.retry.attempts` is `MESHWISE_PEERS_AUTH_RETRY_ATTEMPTS`), unless
//! the world has a name for it, such as `RUST_LOG` or those of OpenTelemetry. Files and `MESHWISE_*` are
//! strict: a name that is not known, or a value that is not allowed, is an error that says where it
//! stands, what was found, what is allowed, and what may have been meant. OpenTelemetry's variables
//! follow its specification ([`Env`](crate::env::Env)).
//!
//! Durations (`"250ms"`, `"10s"`, `"5m"`) and sizes (`"64KiB"`) have units always.
//!
//! What is an object in code (an exporter, a writer, a transport, a classifier) has no form here.

mod contradictions;
mod environment;
#[cfg(feature = "toml")]
mod file;
mod forms;
mod kind;
mod part;
mod path;
mod problem;
#[cfg_attr(not(feature = "toml"), allow(dead_code, reason = "files are read with the feature"))]
mod raw;
#[cfg_attr(not(feature = "toml"), allow(dead_code, reason = "files are read with the feature"))]
mod read;
mod redaction;
mod schema;
mod show;
mod tree;
mod units;
mod value;
mod variables;

use crate::env;
pub(crate) use forms::{NAME_ALLOWED, is_name};
pub use problem::SettingsError;
use std::collections::BTreeSet;
pub use tree::Settings;

// What the family's crates share of the tree. Users write TOML, variables, or the builders' methods.
#[doc(hidden)]
pub use contradictions::Contradictions;
#[doc(hidden)]
pub use part::Map;
#[doc(hidden)]
pub use path::Path;
#[doc(hidden)]
pub use problem::{Problem, did_you_mean};
#[doc(hidden)]
pub use show::Shown;
#[doc(hidden)]
pub use tree::*;
#[doc(hidden)]
pub use units::{Size, parse_duration, parse_size};
#[doc(hidden)]
pub use value::{Setting, Source, Value};

/// Names the file or directory of the operator's settings.
#[doc(hidden)]
pub const MESHWISE_CONFIG: &str = "MESHWISE_CONFIG";

impl Settings {
    /// Returns the default of every setting that has one everywhere; [`peers`](Self::peers) are none.
    #[must_use]
    pub fn defaults() -> Self {
        let mut settings = Self::default();
        show::each_leaf_mut(&mut settings, &mut |_, spec, leaf| {
            if let Some(value) = spec.default_value() {
                leaf.put(value, Source::Default);
            }
        });
        settings
    }

    /// Sets a leaf by its path; tells whether there is one that takes the value.
    #[doc(hidden)]
    pub fn put(&mut self, path: &Path, value: Value, source: Source) -> bool {
        show::put(self, path, value, source)
    }

    /// Lists all leaves, those of a peer named `auth` and its route `GET /x` among them, each with three
    /// values that are allowed: for tests that try every setting.
    #[doc(hidden)]
    #[must_use]
    pub fn leaves() -> Vec<(Path, [Value; 3])> {
        let leaves = show::leaves().into_iter();
        leaves.map(|(path, spec)| (path, spec.kind.examples())).collect()
    }

    /// Returns what is set of one peer: for all peers, and over that for it alone. Variables name a
    /// peer in upper case with `_` for what is neither letter nor digit.
    #[must_use]
    #[doc(hidden)]
    pub fn peer(&self, name: &str) -> PeerSettings {
        let mut merged = self.peer.clone();
        // Where a peer is cannot be the same for all.
        merged.url.clear();
        if let Some(own) = self.peers.get(name) {
            merged.overlay(own);
        }
        let wanted = environment::peer_word(name);
        for (other, settings) in self.peers.iter() {
            if other != name && environment::peer_word(other) == wanted {
                merged.overlay(&show::only_variables(settings));
            }
        }
        merged
    }

    /// Lists the peers that something is set of and that no client is called by: such names are misspelt as
    /// a rule. With each comes the first place where it is named.
    #[must_use]
    #[doc(hidden)]
    pub fn unused_peers(&self, clients: &BTreeSet<String>) -> Vec<(String, Source)> {
        let same = |name: &str, client: &String| {
            environment::peer_word(name) == environment::peer_word(client)
        };
        // A variable knows no peer's exact name; a file does.
        let is_used = |name: &str, settings: &PeerSettings| {
            clients.contains(name)
                || (!show::is_spelt_out(settings) && clients.iter().any(|own| same(name, own)))
        };
        let unused = self.peers.iter().filter(|(name, settings)| !is_used(name, settings));
        let named = unused.filter_map(|(name, settings)| {
            let mut first = None;
            show::each_leaf(settings, &mut |_, _, leaf| {
                if leaf.value().is_some() && leaf.origin().is_operator() {
                    first.get_or_insert_with(|| leaf.origin().clone());
                }
            });
            Some((name.to_owned(), first?))
        });
        named.collect()
    }

    /// Returns what is in force where nothing but the defaults stands below these settings: of each peer
    /// that is named, all that holds for it.
    #[must_use]
    #[doc(hidden)]
    pub fn effective(&self) -> Self {
        let mut all = Self::defaults();
        all.overlay(self);
        let mut peers: Map<PeerSettings> = Map::default();
        let is_spelt = |name: &str| self.peers.get(name).is_some_and(show::is_spelt_out);
        for (name, _) in self.peers.iter() {
            // A variable knows no peer's exact name; if a file or code does, that one is shown.
            let word = environment::peer_word(name);
            let same = |other: &str| other != name && environment::peer_word(other) == word;
            if !is_spelt(name) && self.peers.iter().any(|(other, _)| same(other) && is_spelt(other))
            {
                continue;
            }
            let mut peer = Self::defaults().peer;
            peer.overlay(&self.peer(name));
            *peers.entry(name) = peer;
        }
        all.peers = peers;
        all
    }

    /// Says of each value that is as by default that it is the default's, and of each other that it is
    /// code's, unless the operator's: for settings that were read off what code has made.
    #[must_use]
    #[doc(hidden)]
    pub fn from_code(mut self) -> Self {
        let defaults = Self::defaults();
        show::each_leaf_mut(&mut self, &mut |path, _, leaf| {
            let Some(value) = leaf.value() else { return };
            let source = match show::default_at(&defaults, path) {
                _ if leaf.origin().is_operator() => return,
                Some(default) if default == value => Source::Default,
                _ => Source::Code,
            };
            leaf.put(value, source);
        });
        self
    }

    /// Finds a setting by the end of its path, such as `breaker.trial_limit`, that is set.
    #[must_use]
    #[doc(hidden)]
    pub fn find_set(&self, section: &str, end: &str) -> Option<Shown> {
        let fits = |path: String| path.starts_with(section) && path.ends_with(end);
        self.shown().into_iter().find(|one| one.value.is_some() && fits(one.path.to_string()))
    }

    /// Checks what code has set.
    ///
    /// # Errors
    /// If a value is not allowed: all of these at once.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), SettingsError> {
        let mut problems = Vec::new();
        show::each_leaf(self, &mut |path, spec, leaf| {
            if let Some(value) = leaf.value()
                && !spec.kind.allows(&value)
            {
                let shown = match spec.secret {
                    true => "(not shown)".to_owned(),
                    false => env::printable(&value.to_string(), 200, "…"),
                };
                let problem = format!("is {shown}; allowed: {}", spec.kind.allowed());
                let source = leaf.origin().clone();
                problems.push(Problem { source, key: path.to_string(), problem });
            }
        });
        SettingsError::check(problems)
    }
}

#[cfg(test)]
mod tests;
