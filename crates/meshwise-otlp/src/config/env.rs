//! The collector's address and manners from the environment.

use super::{Compression, Endpoint, OtlpConfig, OtlpProtocol, pem_file::PemFile};
use crate::batch::TIMEOUT_ALLOWED;
use meshwise_core::{
    Env, EnvError,
    internal::{otlp_variables::OtlpVariables, timeout},
};
use percent_encoding::percent_decode_str;

fn file(env: &Env, names: [&'static str; 2]) -> Result<Option<PemFile>, EnvError> {
    Ok(env.first(&names)?.map(|(source, path)| PemFile { source, path }))
}

/// Returns the word of a protocol that is compiled in.
fn protocol(text: &str) -> Option<OtlpProtocol> {
    let protocol = match text.to_ascii_lowercase().as_str() {
        "grpc" => OtlpProtocol::Grpc,
        "http/protobuf" => OtlpProtocol::HttpProtobuf,
        "http/json" => OtlpProtocol::HttpJson,
        _ => return None,
    };
    protocol.missing_feature().is_none().then_some(protocol)
}

/// Says which protocols there are, and why others of the specification's are not.
fn protocols() -> String {
    let all = [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf, OtlpProtocol::HttpJson];
    let (mut there, mut missing) = (Vec::new(), String::new());
    for protocol in all {
        match protocol.missing_feature() {
            None => there.push(protocol.as_str()),
            Some(feature) => {
                missing += &format!("; `{}` needs the feature `{feature}`", protocol.as_str());
            }
        }
    }
    format!("{}{missing}", if there.is_empty() { "none".to_owned() } else { there.join(", ") })
}

pub(super) fn parse(env: &Env, names: &OtlpVariables) -> Result<OtlpConfig, EnvError> {
    let protocol = env.first_parsed(&names.protocol, &protocols(), protocol)?;
    let gzip = cfg!(feature = "gzip");
    let allowed = if gzip { "gzip or none" } else { "none; `gzip` needs the feature `gzip`" };
    let compression = env.first_parsed(&names.compression, allowed, |text| {
        match text.to_ascii_lowercase().as_str() {
            "gzip" if gzip => Some(Compression::Gzip),
            "none" => Some(Compression::None),
            _ => None,
        }
    })?;
    let insecure = names.insecure.map(|name| env.bool(name));
    let insecure = match insecure {
        [Ok(own), Ok(general)] => own.or(general),
        [Err(error), _] | [_, Err(error)] => return Err(error),
    };
    let endpoint = env.first(&names.endpoint)?.map(|(source, text)| Endpoint {
        source,
        text,
        whole: source == names.endpoint[0],
    });
    let mut client_cert = file(env, names.client_certificate)?;
    let mut client_key = file(env, names.client_key)?;
    if let (Some(alone), None) | (None, Some(alone)) = (&client_cert, &client_key) {
        let allowed = "a certificate and a key, both or none";
        env.refuse(EnvError::new(alone.source, &alone.path, allowed))?;
        (client_cert, client_key) = (None, None);
    }
    Ok(OtlpConfig {
        protocol,
        endpoint,
        headers: headers(env, names)?,
        timeout: env.first_parsed(&names.timeout, TIMEOUT_ALLOWED, timeout)?,
        compression,
        insecure,
        ca: file(env, names.certificate)?,
        client_cert,
        client_key,
    })
}

/// Parses `name=value,...`; names and values are trimmed, values percent-decoded. An entry that
/// cannot be read is left out.
fn headers(env: &Env, names: &OtlpVariables) -> Result<Vec<(String, String)>, EnvError> {
    let Some((variable, text)) = env.first(&names.headers)? else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for (i, entry) in text.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        match header(entry) {
            Some(header) => headers.push(header),
            // The value may hold credentials: it is told which entry is wrong, not what it says.
            None => env.refuse(EnvError::new(
                variable,
                format!("(entry {} of a list)", i + 1),
                "name=value pairs with commas between, values percent-encoded",
            ))?,
        }
    }
    Ok(headers)
}

fn header(entry: &str) -> Option<(String, String)> {
    let (name, value) = entry.split_once('=')?;
    let name = name.trim();
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
    let valid = http::HeaderName::try_from(name).is_ok()
        && http::HeaderValue::try_from(value.as_str()).is_ok();
    valid.then(|| (name.to_owned(), value))
}
