//! What a field's name makes of it: where it stands in a line, under which key, in which form.
//!
//! Keys are unique in each object of a line: a name that the line uses itself, or that another field
//! of the call site has, stands in the nested object (`fields`; in ECS `labels`), with a number
//! behind it if it must. Formats without objects have `fields.` before it.

use super::{ecs, escape, log_format::LogFormat, style::Style};

/// Names the part of a line that a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the line's message.
    Message,
    /// It tells the origin of a record of the `log` facade, which the line has from elsewhere.
    Nowhere,
    /// The line itself, or the span's object.
    Line,
    /// The object within it: `fields`, or `labels`.
    Nested,
    /// Google's `httpRequest`.
    Request,
    /// The attributes of the OTLP record.
    Attribute,
}

/// Says what becomes of a value; those that a form does not take stand in the nested object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Plain,
    /// As a text, numbers too.
    Text,
    /// 64 bits with a sign.
    Long,
    /// 32 bits with a sign.
    Integer,
    /// A number that a `float` can hold.
    Float,
    Flag,
    /// A date, or milliseconds since 1970.
    Date,
    /// An IP address.
    Address,
    /// Milliseconds become whole nanoseconds.
    Nanoseconds,
    /// Milliseconds become seconds, as protobuf's JSON has them: `"1.5s"`.
    Seconds,
    /// One of ECS' three words for outcomes.
    Outcome,
    /// `1.1` becomes `HTTP/1.1`.
    HttpVersion,
}

/// Says what a call site is, as far as names are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Event,
    /// A record of the `log` facade.
    Record,
    /// The access log.
    Access,
    Span,
}

/// What is known of a field before it has a value.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) place: Place,
    pub(crate) form: Form,
    /// Its value is a secret.
    pub(crate) hidden: bool,
    /// The key as it stands in the line, with what is around it.
    pub(crate) key: Box<[u8]>,
    /// The key in the nested object, for values that the form does not take.
    pub(crate) spare: Box<[u8]>,
    /// What it is called in the OTLP record; empty if it is not there.
    pub(crate) attribute: Box<str>,
}

impl Known {
    /// Tells whether the field, or a value of it that does not fit, uses this key.
    pub(crate) fn uses(&self, place: Place, key: &[u8]) -> bool {
        if place == Place::Attribute {
            return self.attribute.as_bytes() == key;
        }
        (self.place == place && *self.key == *key)
            || (place == Place::Nested && !self.spare.is_empty() && *self.spare == *key)
    }
}

/// The target of the access log.
pub(crate) const ACCESS: &str = "meshwise::access";
/// What the field is called that tells how many lines were suppressed.
pub(crate) const SUPPRESSED: &str = "suppressed";
/// Attributes that an OTLP record may have, besides its event's own.
pub(crate) const TARGET: &str = "target";
pub(crate) const REQUEST_ID: &str = "request_id";
pub(crate) const CODE_FILE_PATH: &str = "code.file.path";
pub(crate) const CODE_LINE_NUMBER: &str = "code.line.number";
/// What a span's member is called that tells that not all fields are there.
pub(crate) const FIELDS_CUT: &str = "fields_cut";

