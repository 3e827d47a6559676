//! Settings of a mesh: what the author says, what the operator says, and what comes of both.

#[cfg(feature = "resilience")]
use crate::environment::Gathered;
#[cfg(any(feature = "client", feature = "grpc"))]
use meshwise_core::settings::PeerSettings;
#[cfg(feature = "axum")]
use meshwise_core::settings::Setting;
#[cfg(feature = "resilience")]
use meshwise_core::settings::Value;
use meshwise_core::{
    Env,
    settings::{MESHWISE_CONFIG, Path, Problem, Settings, Source, did_you_mean},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What the operator says.
#[derive(Debug)]
pub(crate) struct OperatorSettings {
    /// In files and in variables of ours.
    pub(crate) said: Settings,
    /// In variables that others have named: a part that cannot follow them does what code and file say.
    pub(crate) standard: Settings,
}

impl OperatorSettings {
    /// Reads the file or directory that `MESHWISE_CONFIG` names, and the variables; adds what is not known
    /// or not allowed to `problems`, wherever it stands, and files that set nothing to `notices`. The rest
    /// of a source is read all the same.
    pub(crate) fn read(env: &Env, problems: &mut Vec<Problem>, notices: &mut Vec<Problem>) -> Self {
        let mut said = match env.text(MESHWISE_CONFIG) {
            Ok(None) => Settings::default(),
            Ok(Some(path)) => {
                let before = problems.len();
                let said = read_path(&path, problems);
                let sets = said.shown().iter().any(|shown| shown.source.is_operator());
                if !sets && problems.len() == before {
                    let path = shown(&path);
                    notices.push(wrong_path(format!(
                        "is set and does nothing: {path} is empty, or has no file that ends with .toml"
                    )));
                }
                said
            }
            Err(error) => {
                problems.push(wrong_path(error.problem()));
                Settings::default()
            }
        };
        said.overlay(&Settings::read_env(env, problems));
        // Of what is not built in, it is told that no one uses what is said of it.
        let is_built_in = |path: &Path| missing_feature(path).is_none();
        let standard = Settings::read_standard_env_of(env, is_built_in, problems);
        Self { said, standard }
    }

    /// Returns what the operator says of a peer.
    #[cfg(any(feature = "client", feature = "grpc"))]
    pub(crate) fn peer(&self, name: &str) -> PeerSettings {
        self.said.peer(name)
    }
}

/// Returns the feature that a setting of a part needs that is not built in.
pub(crate) fn missing_feature(path: &Path) -> Option<&'static str> {
    let otlp = cfg!(any(feature = "otlp-grpc", feature = "otlp-http", feature = "otlp-http-json"));
    let names: Vec<&str> = path.names().iter().map(String::as_str).collect();
    match names[..] {
        ["traces", ..] if cfg!(not(feature = "traces")) => Some("traces"),
        [_, "otlp", ..] | ["log", "batch", ..] if !otlp => Some("otlp-http"),
        [
            "metrics",
            "export_interval" | "export_timeout" | "temporality" | "histogram_aggregation",
        ] if !otlp => Some("otlp-http"),
        [_, "otlp", "certificate" | "client_certificate" | "client_key"]
            if cfg!(not(feature = "tls")) =>
        {
            Some("tls")
        }
        _ => None,
    }
}

#[cfg(feature = "config")]
fn read_path(path: &str, problems: &mut Vec<Problem>) -> Settings {
    match meshwise_core::internal::files::check(path.as_ref()) {
        Ok(()) => Settings::read_path(path.as_ref(), problems),
        Err(error) => {
            problems
                .push(wrong_path(format!("names {}, which cannot be read: {error}", shown(path))));
            Settings::default()
        }
    }
}

#[cfg(not(feature = "config"))]
fn read_path(path: &str, problems: &mut Vec<Problem>) -> Settings {
    let problem = "names a file, and this build reads none: enable the feature `config`";
    problems.push(wrong_path(format!("{problem} ({})", shown(path))));
    Settings::default()
}

