//! The check itself: read, judge, write, print.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use meshwise_api::{Date, Declaration, Diagnostics, Lock};

use crate::{
    dictionary,
    error::Error,
    generate, output,
    report::Report,
    today::{SOURCE_DATE_EPOCH, TODAY, TodaySource, today},
};

/// Names the variable with the dictionary's folder.
const DICTIONARY: &str = "MESHWISE_DICTIONARY";
/// The variable that CI systems set.
const CI: &str = "CI";
/// The variable that docs.rs sets.
const DOCS_RS: &str = "DOCS_RS";

/// The variables that a check depends on; Cargo runs the script again if one changes.
const VARIABLES: [&str; 5] = [CI, DOCS_RS, DICTIONARY, TODAY, SOURCE_DATE_EPOCH];

/// The file that is written to `OUT_DIR`.
const GENERATED: &str = "meshwise_api.rs";

/// Checks the `api.toml` beside the package's `Cargo.toml`, and writes what `declared!()` includes.
///
/// To be called in `build.rs`; see the [crate's documentation](crate) for what it reads and prints.
///
/// # Errors
/// If something is found that is denied, or a file cannot be read or written.
pub fn check() -> Result<Report, Error> {
    Check::from_env()?.run()
}

/// Configures a check.
///
/// ```
/// # let package = std::env::temp_dir().join(format!("meshwise-build-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&package)?;
/// # std::fs::write(package.join("api.toml"), "schema = 1\nservice = { name = \"orders\" }\n")?;
/// let report = meshwise_build::Check::new(&package, &package)
///     .with_today("2026-11-21".parse()?)
///     .run_to(&mut std::io::sink())?;
/// assert_eq!(report.today().to_string(), "2026-11-21");
/// # std::fs::remove_dir_all(&package)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Check {
    package: String,
    folder: PathBuf,
    out_dir: PathBuf,
    dictionary: Option<PathBuf>,
    today: Option<Date>,
    variables: BTreeMap<String, String>,
}