impl Style {
    /// Finds out what becomes of the fields of a call site, in their order.
    pub(crate) fn all_known<'n>(
        &self,
        source: Source,
        names: impl Iterator<Item = &'n str>,
    ) -> Box<[Known]> {
        let mut known: Vec<Known> = Vec::new();
        for name in names {
            let next = self.known(source, name, |place, key| {
                !known.iter().any(|known| known.uses(place, key))
            });
            known.push(next);
        }
        known.into()
    }

    /// Finds out what becomes of a field, among keys that are still free.
    pub(crate) fn known(
        &self,
        source: Source,
        name: &str,
        free: impl Fn(Place, &[u8]) -> bool,
    ) -> Known {
        let name = name.strip_prefix("r#").unwrap_or(name);
        let hidden = self.redaction.hides(name);
        let attribute = self.attribute(source, name, &free);
        let at = |place, form, key, spare| Known { place, form, hidden, key, spare, attribute };
        let none = Box::<[u8]>::default;
        if source != Source::Span && name == "message" && free(Place::Message, &[]) {
            return at(Place::Message, Form::Plain, none(), none());
        }
        if source == Source::Record
            && matches!(name, "log.target" | "log.module_path" | "log.file" | "log.line")
        {
            return at(Place::Nowhere, Form::Plain, none(), none());
        }
        if let Some((place, wanted, form)) = self.wanted(source, name) {
            let key = self.key(wanted);
            if free(place, &key) {
                let spare = match form {
                    Form::Plain | Form::Text => none(),
                    _ => self.nested(source, name, &free),
                };
                return at(place, form, key, spare);
            }
        }
        let place = if self.format.is_json() { Place::Nested } else { Place::Line };
        let form = if self.format == LogFormat::Ecs { Form::Text } else { Form::Plain };
        at(place, form, self.nested(source, name, &free), none())
    }

    /// Finds the name of an attribute, with a number behind it if it must; attributes have unique names.
    fn attribute(
        &self,
        source: Source,
        name: &str,
        free: &impl Fn(Place, &[u8]) -> bool,
    ) -> Box<str> {
        let is_body = name == "message" && free(Place::Message, &[]);
        if !self.records || source == Source::Span || is_body {
            return Box::default();
        }
        let is_free = |name: &String| !is_own(name) && free(Place::Attribute, name.as_bytes());
        let numbered = (2_u32..).map(|number| format!("{name}_{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        names.find(is_free).unwrap_or_default().into()
    }

    /// Finds a key in the nested object.
    fn nested(
        &self,
        source: Source,
        name: &str,
        free: &impl Fn(Place, &[u8]) -> bool,
    ) -> Box<[u8]> {
        let (place, name) = match self.format {
            LogFormat::Ecs => (Place::Nested, ecs::label(name)),
            LogFormat::Json | LogFormat::Gcp => (Place::Nested, name.to_owned()),
            LogFormat::Pretty | LogFormat::Logfmt => (Place::Line, format!("fields.{name}")),
        };
        let mut key = self.key(&name);
        let labels = if source == Source::Span { &[] } else { &*self.labels };
        let own = |key: &[u8]| labels.starts_with(key);
        // A call site has finitely many fields, so one of these is free.
        let mut number = 1_u32;
        while !free(place, &key) || own(&key) {
            number += 1;
            key = self.key(&format!("{name}_{number}"));
        }
        key
    }

    /// Finds where a field should stand, unless the line itself uses that name.
    fn wanted<'n>(&self, source: Source, name: &'n str) -> Option<(Place, &'n str, Form)> {
        let (place, name, form) = match (self.format, source) {
            (LogFormat::Ecs, Source::Span) => return None,
            (LogFormat::Ecs, _) => {
                let (name, form) = match (name, source) {
                    ("duration_ms", Source::Access) => ("event.duration", Form::Nanoseconds),
                    ("outcome", Source::Access) | ("event.outcome", _) => {
                        ("event.outcome", Form::Outcome)
                    }
                    ("network.protocol.version", Source::Access) => ("http.version", Form::Text),
                    ("error", _) => ("error.message", Form::Text),
                    _ => ecs::find(name)?,
                };
                (Place::Line, name, form)
            }
            (LogFormat::Gcp, Source::Access) => match request(name) {
                Some((name, form)) => (Place::Request, name, form),
                None => (Place::Line, name, Form::Plain),
            },
            _ => (Place::Line, name, Form::Plain),
        };
        let taken = place == Place::Line
            && match self.format.is_json() {
                true => reserved(self.format, source, name),
                // What is no part of a key becomes `_`, so that other names become the same.
                false => {
                    let mut key = Vec::new();
                    escape::key(&mut key, name);
                    reserved(self.format, source, &String::from_utf8_lossy(&key))
                }
            };
        (!taken).then_some((place, name, form))
    }

    /// Writes a key with what is around it.
    pub(crate) fn key(&self, name: &str) -> Box<[u8]> {
        let mut out = Vec::new();
        if self.format.is_json() {
            out.push(b',');
            escape::json_string(&mut out, name);
            out.push(b':');
        } else {
            out.push(b' ');
            escape::key(&mut out, name);
            out.push(b'=');
        }
        out.into()
    }
}

