//! The outputs that settings name.

#[cfg(feature = "bulk")]
use crate::delivery::error::{KEY, STREAM};
use crate::{error::LogError, output::LogOutput};
use meshwise_core::settings::LogSettings;
#[cfg(feature = "_net")]
use {
    crate::delivery::{DeliveryError, error::SERVER},
    meshwise_core::settings::{Problem, SettingsError, Source},
};

/// Makes the outputs of `log.outputs`, if it is set. Each is named as there.
///
/// What the machine refuses (a file that cannot be opened) stops no service: it is told, and lines go to
/// standard output.
pub(super) fn named(
    said: &LogSettings,
    service: &str,
) -> Result<Option<Vec<(String, LogOutput)>>, LogError> {
    let Some(names) = said.outputs.get().filter(|names| !names.is_empty()) else { return Ok(None) };
    let mut outputs = Vec::new();
    for name in names {
        let output = match name.as_str() {
            "stderr" => LogOutput::stderr(),
            "file" => match file(said)? {
                Some(output) => output,
                // There already.
                None if names.iter().any(|name| name == "stdout") => continue,
                None => LogOutput::stdout(),
            },
            "fluent" => spooled(fluent(said, service)?, said, name),
            "bulk" => spooled(bulk(said)?, said, name),
            _ => LogOutput::stdout(),
        };
        outputs.push((name.clone(), output));
    }
    Ok(Some(outputs))
}

/// Makes the output of `log.private.path`, if it is set. That a file cannot be opened is told; it is tried
/// again with each line, and lines are counted lost until then.
#[cfg(feature = "files")]
pub(super) fn private(said: &LogSettings) -> Result<Option<LogOutput>, LogError> {
    let Some(path) = said.private.path.get() else { return Ok(None) };
    let mut config = crate::FileConfig::new(path).narrowed();
    if let Some(keep) = said.private.keep.get() {
        config = config.with_kept(usize::try_from(*keep).unwrap_or(usize::MAX));
    }
    Ok(Some(LogOutput::rotated_file(config.clone()).unwrap_or_else(|error| {
        let place = said.private.path.source();
        let what = format!(
            "cannot open {path} ({error}), set by {place}; private fields are lost until it can be"
        );
        crate::delivery::Complaints::of("private").tell(&what);
        LogOutput::writer(crate::files::LateFile::new(config))
    })))
}

#[cfg(not(feature = "files"))]
pub(super) fn private(said: &LogSettings) -> Result<Option<LogOutput>, LogError> {
    match said.private.path.get() {
        None => Ok(None),
        Some(_) => Err(LogError::OutputFeature { output: "private", feature: "files" }),
    }
}

#[cfg(feature = "files")]
fn file(said: &LogSettings) -> Result<Option<LogOutput>, LogError> {
    use crate::files::{FileConfig, RotateEvery};
    let said = &said.file;
    let path = said.path.get().ok_or(LogError::OutputSetting {
        output: "file",
        setting: "log.file.path",
        variable: "MESHWISE_LOG_FILE_PATH",
    })?;
    let mut config = FileConfig::new(path);
    if let Some(size) = said.max_size.get() {
        config = config.with_max_bytes(size.0);
    }
    config = match said.rotate.get().map(String::as_str) {
        Some("hour") => config.with_rotation(RotateEvery::Hour),
        Some("day") => config.with_rotation(RotateEvery::Day),
        _ => config,
    };
    if let Some(keep) = said.keep.get() {
        config = config.with_kept(usize::try_from(*keep).unwrap_or(usize::MAX));
    }
    if let Some(gzip) = said.gzip.get() {
        config = config.with_gzip(*gzip);
    }
    match LogOutput::rotated_file(config) {
        Ok(output) => Ok(Some(output)),
        Err(error) => {
            let place = said.path.source();
            let what = format!(
                "cannot open {path} ({error}), set by {place}; lines go to standard output"
            );
            crate::delivery::Complaints::of("file").tell(&what);
            Ok(None)
        }
    }
}

#[cfg(not(feature = "files"))]
fn file(_: &LogSettings) -> Result<Option<LogOutput>, LogError> {
    Err(LogError::OutputFeature { output: "file", feature: "files" })
}

