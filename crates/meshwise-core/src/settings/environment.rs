//! Settings from environment variables.

use super::{
    kind::{SettingKind, parse_table},
    part::{Field, Part, PartMut, PartShape, Section, Spec, Variable},
    path::Path,
    problem::{Problem, SettingsError, did_you_mean},
    raw::printable,
    tree::{OtlpParts, PeerSettings, Settings},
    value::{Source, Value},
};
use crate::env::{Env, EnvError};
use std::{collections::BTreeSet, sync::Arc};

const OURS: &str = "MESHWISE_";
const PEERS: &str = "MESHWISE_PEERS_";

/// Variables that are no settings of the tree: what is read before it, and what tools read.
const OTHERS: [&str; 11] = [
    "MESHWISE_CACHE",
    "MESHWISE_CONFIG",
    "MESHWISE_DICTIONARY",
    "MESHWISE_DICTIONARY_TOKEN",
    "MESHWISE_PROMETHEUS",
    "MESHWISE_PROMETHEUS_TOKEN",
    "MESHWISE_PUBLISHED_BY",
    "MESHWISE_STRICT",
    "MESHWISE_TODAY",
    "MESHWISE_WEBHOOK",
    "MESHWISE_WEBHOOK_TOKEN",
];

/// Returns a peer's name as variables have it.
pub(super) fn peer_word(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(upper).collect()
}

