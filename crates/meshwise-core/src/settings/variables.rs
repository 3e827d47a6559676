//! Variables that others have named; OpenTelemetry's are read by its specification ("Environment
//! Variable Specification").

use super::{kind::SettingKind, units::parse_duration, value::Value};
use crate::{
    env::{Env, EnvError, millis as parse_millis, timeout as parse_timeout},
    headers::is_of_sender,
    propagation::Format,
    redaction::Redaction,
    resource::names::{INSTANCE, NAME, NAMESPACE, VERSION},
};
use percent_encoding::percent_decode_str;
use std::{collections::BTreeMap, time::Duration};

type Names = &'static [&'static str];
type Read = Result<Option<(&'static str, Value)>, EnvError>;

pub(super) const ATTRIBUTES: Names = &["OTEL_RESOURCE_ATTRIBUTES"];

const OWN: [&str; 4] = [NAME, VERSION, NAMESPACE, INSTANCE];

/// Reads the first variable that `parse` allows.
fn first(env: &Env, names: Names, allowed: &str, parse: impl Fn(&str) -> Option<Value>) -> Read {
    for name in names {
        let _used = env.get(name);
    }
    for name in names {
        if let Some(value) = env.parse_with(name, allowed, &parse)? {
            return Ok(Some((name, value)));
        }
    }
    Ok(None)
}

pub(super) fn text(env: &Env, names: Names, kind: &SettingKind) -> Read {
    first(env, names, &kind.allowed(), |text| {
        let value = Value::Text(text.to_owned());
        kind.allows(&value).then_some(value)
    })
}

/// Reads an address as it is; whether it is one for the protocol is found out where the exporter is made,
/// which says what comes of it. What is not allowed is kept without what may be secret in it.
pub(super) fn endpoint(env: &Env, names: Names, kind: &SettingKind) -> Read {
    Ok(env.first(names)?.map(|(name, text)| {
        let fine = kind.allows(&Value::Text(text.clone()));
        let text = if fine { text } else { Redaction::standard().url(&text).into_owned() };
        (name, Value::Text(text))
    }))
}

pub(super) fn word(env: &Env, names: Names, kind: &SettingKind) -> Read {
    first(env, names, &kind.allowed(), |text| kind.parse(&text.to_ascii_lowercase()))
}

pub(super) fn whole(env: &Env, names: Names, kind: &SettingKind) -> Read {
    first(env, names, &kind.allowed(), |text| kind.parse(text))
}

pub(super) fn boolean(env: &Env, names: Names, _: &SettingKind) -> Read {
    for name in names {
        let _used = env.get(name);
    }
    for name in names {
        if let Some(value) = env.bool(name)? {
            return Ok(Some((name, Value::Bool(value))));
        }
    }
    Ok(None)
}

pub(super) fn millis(env: &Env, names: Names, _: &SettingKind) -> Read {
    let parse = |text: &str| parse_millis(text).map(Value::Duration);
    first(env, names, "a whole number of milliseconds", parse)
}

/// Reads milliseconds that a setting's own bounds allow.
pub(super) fn millis_within(env: &Env, names: Names, kind: &SettingKind) -> Read {
    let parse =
        |text: &str| parse_millis(text).map(Value::Duration).filter(|value| kind.allows(value));
    first(env, names, "a whole number of milliseconds from 1", parse)
}

/// 0 is without limit.
pub(super) fn timeout(env: &Env, names: Names, kind: &SettingKind) -> Read {
    first(env, names, "a whole number of milliseconds, 0 for no limit", |text| {
        let timeout = parse_timeout(text)?;
        let SettingKind::Duration(_, most) = kind else { return None };
        Some(Value::Duration(timeout.min(*most)))
    })
}

/// Parses `name=value,...`, percent-encoded; `None` if an entry is malformed.
fn pairs(text: &str) -> Option<BTreeMap<String, String>> {
    let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
    let one = |entry: &str| {
        let (name, value) = entry.split_once('=')?;
        let decode = |text: &str| {
            percent_decode_str(text.trim()).decode_utf8().ok().map(std::borrow::Cow::into_owned)
        };
        let name = decode(name)?;
        (!name.is_empty()).then_some((name, decode(value)?))
    };
    entries.map(one).collect()
}

fn table(entries: BTreeMap<String, String>) -> Value {
    Value::Table(entries.into_iter().map(|(name, value)| (name, Value::Text(value))).collect())
}

const PAIRS: &str = "name=value pairs with commas between, values percent-encoded; not those that the sender of a \
                     request sets itself, such as content-length";

/// Reads `name=value,...`; an entry that cannot be read is left out. Values may be credentials: it is told
/// which entry is wrong, not what it says.
pub(super) fn headers(env: &Env, names: Names, kind: &SettingKind) -> Read {
    let Some((name, text)) = env.first(names)? else { return Ok(None) };
    let mut headers = BTreeMap::new();
    for (i, entry) in text.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty()) {
        match header(entry, kind) {
            Some((name, value)) => drop(headers.insert(name, value)),
            None => {
                env.refuse(EnvError::new(name, format!("(entry {} of a list)", i + 1), PAIRS))?;
            }
        }
    }
    Ok((!headers.is_empty()).then(|| (name, table(headers))))
}