/// A path may be whatever it is, and is in a message of one line.
fn shown(path: &str) -> String {
    let begin: String = path.chars().take(200).collect();
    let more = if begin.len() < path.len() { "..." } else { "" };
    format!("{begin:?}{more}")
}

fn wrong_path(problem: impl Into<String>) -> Problem {
    Problem::new(Source::Variable(MESHWISE_CONFIG.into()), MESHWISE_CONFIG, problem)
}

/// Checks what the operator says of guards, before any client is made: adds settings of the operator's that
/// contradict each other, or ask for what is not built in, to what is wrong, and others to what may be.
#[cfg(feature = "resilience")]
pub(crate) fn check_guards(code: &Settings, said: &Settings, gathered: &mut Gathered) {
    let found = meshwise_resilience::contradictions(code, said);
    let certain = &mut gathered.problems;
    certain.extend(found.certain);
    if cfg!(not(feature = "fault")) {
        certain.extend(said.shown().into_iter().filter_map(|shown| {
            let names = shown.path.names();
            let asked = matches!(names[0].as_str(), "peer" | "peers")
                && names.ends_with(&["fault".to_owned(), "enabled".to_owned()])
                && shown.value == Some(Value::Bool(true));
            asked.then(|| Problem::new(shown.source, shown.path.to_string(), NO_FAULTS))
        }));
    }
    gathered.notices.extend(found.likely.into_iter().map(|mut likely| {
        likely.problem += "; unless code says otherwise, no client can be made";
        likely
    }));
}

/// What is wrong with faults that are asked for.
#[cfg(feature = "resilience")]
pub(crate) const NO_FAULTS: &str =
    "is true, and this build has no faults: enable the feature `fault`";

/// Which peers clients have been made for, and whether it was told which have none.
#[derive(Debug, Default)]
pub(crate) struct NamedPeers(Mutex<(BTreeSet<String>, bool)>);

impl NamedPeers {
    fn lock(&self) -> MutexGuard<'_, (BTreeSet<String>, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a client.
    #[cfg(any(feature = "client", feature = "grpc"))]
    pub(crate) fn name(&self, peer: &str) {
        let mut named = self.lock();
        if !named.0.contains(peer) {
            named.0.insert(peer.to_owned());
        }
    }

    /// Lists the peers that the operator sets something of and no client has the name of.
    #[cfg(feature = "axum")]
    pub(crate) fn unused(&self, said: &Settings) -> Vec<String> {
        said.unused_peers(&self.lock().0).into_iter().map(|(name, _)| name).collect()
    }

    /// Says once which these are. Without any client there is nothing to go by, but at the `end`.
    pub(crate) fn tell_unused(&self, said: &Settings, end: bool) {
        let mut named = self.lock();
        let (clients, told) = &mut *named;
        if *told || (clients.is_empty() && !end) {
            return;
        }
        *told = true;
        for (peer, source) in said.unused_peers(clients) {
            let meant = did_you_mean(&peer, clients.iter().map(String::as_str));
            tracing::warn!(
                target: "meshwise",
                "{source}: peers.{peer} is set, and no client of that name has been made up to now{}",
                meant.unwrap_or_default()
            );
        }
    }
}

/// Returns what is in force where code has a word of its own, later than the builder's.
#[cfg(feature = "axum")]
pub(crate) fn beats<T: Copy>(setting: &Setting<T>, code: Option<T>) -> Option<T> {
    match setting.source().is_operator() {
        true => setting.get().copied(),
        false => code.or(setting.get().copied()),
    }
}

/// What is in force, to be shown; servers and clients that are made later add theirs.
#[derive(Debug)]
pub(crate) struct InForce(Mutex<Settings>);

impl InForce {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Mutex::new(settings))
    }

    #[cfg(any(feature = "axum", feature = "resilience"))]
    pub(crate) fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.lock());
    }

    pub(crate) fn get(&self) -> Settings {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