impl Settings {
    /// Reads the variables of meshwise's own, `MESHWISE_*`.
    ///
    /// Those that Kubernetes sets for a service whose name begins with `meshwise-`
    /// (`MESHWISE_CONSOLE_SERVICE_HOST`) are passed over.
    ///
    /// ```
    /// use meshwise_core::{Env, settings::Settings};
    /// let env = Env::from_pairs([("MESHWISE_DRAIN_TIMEOUT", "30"), ("MESHWISE_LOG_FROMAT", "json")]);
    /// assert_eq!(
    ///     Settings::from_env(&env).unwrap_err().to_string(),
    ///     "2 settings are wrong: MESHWISE_DRAIN_TIMEOUT, MESHWISE_LOG_FROMAT
    ///   MESHWISE_DRAIN_TIMEOUT is `30`; allowed: a duration with its unit, such as \"250ms\", \
    ///      \"10s\" or \"5m\", from 0s to 365d
    ///   MESHWISE_LOG_FROMAT is not known; did you mean `MESHWISE_LOG_FORMAT`?"
    /// );
    /// ```
    ///
    /// # Errors
    /// If a value is not allowed, or a name not known: all of these at once.
    #[doc(hidden)]
    pub fn from_env(env: &Env) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let settings = Self::read_env(env, &mut problems);
        SettingsError::check(problems)?;
        Ok(settings)
    }

    /// Reads the same, without what is wrong, which is added to `problems`.
    #[doc(hidden)]
    #[must_use]
    pub fn read_env(env: &Env, problems: &mut Vec<Problem>) -> Self {
        let mut settings = Self::default();
        let mut own = Own { env, known: Vec::new(), renamed: Vec::new(), problems: Vec::new() };
        own.all(&mut settings);
        own.peers(&mut settings);
        own.unknown();
        problems.append(&mut own.problems);
        settings
    }

    /// Reads the variables that others have named: OpenTelemetry's by its specification (what is not
    /// allowed there is ignored, and [`Env::findings`] tells), `RUST_LOG`, `NO_COLOR` and
    /// `GOOGLE_CLOUD_PROJECT`.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, for what is ignored otherwise.
    #[doc(hidden)]
    pub fn from_standard_env(env: &Env) -> Result<Self, SettingsError> {
        Self::from_standard_env_of(env, |_| true)
    }

    /// Reads those of some settings, such as all of `traces`; the variables of others count as not used.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, for what is ignored otherwise.
    #[doc(hidden)]
    pub fn from_standard_env_of(
        env: &Env,
        is_read: impl Fn(&Path) -> bool,
    ) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let settings = Self::read_standard_env_of(env, is_read, &mut problems);
        SettingsError::check(problems)?;
        Ok(settings)
    }

    /// Reads the same, without what is wrong, which is added to `problems`.
    #[doc(hidden)]
    #[must_use]
    pub fn read_standard_env_of(
        env: &Env,
        is_read: impl Fn(&Path) -> bool,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut settings = Self::default();
        let mut path = Path::new();
        if let (PartShape::Section(fields), PartMut::Section(section)) =
            (Self::described(), settings.as_mut())
        {
            each_variable(section, &fields, &mut path, &mut |spec, path, part| {
                let Variable::Standard(names, read) = spec.variable else { return };
                if !is_read(path) {
                    return;
                }
                match read(env, names, &spec.kind) {
                    Ok(Some((name, value))) => put(part, value, name),
                    Ok(None) => {}
                    // One variable may be read for several settings.
                    Err(error) => {
                        let problem = from_env_error(&error);
                        if !problems.contains(&problem) {
                            problems.push(problem);
                        }
                    }
                }
            });
        }
        let Self { log, metrics, traces, .. } = &mut settings;
        for otlp in [log.otlp.parts(), metrics.otlp.parts(), traces.otlp.parts()] {
            if let Err(error) = pair(env, otlp) {
                let problem = from_env_error(&error);
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
        settings
    }

    /// Lists the variables that others have named, each with a setting that it sets.
    #[doc(hidden)]
    #[must_use]
    pub fn standard_variables() -> Vec<(&'static str, Path)> {
        let mut all = Vec::new();
        let mut settings = Self::default();
        if let (PartShape::Section(fields), PartMut::Section(section)) =
            (Self::described(), settings.as_mut())
        {
            each_variable(section, &fields, &mut Path::new(), &mut |spec, path, _| {
                if let Variable::Standard(names, _) = spec.variable {
                    all.extend(names.iter().map(|name| (*name, path.clone())));
                }
            });
        }
        all
    }
}

/// A certificate proves nothing without its key: one that is alone is left out.
fn pair(env: &Env, otlp: OtlpParts<'_>) -> Result<(), EnvError> {
    let OtlpParts { client_certificate, client_key, .. } = otlp;
    let alone = match (client_certificate.get(), client_key.get()) {
        (Some(path), None) => (client_certificate.source().to_string(), path.clone()),
        (None, Some(path)) => (client_key.source().to_string(), path.clone()),
        _ => return Ok(()),
    };
    client_certificate.clear();
    client_key.clear();
    env.refuse(EnvError::new(alone.0, alone.1, "a certificate and a key, both or none"))
}

fn from_env_error(error: &EnvError) -> Problem {
    let name: Arc<str> = error.variable().into();
    Problem {
        key: name.to_string(),
        source: Source::Variable(name),
        problem: error.problem().to_owned(),
    }
}

/// Sets a leaf, or the leaves of a map, from a variable.
fn put(part: PartMut<'_>, value: Value, variable: &str) {
    let source = Source::Variable(variable.into());
    match (part, value) {
        (PartMut::Leaf(leaf), value) => {
            leaf.put(value, source);
        }
        (PartMut::Section(map), Value::Table(entries)) => {
            for (name, value) in entries {
                if let Some(PartMut::Leaf(leaf)) = map.part_mut(&name) {
                    leaf.put(value, source.clone());
                }
            }
        }
        (PartMut::Section(_), _) => {}
    }
}

/// Goes through all that a variable can set: leaves, and maps of leaves.
fn each_variable(
    section: &mut dyn Section,
    fields: &[Field],
    path: &mut Path,
    f: &mut dyn FnMut(&Spec, &Path, PartMut<'_>),
) {
    for field in fields {
        path.push(field.name);
        match (&field.shape, section.part_mut(field.name)) {
            (PartShape::Leaf(spec), Some(part)) => f(spec, path, part),
            (PartShape::Section(fields), Some(PartMut::Section(section))) => {
                each_variable(section, fields, path, f);
            }
            (PartShape::Map(of), Some(part)) => {
                if let PartShape::Leaf(spec) = &**of {
                    f(spec, path, part);
                }
            }
            _ => {}
        }
        path.pop();
    }
}

/// Reads `MESHWISE_*`.
struct Own<'e> {
    env: &'e Env,
    known: Vec<String>,
    /// Settings whose variable others have named: what ours would be, and which it is.
    renamed: Vec<(String, &'static str)>,
    problems: Vec<Problem>,
}

impl Own<'_> {
    fn all(&mut self, settings: &mut Settings) {
        let (PartShape::Section(fields), PartMut::Section(section)) =
            (Settings::described(), settings.as_mut())
        else {
            return;
        };
        each_variable(section, &fields, &mut Path::new(), &mut |spec, path, part| match spec
            .variable
        {
            Variable::Own => {
                let name = path.variable();
                self.read(&name, spec, part);
                self.known.push(name);
            }
            Variable::Standard(names, _) => {
                self.known.extend(names.iter().map(|name| (*name).to_owned()));
                self.renamed.extend(names.first().map(|name| (path.variable(), *name)));
            }
        });
    }

    fn read(&mut self, name: &str, spec: &Spec, part: PartMut<'_>) {
        let text = match self.env.text(name) {
            Ok(Some(text)) => text,
            Ok(None) => return,
            Err(error) => return self.problems.push(from_env_error(&error)),
        };
        let value = match &part {
            PartMut::Leaf(_) => spec.kind.parse(&text),
            PartMut::Section(_) => parse_table(&spec.kind, &text).map(Value::Table),
        };
        if let Some(value) = value {
            return put(part, value, name);
        }
        let found =
            if spec.secret { "not shown".to_owned() } else { format!("`{}`", printable(&text)) };
        let allowed = match (&part, spec.kind) {
            (PartMut::Section(_), kind) => {
                format!("name=value pairs with commas between, each value {}", kind.allowed())
            }
            (_, SettingKind::List(_) | SettingKind::Ascending) => {
                format!("{}, with commas between", spec.kind.allowed())
            }
            (_, kind) => kind.allowed(),
        };
        let mut problem = format!("is {found}; allowed: {allowed}");
        if let SettingKind::Word(words) = spec.kind {
            problem.extend(did_you_mean(&text, words.iter().copied()));
        }
        let source = Source::Variable(name.into());
        self.problems.push(Problem { source, key: name.to_owned(), problem });
    }

    /// Reads `MESHWISE_PEERS_{PEER}_{SETTING}`: no setting ends with another one's name, so that it is
    /// plain where the peer's name ends.
    fn peers(&mut self, settings: &mut Settings) {
        let (suffixes, mut peers) = (peer_suffixes(), BTreeSet::new());
        for name in self.env.names(PEERS).filter(|name| !is_kubernetes(name)) {
            let rest = &name[PEERS.len()..];
            let found = suffixes.iter().find_map(|suffix| {
                let peer = rest.strip_suffix(suffix.as_str())?.strip_suffix('_')?;
                (!peer.is_empty()).then_some(peer)
            });
            match found {
                Some(peer) => {
                    peers.insert(peer.to_ascii_lowercase());
                }
                None => self.no_such_peer_setting(&name, rest, &suffixes),
            }
        }
        let PartShape::Section(fields) = <PeerSettings as Part>::shape(Spec::of(SettingKind::Bool))
        else {
            return;
        };
        for peer in peers {
            let mut path: Path = ["peers", &peer].into_iter().collect();
            let section = settings.peers.entry(&peer);
            each_variable(section, &fields, &mut path, &mut |spec, path, part| {
                let name = path.variable();
                self.read(&name, spec, part);
                self.known.push(name);
            });
        }
    }

    fn no_such_peer_setting(&mut self, name: &str, rest: &str, suffixes: &[String]) {
        let meant = suffixes.iter().filter_map(|suffix| {
            // The peer's name is whatever stands before as many words as the setting has.
            let words = suffix.matches('_').count();
            let (at, _) = rest.rmatch_indices('_').nth(words)?;
            did_you_mean(&rest[at + 1..], [suffix.as_str()])?;
            Some(format!("{PEERS}{}{suffix}", &rest[..=at]))
        });
        let meant: Vec<String> = meant.collect();
        let problem = match did_you_mean(name, meant.iter().map(String::as_str)) {
            Some(meant) => format!("is not known{meant}"),
            None => format!(
                "is not known; allowed: {PEERS}, the peer's name, and a setting such as _URL or \
                 _TIMEOUT_LIMIT"
            ),
        };
        let source = Source::Variable(name.into());
        self.problems.push(Problem { source, key: name.to_owned(), problem });
        self.known.push(name.to_owned());
    }

    fn unknown(&mut self) {
        let names: Vec<String> = self.env.names(OURS).collect();
        let known = self.known.iter().map(String::as_str).chain(OTHERS);
        let known: Vec<&str> = known.filter(|name| name.starts_with(OURS)).collect();
        for name in names {
            if known.contains(&name.as_str()) || is_kubernetes(&name) {
                continue;
            }
            let renamed = self.renamed.iter().find(|(ours, _)| *ours == name);
            let problem = match (renamed, did_you_mean(&name, known.iter().copied())) {
                (Some((_, variable)), _) => format!("is not known; that setting is {variable}"),
                (None, Some(meant)) => format!("is not known{meant}"),
                (None, None) => "is not known; unset it".to_owned(),
            };
            let source = Source::Variable(name.as_str().into());
            self.problems.push(Problem { source, key: name, problem });
        }
    }
}

/// Lists what variables of single peers end with.
fn peer_suffixes() -> Vec<String> {
    let mut suffixes = Vec::new();
    let mut settings = PeerSettings::default();
    if let PartShape::Section(fields) = <PeerSettings as Part>::shape(Spec::of(SettingKind::Bool)) {
        each_variable(&mut settings, &fields, &mut Path::new(), &mut |_, path, _| {
            suffixes.push(path.variable()[OURS.len()..].to_owned());
        });
    }
    // If one were the end of another, the longer one is meant.
    suffixes.sort_by_key(|suffix| std::cmp::Reverse(suffix.len()));
    suffixes
}

/// Tells whether Kubernetes sets a variable of this name for a service (`Service`, "Discovering
/// services", and Docker's links).
fn is_kubernetes(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let link = || {
        let (_, rest) = name.rsplit_once("_PORT_")?;
        let (port, rest) = rest.split_once('_')?;
        let rest = rest.strip_prefix("TCP").or_else(|| rest.strip_prefix("UDP"))?;
        Some(digits(port) && matches!(rest, "" | "_PROTO" | "_PORT" | "_ADDR"))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || link().unwrap_or(false)
}