fn header(entry: &str, kind: &SettingKind) -> Option<(String, String)> {
    let (name, value) = entry.split_once('=')?;
    let name = name.trim();
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
    let valid = http::HeaderName::try_from(name).is_ok_and(|name| !is_of_sender(&name))
        && http::HeaderValue::try_from(value.as_str()).is_ok()
        && (value.is_empty() || kind.allows(&Value::Text(value.clone())));
    valid.then(|| (name.to_owned(), value))
}

fn resource(env: &Env) -> Result<Option<BTreeMap<String, String>>, EnvError> {
    // In the words of what makes the resource, which reads the same: it is told once.
    let allowed = "name=value pairs with commas between, percent-encoded; all of it is ignored";
    env.parse_with(ATTRIBUTES[0], allowed, pairs)
}

pub(super) fn attributes(env: &Env, names: Names, _: &SettingKind) -> Read {
    let Some(mut all) = resource(env)? else { return Ok(None) };
    all.retain(|name, value| !OWN.contains(&name.as_str()) && !value.is_empty());
    Ok(Some((names[0], table(all))))
}

fn attribute(env: &Env, names: Names, name: &str) -> Read {
    let value = resource(env)?.and_then(|mut all| all.remove(name));
    let value = value.filter(|value| !value.is_empty());
    Ok(value.map(|value| (names[0], Value::Text(value))))
}

pub(super) fn service_version(env: &Env, names: Names, _: &SettingKind) -> Read {
    attribute(env, names, VERSION)
}

pub(super) fn service_namespace(env: &Env, names: Names, _: &SettingKind) -> Read {
    attribute(env, names, NAMESPACE)
}

pub(super) fn service_instance(env: &Env, names: Names, _: &SettingKind) -> Read {
    attribute(env, names, INSTANCE)
}

fn exporters(env: &Env, name: &'static str, known: &'static [&'static str]) -> Read {
    let allowed = format!("{}, both with a comma between, or none", known.join(", "));
    let words = env.list(name, &allowed, |word| known.iter().find(|known| **known == word))?;
    let text = |word: &&str| Value::Text((*word).to_owned());
    Ok(words.map(|words| (name, Value::List(words.into_iter().map(text).collect()))))
}

pub(super) fn traces_exporters(env: &Env, names: Names, _: &SettingKind) -> Read {
    exporters(env, names[0], &["otlp", "console"])
}

/// `console` is where lines go in any case.
pub(super) fn logs_exporters(env: &Env, names: Names, _: &SettingKind) -> Read {
    if env.is_disabled()? {
        return Ok(Some((DISABLED, Value::List(Vec::new()))));
    }
    exporters(env, names[0], &["console", "otlp"])
}

pub(super) fn metrics_exporters(env: &Env, names: Names, _: &SettingKind) -> Read {
    exporters(env, names[0], &["prometheus", "otlp"])
}

pub(super) fn propagators(env: &Env, names: Names, _: &SettingKind) -> Read {
    let known = Format::ALL.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", ");
    let allowed = format!("a comma-separated list of {known}, or none alone");
    let formats = env.list(names[0], &allowed, |word| word.parse::<Format>().ok())?;
    let text = |format: Format| Value::Text(format.as_str().to_owned());
    Ok(formats.map(|all| (names[0], Value::List(all.into_iter().map(text).collect()))))
}

const DISABLED: &str = "OTEL_SDK_DISABLED";

/// `OTEL_SDK_DISABLED` makes all others as good as unset.
pub(super) fn metrics_enabled(env: &Env, names: Names, _: &SettingKind) -> Read {
    if let Some(disabled) = env.bool(names[0])?
        && (disabled || !env.is_set(names[1]))
    {
        return Ok(Some((names[0], Value::Bool(!disabled))));
    }
    Ok(match exporters(env, names[1], &["prometheus", "otlp"])? {
        Some((name, Value::List(all))) => Some((name, Value::Bool(!all.is_empty()))),
        _ => None,
    })
}

pub(super) fn traces_enabled(env: &Env, names: Names, _: &SettingKind) -> Read {
    Ok(env.bool(names[0])?.map(|disabled| (names[0], Value::Bool(!disabled))))
}