/// Tells whether a record uses a name itself.
fn is_own(name: &str) -> bool {
    matches!(name, TARGET | REQUEST_ID | CODE_FILE_PATH | CODE_LINE_NUMBER | SUPPRESSED)
}

/// Finds what a field of the access log is in Cloud Logging's `HttpRequest`. Its 64-bit numbers are
/// texts, as protobuf's JSON has them.
fn request(name: &str) -> Option<(&'static str, Form)> {
    Some(match name {
        "http.request.method" => ("requestMethod", Form::Text),
        "url.full" | "url.path" => ("requestUrl", Form::Text),
        "http.response.status_code" => ("status", Form::Integer),
        "http.request.body.size" => ("requestSize", Form::Text),
        "http.response.body.size" => ("responseSize", Form::Text),
        "user_agent.original" => ("userAgent", Form::Text),
        "client.address" => ("remoteIp", Form::Text),
        "network.protocol.version" => ("protocol", Form::HttpVersion),
        "duration_ms" => ("latency", Form::Seconds),
        _ => return None,
    })
}

/// Tells whether it is one of meshwise's own names, which JSON and logfmt use as they are.
fn plain(name: &str) -> bool {
    matches!(
        name,
        "timestamp"
            | "level"
            | "target"
            | "message"
            | "service.name"
            | "service.version"
            | "service.namespace"
            | "service.instance.id"
            | "deployment.environment.name"
            | "trace_id"
            | "span_id"
            | "trace_flags"
            | "request_id"
            | "spans"
            | SUPPRESSED
    )
}

/// Tells whether a line, or a span within it, uses a name itself.
fn reserved(format: LogFormat, source: Source, name: &str) -> bool {
    if source == Source::Span {
        return match format {
            LogFormat::Json | LogFormat::Ecs | LogFormat::Gcp => {
                matches!(name, "name" | "fields" | FIELDS_CUT)
            }
            LogFormat::Logfmt | LogFormat::Pretty => {
                name == FIELDS_CUT || name.starts_with("fields.")
            }
        };
    }
    match format {
        LogFormat::Json => plain(name) || name == "fields",
        LogFormat::Ecs => matches!(
            name,
            "@timestamp"
                | "log.level"
                | "message"
                | "ecs.version"
                | "log.logger"
                | "log.origin.file.name"
                | "log.origin.file.line"
                | "service.name"
                | "service.version"
                | "service.node.name"
                | "service.environment"
                | "event.dataset"
                | "trace.id"
                | "span.id"
                | "http.request.id"
        ),
        LogFormat::Gcp => {
            // What Cloud Logging takes out of a line ("Special JSON fields").
            matches!(
                name,
                "time"
                    | "timestamp"
                    | "timestampSeconds"
                    | "timestampNanos"
                    | "severity"
                    | "message"
                    | "httpRequest"
                    | "target"
                    | "serviceContext"
                    | "service.namespace"
                    | "service.instance.id"
                    | "deployment.environment.name"
                    | "request_id"
                    | "fields"
                    | "spans"
                    | SUPPRESSED
            ) || name
                .strip_prefix("logging.googleapis.com/")
                // This one is a text, and the user's to set.
                .is_some_and(|name| name != "insertId")
        }
        LogFormat::Logfmt => {
            plain(name) || name.starts_with("fields.") || name.starts_with("spans.")
        }
        LogFormat::Pretty => matches!(name, "trace_id" | SUPPRESSED) || name.starts_with("fields."),
    }
}
