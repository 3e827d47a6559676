//! Settings of a mesh: what the author says, what the operator says, and what comes of both.

#[cfg(any(feature = "client", feature = "grpc"))]
use meshwise_core::settings::PeerSettings;
#[cfg(feature = "axum")]
use meshwise_core::settings::Setting;
use meshwise_core::{
    Env,
    settings::{MESHWISE_CONFIG, Problem, Settings, SettingsError, Source},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the operator says.
#[derive(Debug)]
pub(crate) struct OperatorSettings {
    /// In files and in variables of ours.
    pub(crate) said: Settings,
    /// In variables that others have named, which the parts read themselves.
    pub(crate) standard: Settings,
}

impl OperatorSettings {
    /// Reads the file or directory that `MESHWISE_CONFIG` names, and the variables.
    ///
    /// # Errors
    /// If any of it is not known or not allowed: all of that at once.
    pub(crate) fn read(env: &Env) -> Result<Self, SettingsError> {
        let mut said = match env.get(MESHWISE_CONFIG) {
            Some(path) => from_path(&path)?,
            None => Settings::default(),
        };
        said.overlay(&Settings::from_env(env)?);
        // The parts tell what cannot be followed of these; here they are only shown.
        let standard = Settings::from_standard_env(&env.unread())?;
        Ok(Self { said, standard })
    }

    /// Returns what the operator says of a peer.
    #[cfg(any(feature = "client", feature = "grpc"))]
    pub(crate) fn peer(&self, name: &str) -> PeerSettings {
        self.said.peer(name)
    }
}

#[cfg(feature = "config")]
fn from_path(path: &str) -> Result<Settings, SettingsError> {
    Settings::from_path(path)
}

#[cfg(not(feature = "config"))]
fn from_path(path: &str) -> Result<Settings, SettingsError> {
    let problem =
        format!("names `{path}`, and this build reads no files: enable the feature `config`");
    Err(wrong(Source::Variable(MESHWISE_CONFIG.into()), MESHWISE_CONFIG, problem))
}

/// Says what is wrong with one setting.
pub(crate) fn wrong(source: Source, key: &str, problem: impl Into<String>) -> SettingsError {
    Problem::new(source, key, problem).into()
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
