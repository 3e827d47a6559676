//! The collector's address and manners from the environment.

use super::{Compression, Endpoint, File, OtlpConfig, OtlpProtocol};
use crate::batch::{TIMEOUT_ALLOWED, positive_millis};
use meshwise_core::{Env, EnvError};
use percent_encoding::percent_decode_str;

/// Names a variable for traces and its fallback for all signals.
macro_rules! variables {
    ($($name:ident = $suffix:literal,)*) => {
        $(const $name: [&str; 2] = [
            concat!("OTEL_EXPORTER_OTLP_TRACES_", $suffix),
            concat!("OTEL_EXPORTER_OTLP_", $suffix),
        ];)*
    };
}

variables! {
    CERTIFICATE = "CERTIFICATE",
    CLIENT_CERTIFICATE = "CLIENT_CERTIFICATE",
    CLIENT_KEY = "CLIENT_KEY",
    COMPRESSION = "COMPRESSION",
    ENDPOINT = "ENDPOINT",
    HEADERS = "HEADERS",
    INSECURE = "INSECURE",
    PROTOCOL = "PROTOCOL",
    TIMEOUT = "TIMEOUT",
}

/// Returns the value of the first variable that is set, and its name.
fn first(env: &Env, names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| Some((name, env.get(name)?)))
}

fn first_parsed<T>(
    env: &Env,
    names: [&'static str; 2],
    allowed: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, EnvError> {
    let Some((name, text)) = first(env, names) else { return Ok(None) };
    match parse(&text) {
        Some(value) => Ok(Some(value)),
        None => Err(EnvError::new(name, text, allowed)),
    }
}

fn file(env: &Env, names: [&'static str; 2]) -> Option<File> {
    first(env, names).map(|(source, path)| File { source, path })
}

pub(super) fn parse(env: &Env) -> Result<OtlpConfig, EnvError> {
    let protocol = first_parsed(env, PROTOCOL, "grpc, http/protobuf or http/json", |text| {
        Some(match text {
            "grpc" => OtlpProtocol::Grpc,
            "http/protobuf" => OtlpProtocol::HttpProtobuf,
            "http/json" => OtlpProtocol::HttpJson,
            _ => return None,
        })
    })?;
    let compression = first_parsed(env, COMPRESSION, "gzip or none", |text| match text {
        "gzip" => Some(Compression::Gzip),
        "none" => Some(Compression::None),
        _ => None,
    })?;
    let insecure = first_parsed(env, INSECURE, "true or false", |text| {
        text.to_ascii_lowercase().parse().ok()
    })?;
    let endpoint = first(env, ENDPOINT).map(|(source, text)| Endpoint {
        source,
        text,
        whole: source == ENDPOINT[0],
    });
    let client_cert = file(env, CLIENT_CERTIFICATE);
    let client_key = file(env, CLIENT_KEY);
    if let (Some(alone), None) | (None, Some(alone)) = (&client_cert, &client_key) {
        let allowed = "a certificate and a key, both or none";
        return Err(EnvError::new(alone.source, alone.path.as_str(), allowed));
    }
    Ok(OtlpConfig {
        protocol,
        endpoint,
        headers: headers(env)?,
        timeout: first_parsed(env, TIMEOUT, TIMEOUT_ALLOWED, positive_millis)?,
        compression,
        insecure,
        ca: file(env, CERTIFICATE),
        client_cert,
        client_key,
    })
}

/// Parses `name=value,...`; names and values are trimmed, values percent-decoded.
fn headers(env: &Env) -> Result<Vec<(String, String)>, EnvError> {
    let Some((variable, text)) = first(env, HEADERS) else { return Ok(Vec::new()) };
    // The value may hold credentials: the error says which entry is wrong, not what it says.
    let error = |entry: usize| {
        EnvError::new(
            variable,
            format!("(entry {entry} of a list)"),
            "name=value pairs with commas between, values percent-encoded",
        )
    };
    let mut headers = Vec::new();
    for (i, entry) in text.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        let (name, value) = entry.split_once('=').ok_or_else(|| error(i + 1))?;
        let value =
            percent_decode_str(value.trim()).decode_utf8().map_err(|_| error(i + 1))?.into_owned();
        let name = name.trim();
        let valid = http::HeaderName::try_from(name).is_ok()
            && http::HeaderValue::try_from(value.as_str()).is_ok();
        if !valid {
            return Err(error(i + 1));
        }
        headers.push((name.to_owned(), value));
    }
    Ok(headers)
}