#[cfg(feature = "fluent")]
fn fluent(said: &LogSettings, service: &str) -> Result<LogOutput, LogError> {
    let said = &said.fluent;
    let servers = said.servers.get().ok_or(LogError::OutputSetting {
        output: "fluent",
        setting: "log.fluent.servers",
        variable: "MESHWISE_LOG_FLUENT_SERVERS",
    })?;
    let tag = said.tag.get().map_or(service, String::as_str);
    let mut config = crate::FluentConfig::new(servers, tag);
    if let Some(key) = said.shared_key.get() {
        config = config.with_shared_key(key);
    }
    if let Some(user) = said.user.get() {
        config = config.with_user(user, said.password.get().map_or("", String::as_str));
    }
    if let Some(file) = said.ca_file.get() {
        config = config.with_ca_file(file);
    }
    if let Some(timeout) = said.timeout.get() {
        config = config.with_timeout(*timeout);
    }
    let servers = ("log.fluent.servers", said.servers.source());
    let ca_file = ("log.fluent.ca_file", said.ca_file.source());
    let built = config.build().map_err(|error| misplaced(error, |_| servers, ca_file));
    Ok(LogOutput::delivery(built?))
}

#[cfg(not(feature = "fluent"))]
fn fluent(_: &LogSettings, _: &str) -> Result<LogOutput, LogError> {
    Err(LogError::OutputFeature { output: "fluent", feature: "fluent" })
}

#[cfg(feature = "bulk")]
fn bulk(said: &LogSettings) -> Result<LogOutput, LogError> {
    let said = &said.bulk;
    let urls = said.urls.get().ok_or(LogError::OutputSetting {
        output: "bulk",
        setting: "log.bulk.urls",
        variable: "MESHWISE_LOG_BULK_URLS",
    })?;
    let stream = said.stream.get().map_or("logs-meshwise-default", String::as_str);
    let mut config = crate::BulkConfig::new(urls, stream);
    if let Some(user) = said.user.get() {
        config = config.with_user(user, said.password.get().map_or("", String::as_str));
    }
    if let Some(key) = said.api_key.get() {
        config = config.with_api_key(key);
    }
    if let Some(file) = said.ca_file.get() {
        config = config.with_ca_file(file);
    }
    if let Some(timeout) = said.timeout.get() {
        config = config.with_timeout(*timeout);
    }
    if let Some(gzip) = said.gzip.get() {
        config = config.with_gzip(*gzip);
    }
    let place = |kind: &str| match kind {
        STREAM => ("log.bulk.stream", said.stream.source()),
        KEY => ("log.bulk.api_key", said.api_key.source()),
        _ => ("log.bulk.urls", said.urls.source()),
    };
    let ca_file = ("log.bulk.ca_file", said.ca_file.source());
    let built = config.build().map_err(|error| misplaced(error, place, ca_file));
    Ok(LogOutput::delivery(built?))
}

/// A setting, and who set it.
#[cfg(feature = "_net")]
type Place<'a> = (&'static str, &'a Source);

/// Names the setting that is the reason why a transport cannot be made, and where it stands.
#[cfg(feature = "_net")]
fn misplaced<'a>(
    error: DeliveryError,
    place_of: impl Fn(&str) -> Place<'a>,
    ca_file: Place<'a>,
) -> LogError {
    let (place, problem) = match &error {
        DeliveryError::NoServer => {
            (place_of(SERVER), "names no server; name at least one".to_owned())
        }
        DeliveryError::Address { address, kind, expected } => {
            (place_of(kind), format!("has `{address}`; allowed: {expected}"))
        }
        DeliveryError::Certificates { path, source } => {
            let path = path.display();
            (ca_file, format!("is `{path}`; no certificates can be read from it: {source}"))
        }
    };
    let (key, source) = match place {
        // The system's certificates stand in no setting.
        (_, Source::Default) => return error.into(),
        // A variable says by its name what it sets.
        (_, Source::Variable(name)) => (name.to_string(), place.1),
        (key, source) => (key.to_owned(), source),
    };
    SettingsError::from(Problem::new(source.clone(), key, problem)).into()
}

#[cfg(not(feature = "bulk"))]
fn bulk(_: &LogSettings) -> Result<LogOutput, LogError> {
    Err(LogError::OutputFeature { output: "bulk", feature: "bulk" })
}

/// Puts the spool before a transport, in a directory of its own.
#[cfg(feature = "spool")]
fn spooled(output: LogOutput, said: &LogSettings, name: &str) -> LogOutput {
    let Some(directory) = said.spool.directory.get() else { return output };
    let mut spool = crate::SpoolConfig::new(std::path::Path::new(directory).join(name));
    if let Some(size) = said.spool.max_size.get() {
        spool = spool.with_max_bytes(size.0);
    }
    spool = spool.with_sync(said.spool.sync.or(false));
    output.with_spool(spool)
}

#[cfg(not(feature = "spool"))]
fn spooled(output: LogOutput, said: &LogSettings, name: &str) -> LogOutput {
    if said.spool.directory.get().is_some() {
        let what = "log.spool.directory needs the feature `spool`; lines wait in memory";
        crate::delivery::Complaints::of(name).tell(what);
    }
    output
}