pub(super) fn exemplars(env: &Env, names: Names, _: &SettingKind) -> Read {
    first(env, names, "always_on, always_off or trace_based", |text| {
        match text.to_ascii_lowercase().as_str() {
            "always_on" | "trace_based" => Some(Value::Bool(true)),
            "always_off" => Some(Value::Bool(false)),
            _ => None,
        }
    })
}

/// Reads the sampler; one that needs an argument and has none is as good as unset.
pub(super) fn sampler(env: &Env, names: Names, _: &SettingKind) -> Read {
    let Some((variable, text)) = env.first(names)? else { return Ok(None) };
    let name = text.to_ascii_lowercase();
    let refuse = |error| env.refuse(error).map(|()| None);
    match name.strip_prefix("parentbased_").unwrap_or(&name) {
        "always_on" | "always_off" | "traceidratio" | "keep_errors" => {}
        "ratelimited" => {
            if env.parse_with(ARG, RATE, rate)?.is_none() {
                let problem = format!("is `{name}`, which needs {RATE} in {ARG}");
                return refuse(EnvError::other(variable, problem));
            }
        }
        kind @ ("jaeger_remote" | "xray") => {
            let allowed =
                format!("{SAMPLERS} ({kind} needs a remote service and is not supported)");
            return refuse(EnvError::new(variable, text, allowed));
        }
        _ => return refuse(EnvError::new(variable, text, SAMPLERS)),
    }
    Ok(Some((variable, Value::Text(name))))
}

const ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const SAMPLERS: &str = "always_on, always_off, traceidratio, ratelimited, keep_errors, or one of them \
                        after `parentbased_`";
const RATIO: &str = "a number from 0 to 1";
const RATE: &str = "a positive number of traces per second";
const KEPT: &str =
    "a ratio from 0 to 1, a duration such as 500ms or 1.5s, or both with a comma between";

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";

/// Returns the sampler that the argument is for, without `parentbased_`.
fn sampler_word(env: &Env) -> Option<String> {
    let name = env.get(SAMPLER)?.to_ascii_lowercase();
    Some(name.strip_prefix("parentbased_").unwrap_or(&name).to_owned())
}

fn ratio(text: &str) -> Option<Value> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).map(Value::Number)
}

fn rate(text: &str) -> Option<Value> {
    text.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite()).map(Value::Number)
}

pub(super) fn sampler_ratio(env: &Env, names: Names, _: &SettingKind) -> Read {
    match sampler_word(env).as_deref() {
        // It is 1 if it is not given, as the specification has it.
        Some("traceidratio") => {
            Ok(first(env, names, RATIO, ratio)?.or(Some((SAMPLER, Value::Number(1.0)))))
        }
        Some("keep_errors") => {
            let (ratio, _) = kept(env)?;
            Ok(ratio.map(|ratio| (names[0], ratio)))
        }
        _ => Ok(None),
    }
}

pub(super) fn sampler_rate(env: &Env, names: Names, _: &SettingKind) -> Read {
    match sampler_word(env).as_deref() {
        Some("ratelimited") => first(env, names, RATE, rate),
        _ => Ok(None),
    }
}

/// What `keep_errors` keeps: `0.1`, `1s` or `0.1,1s`; of anything else, nothing.
fn kept(env: &Env) -> Result<(Option<Value>, Option<Duration>), EnvError> {
    let kept = env.parse_with(ARG, KEPT, |text| match text.split_once(',') {
        Some((head, slow)) => Some((Some(ratio(head.trim())?), Some(parse_duration(slow.trim())?))),
        None => ratio(text)
            .map(|ratio| (Some(ratio), None))
            .or_else(|| parse_duration(text).map(|slow| (None, Some(slow)))),
    })?;
    Ok(kept.unwrap_or_default())
}

/// The sampler's own argument says more than the variable for all; it counts as used where the sampler
/// takes one.
pub(super) fn sampler_slow(env: &Env, names: Names, kind: &SettingKind) -> Read {
    for name in &names[1..] {
        let _used = env.get(name);
    }
    if sampler_word(env).as_deref() == Some("keep_errors")
        && let (_, Some(slow)) = kept(env)?
    {
        return Ok(Some((names[0], Value::Duration(slow))));
    }
    first(env, &names[1..], &kind.allowed(), |text| kind.parse(text))
}

/// Reads any text: `RUST_LOG` (whether it is filter directives is found out by the logs), a project.
pub(super) fn plain_text(env: &Env, names: Names, _: &SettingKind) -> Read {
    Ok(env.first(names)?.map(|(name, text)| (name, Value::Text(text))))
}

/// Lines have no colours where `NO_COLOR` is set, to whatever (no-color.org).
pub(super) fn no_colour(env: &Env, names: Names, _: &SettingKind) -> Read {
    Ok(names.iter().find(|name| env.get(name).is_some()).map(|name| (*name, Value::Bool(false))))
}
