//! What every command is given, and the questions that most of them ask.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use meshwise_api::{Answer, ApiId, Date, Declaration, Dictionary, Lock, LockedDocument, Timestamp};
use serde::Serialize;

use crate::{
    cli::Global,
    dictionary::{self, Loaded},
    exit::{Exit, Failure, OrExit as _},
    output::Output,
    store::{Location, MARKER, Need, OpenOptions, Store, StoreError},
};

/// Carries the global options and the output.
#[derive(Debug)]
pub(crate) struct Context {
    /// The global options.
    pub global: Global,
    /// Where to write.
    pub out: Output,
}

impl Context {
    /// Returns the day to judge by: `--today` or `MESHWISE_TODAY`, else `SOURCE_DATE_EPOCH`, else
    /// the clock, in UTC.
    ///
    /// # Errors
    /// `Usage` when one of the first two is set and is no day.
    pub(crate) fn today(&self) -> Result<Date, Failure> {
        self.now().map(Timestamp::date)
    }

    /// Returns the moment to judge by and to write down: as [`today`](Self::today), to the second
    /// where it is known.
    ///
    /// # Errors
    /// As `today`.
    pub(crate) fn now(&self) -> Result<Timestamp, Failure> {
        if let Some(today) = &self.global.today {
            return today.parse::<Date>().map(Timestamp::from).or_exit(Exit::Usage);
        }
        let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text.parse().map_err(|_| {
                Failure::message(
                    Exit::Usage,
                    format!("SOURCE_DATE_EPOCH is {text:?}; it must be seconds since 1970"),
                )
            })?,
            Err(_) => unix_seconds(),
        };
        Timestamp::from_unix_seconds(seconds).ok_or_else(|| {
            Failure::message(Exit::Usage, format!("{seconds} s since 1970 is no day; give --today"))
        })
    }

    /// Returns the moment that is written into the dictionary: the clock's, whatever the environment
    /// says of today. A document that is dated otherwise would mislead those who look for what is new.
    ///
    /// # Errors
    /// `Usage` when the machine's clock is beyond the calendar.
    pub(crate) fn clock(&self) -> Result<Timestamp, Failure> {
        if let Some(text) = &self.global.clock {
            return text.parse().or_exit(Exit::Usage);
        }
        let seconds = unix_seconds();
        Timestamp::from_unix_seconds(seconds).ok_or_else(|| {
            Failure::message(Exit::Usage, format!("the clock says {seconds} s since 1970"))
        })
    }

    /// Reads and parses the declaration.
    ///
    /// # Errors
    /// `Usage` when there is none or it is not valid; all that is wrong with it is told at once.
    pub(crate) fn declaration(&self) -> Result<Declaration, Failure> {
        let path = &self.global.declaration;
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::message(
                Exit::Usage,
                format!("{} does not exist; write one with `cargo meshwise init`", path.display()),
            ),
            _ => Failure::new(
                Exit::Usage,
                anyhow::Error::new(error).context(format!("cannot read {}", path.display())),
            ),
        })?;
        Declaration::from_bytes(&path.display().to_string(), &bytes).or_exit(Exit::Usage)
    }

    /// Returns the folder of the declaration.
    #[must_use]
    pub(crate) fn folder(&self) -> PathBuf {
        match self.global.declaration.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }

    /// Returns where the lock file is: beside the declaration.
    #[must_use]
    pub(crate) fn lock_path(&self) -> PathBuf {
        self.folder().join(Lock::FILE_NAME)
    }

    /// Reads the lock file; `None` when there is none.
    ///
    /// # Errors
    /// `Undetermined` when it cannot be read or is damaged.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, Failure> {
        let path = self.lock_path();
        let shown = path.display().to_string();
        match std::fs::read(&path) {
            Ok(bytes) => Lock::from_bytes(&shown, &bytes).map(Some).or_exit(Exit::Undetermined),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::new(
                Exit::Undetermined,
                anyhow::Error::new(error).context(format!("cannot read {shown}")),
            )),
        }
    }

    /// Returns the dictionary that `api.toml` names. One that cannot be read names none here: the
    /// commands that need it say what is wrong.
    #[must_use]
    pub(crate) fn declared_dictionary(&self) -> Option<String> {
        let path = &self.global.declaration;
        if !path.is_file() {
            return None;
        }
        self.declaration().ok()?.service.dictionary
    }

    /// Opens the dictionary that `--dictionary` or its variable names, else the one in `api.toml`, else
    /// the one that the lock file was made from.
    ///
    /// # Errors
    /// `Usage` when none is named or it is no place for one.
    pub(crate) fn store(&self, options: &OpenOptions) -> Result<NamedStore, Failure> {
        let (text, base) = match &self.global.dictionary {
            Some(text) => (text.clone(), PathBuf::new()),
            None => match self.declared_dictionary().map_or_else(
                || Ok::<_, Failure>(self.lock()?.map(|lock| lock.dictionary.source)),
                |text| Ok(Some(text)),
            )? {
                Some(text) => (text, self.folder()),
                None => {
                    return Err(Failure::message(
                        Exit::Usage,
                        "no dictionary is named; give one with --dictionary, MESHWISE_DICTIONARY or \
                         `dictionary` in [service] of api.toml",
                    ));
                }
            },
        };
        let given = Location::parse(&text).map_err(StoreError::into_failure)?;
        let location = match &given {
            // One variable serves a whole workspace, from each of its folders; as in a build.
            Location::Folder(folder) if base.as_os_str().is_empty() => {
                Location::Folder(nearest(folder))
            }
            _ => given.clone().relative_to(&base),
        };
        if let Some(folder) = location.folder()
            && !folder.join(MARKER).exists()
            && !folder.join("services").is_dir()
        {
            let mut message = format!("{} is no dictionary", folder.display());
            message += if self.lock_path().exists() {
                ": check it out beside this repository, or ask api.lock alone with --offline"
            } else {
                ": correct the path, or begin one there with `cargo meshwise begin`"
            };
            return Err(Failure::message(Exit::Usage, message));
        }
        if let Some(folder) = location.folder()
            && let Some(format) = newer_format(folder)
        {
            let message = format!(
                "{} was begun by a newer release (format = {format}): update cargo-meshwise to read it",
                folder.display()
            );
            return Err(Failure::message(Exit::Undetermined, message));
        }
        let store = Store::open(&location, options).map_err(StoreError::into_failure)?;
        let name = match (&self.global.dictionary, &given) {
            // What the lock file says must hold wherever the repository is checked out.
            (Some(_), Location::Folder(folder)) => seen_from(&self.folder(), &nearest(folder)),
            _ => given.to_string(),
        };
        Ok(NamedStore { store, name })
    }

    /// Opens and reads the whole dictionary, and warns of what is damaged in it.
    ///
    /// # Errors
    /// `Undetermined` when it is out of reach, and what [`store`](Self::store) says.
    pub(crate) fn open(&mut self) -> Result<Opened, Failure> {
        self.open_with(&OpenOptions::default())
    }

    /// Opens and reads the whole dictionary with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_with(&mut self, options: &OpenOptions) -> Result<Opened, Failure> {
        let source = self.store(options)?;
        let loaded = dictionary::load(&source.store, &self.out);
        self.opened(source, loaded.map_err(StoreError::into_failure)?)
    }

    /// Opens the dictionary and reads the newest documents that an answer needs.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_heads(
        &mut self,
        options: &OpenOptions,
        need: &Need,
    ) -> Result<Opened, Failure> {
        let source = self.store(options)?;
        let loaded = dictionary::load_heads(&source.store, need, &self.out);
        self.opened(source, loaded.map_err(StoreError::into_failure)?)
    }

    /// Opens the dictionary for a question about one API; if no one provides it, all is read, to
    /// say what is like it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_api(&mut self, api: &str) -> Result<Opened, Failure> {
        let options = OpenOptions::default();
        let source = self.store(&options)?;
        let loaded = dictionary::load_heads(&source.store, &Need::api(api), &self.out)
            .map_err(StoreError::into_failure)?;
        if loaded.dictionary.providers(api).next().is_none() {
            return self.open_heads(&options, &Need::All);
        }
        self.opened(source, loaded)
    }

    fn opened(&mut self, source: NamedStore, loaded: Loaded) -> Result<Opened, Failure> {
        let NamedStore { store, name } = source;
        let damage: Vec<String> = loaded.damage.iter().map(ToString::to_string).collect();
        for damage in &damage {
            self.out.warning(damage);
        }
        for stray in &loaded.strays {
            self.out.note(format_args!("ignored {stray}, which is no document"));
        }
        let Loaded { dictionary, unread, services, newest, no_policy, .. } = loaded;
        Ok(Opened { store, name, dictionary, damage, unread, services, newest, no_policy })
    }

    /// Writes an answer out of a dictionary. Where that is damaged, JSON says so in `damage`, and
    /// the exit code is [`Exit::Undetermined`] whatever the answer is.
    ///
    /// # Errors
    /// Stdout's.
    pub(crate) fn answer(
        &mut self,
        opened: &Opened,
        exit: Exit,
        value: &impl Serialize,
        human: impl FnOnce(&mut Output) -> io::Result<()>,
    ) -> Result<Exit, Failure> {
        #[derive(Serialize)]
        struct AnswerAndDamage<'a, T> {
            #[serde(flatten)]
            value: &'a T,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            damage: &'a [String],
        }
        let damage = opened.damage.as_slice();
        if let Some(error) = &opened.no_policy {
            self.out.warning(format_args!("the policy counts for nothing in this answer: {error}"));
        }
        self.out.either(&AnswerAndDamage { value, damage }, human)?;
        if !damage.is_empty() {
            self.out.warning(format_args!(
                "{} of the dictionary's services cannot be read, so this is not the whole answer",
                damage.len()
            ));
        }
        Ok(opened.or_undetermined(exit))
    }
}

