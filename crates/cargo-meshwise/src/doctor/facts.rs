//! Everything the rules may look at. They read no file and no variable themselves.

use std::collections::BTreeMap;

use super::{
    directives::Directives,
    graph::{Graph, Node},
    manifest::Manifest,
    place::Place,
    source::Source,
};

/// What is known of the service.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) graph: Graph,
    /// The package's manifest.
    pub(crate) manifest: Manifest,
    /// The workspace's manifest, where it is another file.
    pub(crate) workspace: Option<Manifest>,
    pub(crate) sources: Vec<Source>,
    /// The variables that telemetry reads: `RUST_LOG`, `OTEL_*`, `MESHWISE_*`.
    pub(crate) env: BTreeMap<String, String>,
}

impl Facts {
    /// Finds the line that sets a dependency's version, in the workspace's manifest if it is inherited.
    pub(crate) fn dependency(&self, name: &str) -> Option<Place> {
        let own = self.manifest.dependency(name)?;
        let inherited = own.text.contains("workspace").then(|| {
            self.workspace.as_ref().unwrap_or(&self.manifest).find_workspace_dependency(name)
        });
        Some(inherited.flatten().unwrap_or(own))
    }

    /// Finds the package's own line for a dependency: where its features are chosen.
    pub(crate) fn features_of(&self, name: &str) -> Option<Place> {
        self.manifest.dependency(name)
    }

    /// Finds the node of meshwise's front door.
    pub(crate) fn mesh(&self) -> Option<&Node> {
        self.graph.named("meshwise").next()
    }

    /// Reads a variable; an empty one counts as unset, as OpenTelemetry has it.
    pub(crate) fn env(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(crate) fn filter(&self, name: &str) -> Option<(&str, Directives)> {
        self.env(name).map(|text| (text, Directives::parse(text)))
    }

    /// Tells whether exporting is switched off altogether.
    pub(crate) fn sdk_disabled(&self) -> bool {
        self.env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Reads a setting of the OTLP exporter of traces, its own variable before the general one.
    pub(crate) fn otlp(&self, what: &str) -> Option<(String, &str)> {
        ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"].iter().find_map(|prefix| {
            let name = format!("{prefix}{what}");
            self.env(&name).map(|value| (name, value))
        })
    }

    /// Finds where an endpoint with `https` is set: a variable, or `.with_endpoint("https...`.
    ///
    /// The endpoint itself is not returned, because people put tokens into URLs.
    pub(crate) fn https_endpoint(&self) -> Option<(String, Option<Place>)> {
        if let Some((name, value)) = self.otlp("ENDPOINT") {
            return is_https(value).then(|| (format!("{name} begins with https://"), None));
        }
        self.sources.iter().find_map(|source| {
            let at = source
                .find(".with_endpoint(")
                .find(|at| source.literal_after(*at).is_some_and(is_https))?;
            let place = source.place(at);
            Some((format!("{}:{} sets an https endpoint", place.file, place.line), Some(place)))
        })
    }

    /// Finds the first place in the source where something is called.
    pub(crate) fn call(&self, needle: &str) -> Option<Place> {
        self.sources.iter().find_map(|source| {
            let at = source.find(needle).next()?;
            Some(source.place(at))
        })
    }
}

pub(crate) fn is_https(url: &str) -> bool {
    url.trim_start().get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
}
