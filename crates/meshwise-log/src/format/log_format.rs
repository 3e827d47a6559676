//! The formats of lines, by name.

/// Names what lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object a line: `timestamp`, `level`, `target`, `message`, `service.name`,
    /// `service.version` (and, if they are said, `service.namespace`, `service.instance.id` and
    /// `deployment.environment.name`), `trace_id`, `span_id`, `trace_flags`, `request_id`, then the
    /// event's own fields. Those whose names are taken stand under `fields`; the `tracing` spans
    /// around the event under `spans`, the outermost first. Keys are unique in each object.
    Json,
    /// For people at a terminal.
    Pretty,
    /// `key=value` pairs: those of [`LogFormat::Json`]. Fields whose names are taken have `fields.`
    /// before them; `spans` names the spans, the outermost first, and their fields follow as
    /// `spans.0.order=7`.
    Logfmt,
    /// JSON after the Elastic Common Schema 9: `@timestamp`, `log.level`, `trace.id`, ...
    ///
    /// A field stands in the line itself if the schema has its name and the value is of its type;
    /// everything else stands under `labels`, as a text, with `_` for dots. `error` is
    /// `error.message`, and OpenTelemetry's names become the schema's. Spans stand under
    /// `meshwise.spans`. So no line is refused because of a field's name or type.
    Ecs,
    /// JSON as Google Cloud Logging reads it: `severity`, `logging.googleapis.com/trace`, ...; lines
    /// of the access log fill `httpRequest`.
    Gcp,
}

impl LogFormat {
    pub(crate) const fn as_word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Pretty => "pretty",
            Self::Logfmt => "logfmt",
            Self::Ecs => "ecs",
            Self::Gcp => "gcp",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "json" => Self::Json,
            "pretty" => Self::Pretty,
            "logfmt" => Self::Logfmt,
            "ecs" => Self::Ecs,
            "gcp" => Self::Gcp,
            _ => return None,
        })
    }

    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ecs | Self::Gcp)
    }
}