/// Holds an open dictionary that was not read yet.
#[derive(Debug)]
pub(crate) struct NamedStore {
    /// The dictionary.
    pub store: Store,
    /// Its name for the lock file.
    pub name: String,
}

/// Holds a dictionary that was read.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Where it lies.
    pub store: Store,
    /// Its name for the lock file.
    pub name: String,
    /// What it says.
    pub dictionary: Dictionary,
    /// What is wrong with it. No answer that needs it is certain.
    pub damage: Vec<String>,
    /// The services that this is about.
    pub unread: Vec<String>,
    /// How many services there are, read or not.
    pub services: usize,
    /// The number of each one's newest document, read or not.
    pub newest: BTreeMap<String, u64>,
    /// What is wrong with the organisation's policy; see [`judged`](Self::judged).
    pub no_policy: Option<StoreError>,
}

impl Opened {
    /// Proves that the dictionary can be judged by.
    ///
    /// # Errors
    /// `Undetermined` if the organisation's policy cannot be read: what it forbids must not pass.
    pub(crate) fn judged(mut self) -> Result<Self, Failure> {
        self.no_policy.take().map_or(Ok(self), |error| Err(error.into_failure()))
    }

    /// Returns the exit code; [`Exit::Undetermined`] where the dictionary is damaged.
    #[must_use]
    pub(crate) fn or_undetermined(&self, exit: Exit) -> Exit {
        if self.damage.is_empty() { exit } else { Exit::Undetermined }
    }