impl Check {
    /// Starts with a package's folder and the folder that is written to, and an empty environment.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, out_dir: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            package: name.unwrap_or_else(|| "this package".to_owned()),
            folder,
            out_dir: out_dir.into(),
            dictionary: None,
            today: None,
            variables: BTreeMap::new(),
        }
    }

    /// Starts with what Cargo tells a build script, and the environment.
    ///
    /// # Errors
    /// If this is no build script.
    pub fn from_env() -> Result<Self, Error> {
        let set = |name| env::var_os(name).ok_or(Error::NoBuildScript(name));
        let mut check = Self::new(set("CARGO_MANIFEST_DIR")?, set("OUT_DIR")?);
        if let Ok(package) = env::var("CARGO_PKG_NAME") {
            check.package = package;
        }
        for name in VARIABLES {
            if let Some(value) = env::var_os(name) {
                // What is not Unicode is no date and no path that could be named in a message.
                check = check.with_variable(name, value.to_string_lossy());
            }
        }
        Ok(check)
    }

    /// Sets a variable, as if it came from the environment.
    #[must_use]
    #[doc(hidden)]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets the day that is taken for today. Default: see the [crate's documentation](crate).
    #[doc(hidden)]
    #[must_use]
    pub fn with_today(mut self, today: Date) -> Self {
        self.today = Some(today);
        self
    }

    /// Sets the folder of a dictionary, from the package's folder; it is asked in place of
    /// `api.lock`. Default: `MESHWISE_DICTIONARY`, if it names a folder, from the package's folder or
    /// the nearest above; else none.
    #[must_use]
    pub fn with_dictionary(mut self, folder: impl Into<PathBuf>) -> Self {
        self.dictionary = Some(folder.into());
        self
    }

    /// Checks, and prints to standard output, where Cargo reads.
    ///
    /// # Errors
    /// If something is found that is denied, or a file cannot be read or written.
    pub fn run(&self) -> Result<Report, Error> {
        self.run_to(&mut io::stdout().lock())
    }

    /// Checks, and prints elsewhere.
    ///
    /// # Errors
    /// If something is found that is denied, or a file cannot be read or written.
    #[doc(hidden)]
    pub fn run_to(&self, out: &mut dyn Write) -> Result<Report, Error> {
        let mut lines = Vec::new();
        let result = self.judge(&mut lines);
        // What asks for the next run is said even if this one fails.
        out.write_all(&lines).and_then(|()| out.flush()).map_err(|source| Error::Io {
            what: "write",
            path: PathBuf::from("standard output"),
            source,
        })?;
        result
    }

    /// Judges; `out` is memory, so writing to it cannot fail.
    fn judge(&self, out: &mut Vec<u8>) -> Result<Report, Error> {
        for name in VARIABLES {
            let _ = output::rerun_if_env_changed(out, name);
        }
        let (today, source_of_today) = today(self.today, |name| self.variable(name))?;
        let folder = self.dictionary_folder();
        let [declaration, lock] =
            [Declaration::FILE_NAME, Lock::FILE_NAME].map(|name| self.folder.join(name));
        let _ = output::rerun_if_changed(out, &declaration);
        let _ = output::rerun_if_changed(out, &lock);
        if let Some(folder) = &folder {
            let _ = output::rerun_if_changed(out, folder);
        }

        let denied = |diagnostics| Error::Denied {
            package: self.package.clone(),
            diagnostics,
            today,
            source_of_today,
        };
        let judged = read_declaration(&declaration).and_then(|declaration| {
            let declaration = declaration.map_err(denied)?;
            let lock = read_lock(&lock)?.transpose().map_err(denied)?;
            let dictionary = folder.as_deref().map(dictionary::read).transpose()?;
            Ok((declaration, lock, dictionary))
        });
        let (declaration, lock, dictionary) = match judged {
            Ok(judged) => judged,
            Err(error) if self.is_docs_rs() => {
                return self.docs_without_declaration(&error, today, source_of_today, out);
            }
            Err(error) => return Err(error),
        };
        let checked = self.check(&declaration, lock.as_ref(), dictionary.as_ref(), today);
        for (service, reason) in dictionary.iter().flat_map(|loaded| &loaded.unread) {
            let text =
                format!("the dictionary's {service} cannot be read, and is left out: {reason}");
            let _ = output::warning(out, &text);
        }

        for diagnostic in checked.warned() {
            let _ = output::warning(out, &output::summary(diagnostic));
        }
        let unchecked = checked
            .requirements
            .iter()
            .filter(|requirement| requirement.verdict == meshwise_api::Verdict::Unchecked)
            .count();
        // For the reader of the build's output file: nothing shows it to others.
        let _ = writeln!(
            out,
            "meshwise: checked on {today} ({source_of_today}): {} requirements, {unchecked} of them unchecked, {} warnings, {} denied",
            checked.requirements.len(),
            checked.warned().count(),
            checked.denied().count(),
        );
        if checked.is_denied() {
            let diagnostics: Vec<_> = checked.denied().cloned().collect();
            if !self.is_docs_rs() {
                return Err(denied(Diagnostics::new(diagnostics)));
            }
            for diagnostic in &diagnostics {
                let _ = output::warning(out, &output::summary(diagnostic));
            }
        }
        let generated = self.write(&generate::declared(&declaration, &checked, lock.as_ref()))?;
        Ok(Report { declaration: Some(declaration), checked, source_of_today, generated })
    }

    fn check(
        &self,
        declaration: &Declaration,
        lock: Option<&Lock>,
        loaded: Option<&dictionary::Loaded>,
        today: Date,
    ) -> meshwise_api::Report {
        let unread = loaded.into_iter().flat_map(|loaded| &loaded.unread);
        let unread: Vec<String> = unread.map(|(service, _)| service.clone()).collect();
        meshwise_api::Check::new(declaration, today)
            .with_lock(lock)
            .with_dictionary(loaded.map(|loaded| &loaded.dictionary))
            .with_unread(&unread)
            .in_ci(self.is_set(CI))
            .run()
    }

    /// On docs.rs there is always documentation: what is wrong is a warning.
    fn docs_without_declaration(
        &self,
        error: &Error,
        today: Date,
        source_of_today: TodaySource,
        out: &mut Vec<u8>,
    ) -> Result<Report, Error> {
        let _ = output::warning(out, &error.to_string());
        let generated = self.write(&generate::nothing(&self.package))?;
        let nothing = Declaration::new(self.package.as_str());
        let checked = meshwise_api::Check::new(&nothing, today).run();
        Ok(Report { declaration: None, checked, source_of_today, generated })
    }

    /// Writes the generated file, unless it says the same already: its time then stays, and what
    /// includes it is not compiled again.
    fn write(&self, text: &str) -> Result<PathBuf, Error> {
        let path = self.out_dir.join(GENERATED);
        if fs::read(&path).is_ok_and(|before| before == text.as_bytes()) {
            return Ok(path);
        }
        match fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Io { what: "write", path, source }),
        }
    }

    /// Returns a variable; one that is empty is not set.
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn is_set(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| !matches!(value.as_str(), "false" | "0"))
    }

    fn is_docs_rs(&self) -> bool {
        self.is_set(DOCS_RS)
    }

    fn dictionary_folder(&self) -> Option<PathBuf> {
        if let Some(folder) = &self.dictionary {
            return Some(self.folder.join(folder));
        }
        // A build never asks the network: with a dictionary elsewhere, api.lock says what it said.
        let set = self.variable(DICTIONARY).filter(|text| !is_url(text))?;
        Some(nearest(&self.folder, Path::new(set.trim_start_matches("file://"))))
    }
}

/// Tells whether a text names a dictionary that is no folder, as `cargo meshwise` reads it: a scheme of
/// more than one letter and a colon. `file:` is a folder.
fn is_url(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && !scheme.eq_ignore_ascii_case("file")
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
    })
}

/// Finds a folder from here, or else from the nearest folder above: one variable serves a whole
/// workspace, as it does for `cargo meshwise`.
fn nearest(from: &Path, folder: &Path) -> PathBuf {
    let found = from.ancestors().map(|above| above.join(folder)).find(|path| path.is_dir());
    found.unwrap_or_else(|| from.join(folder))
}

/// Reads what a person wrote; a file that is much too big is not read to its end.
fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    // Some way beyond the limit, so that the message can name the size of most files.
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_mul(32);
    fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

type Parsed<T> = Result<T, Diagnostics>;

fn read_declaration(path: &Path) -> Result<Parsed<Declaration>, Error> {
    match read(path, Declaration::MAX_SIZE) {
        Ok(bytes) => Ok(Declaration::from_bytes(Declaration::FILE_NAME, &bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::NoDeclaration(path.to_owned()))
        }
        Err(source) => Err(Error::Io { what: "read", path: path.to_owned(), source }),
    }
}

fn read_lock(path: &Path) -> Result<Option<Parsed<Lock>>, Error> {
    match read(path, Lock::MAX_SIZE) {
        Ok(bytes) => Ok(Some(Lock::from_bytes(Lock::FILE_NAME, &bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { what: "read", path: path.to_owned(), source }),
    }
}