    /// Looks for the documents that a lock file was made from: they are never removed. A provider that
    /// lost one counts as unread, and what is lost is told.
    pub(crate) fn hold_to(&mut self, lock: Option<&Lock>, out: &mut Output) {
        let locked = lock.into_iter().flat_map(|lock| &lock.entries).filter_map(|entry| {
            let Answer::Resolved(resolved) = &entry.answer else { return None };
            Some((resolved.provider.as_str(), entry.document?))
        });
        let locked: BTreeMap<&str, LockedDocument> = locked.collect();
        for (provider, document) in locked {
            let there = self.newest.get(provider).copied();
            // On the web only what may be needed is listed.
            let is_gone = match there {
                Some(newest) => newest < document.seq,
                None => self.store.location().folder().is_some(),
            };
            let replaced = self.dictionary.newest(provider).is_some_and(|newest| {
                newest.seq() == document.seq && newest.digest() != document.digest
            });
            if !is_gone && !replaced || self.unread.iter().any(|unread| unread == provider) {
                continue;
            }
            let lost = format!(
                "document {} of {provider}, which api.lock was made from, is {} in {}: pull the dictionary if \
                 it is behind, else restore what was removed (`lock --update` after one that was begun anew)",
                document.seq,
                if is_gone { "missing" } else { "another" },
                self.store.location(),
            );
            out.warning(&lost);
            self.damage.push(lost);
            self.unread.push(provider.to_owned());
            let others = self.dictionary.services().filter(|other| other.service() != provider);
            let policy = self.dictionary.policy().clone();
            self.dictionary = Dictionary::from_heads(others.cloned()).with_policy(policy);
        }
    }

    /// Proves that a service provides the API, and the version if one is named.
    ///
    /// # Errors
    /// `Usage` when no one does, naming what is like it.
    pub(crate) fn known_api(&self, id: &ApiId) -> Result<(), Failure> {
        let known = self.dictionary.providers(id.name()).any(|(_, provides)| {
            id.version().is_none_or(|version| provides.version(version).is_some())
        });
        if known { Ok(()) } else { Err(self.unknown_api(id)) }
    }

    /// Says that no one provides an API, or not in this version.
    #[must_use]
    pub(crate) fn unknown_api(&self, id: &ApiId) -> Failure {
        let mut versions: Vec<&str> = Vec::new();
        for (_, provides) in self.dictionary.providers(id.name()) {
            versions.extend(provides.versions.iter().map(|release| release.version.as_str()));
        }
        let message = if versions.is_empty() {
            let mut near: Vec<&str> = self.dictionary.apis().collect();
            near.retain(|api| api.contains(id.name()) || id.name().contains(api));
            match near.as_slice() {
                [] if !self.unread.is_empty() => {
                    let unread = self.unread.join(", ");
                    format!("no service that can be read provides {}; unread: {unread}", id.name())
                }
                [] => format!("no service provides {}", id.name()),
                near => format!("no service provides {}; there is {}", id.name(), near.join(", ")),
            }
        } else {
            format!("{id} is not declared; {} has {}", id.name(), versions.join(", "))
        };
        Failure::message(self.or_undetermined(Exit::Usage), message)
    }
}

/// Finds a folder from where the command runs, or else from the nearest folder above.
fn nearest(folder: &Path) -> PathBuf {
    if folder.is_absolute() || folder.is_dir() {
        return folder.to_path_buf();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let mut above = here.ancestors().skip(1).map(|above| above.join(folder));
    above.find(|path| path.is_dir()).unwrap_or_else(|| folder.to_path_buf())
}

/// Names a folder as it is seen from another; both are relative to where the command runs.
///
/// Written with `/` on every machine. Where one of them does not exist the text stays as it is.
fn seen_from(from: &Path, to: &Path) -> String {
    let resolved = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize()
    };
    let (Ok(from), Ok(full)) = (resolved(from), resolved(to)) else {
        return to.display().to_string();
    };
    let shared = from.components().zip(full.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| "..".into());
    let down = full.components().skip(shared).map(|part| part.as_os_str().to_string_lossy());
    let parts: Vec<_> = up.chain(down).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// Returns the format that a dictionary's marker names, if this release does not know it.
fn newer_format(folder: &Path) -> Option<i64> {
    let text = std::fs::read_to_string(folder.join(MARKER)).ok()?;
    let marker: toml::Table = text.parse().ok()?;
    marker.get("format")?.as_integer().filter(|format| *format > 1)
}

/// Reads the clock: seconds since 1970, UTC.
pub(crate) fn unix_seconds() -> i64 {
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}
