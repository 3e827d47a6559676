//! `cargo meshwise export`, and `dashboards` and `rules`, which write for other tools too.

use clap::{Args, Subcommand};
use meshwise_api::{Document, Provides};
use serde_json::json;
use url::Url;

use super::Context;
use crate::{
    cli::{DashboardsOptions, RulesOptions},
    contract, dashboards,
    exit::{Exit, Failure, OrExit as _},
    export::{backstage, linkset, yaml},
    output::count,
    rules,
    store::{Need, OpenOptions},
};

/// The options of `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    /// For whom
    #[command(subcommand)]
    pub target: ExportTarget,
}

/// Names a form that other tools read.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub(crate) enum ExportTarget {
    /// An API catalog of RFC 9727 (application/linkset+json)
    Linkset {
        /// The URL under which a version's page is found as BASE/API/VERSION
        #[arg(long, value_name = "URL")]
        base: Url,
    },
    /// Entities for Backstage's catalog (catalog-info.yaml)
    Backstage,
}

/// Writes the dictionary for other tools.
///
/// # Errors
/// `Usage` for a base that is no http or https URL; what keeps the dictionary out of reach.
pub(crate) fn run(options: &ExportOptions, context: &mut Context) -> Result<Exit, Failure> {
    let today = context.today()?;
    if let ExportTarget::Linkset { base } = &options.target
        && !matches!(base.scheme(), "http" | "https")
    {
        let message = format!("{base} is no http or https URL");
        return Err(Failure::message(Exit::Usage, message));
    }
    let opened = context.open_heads(&OpenOptions::default(), &Need::All)?;
    let declarations: Vec<_> = opened.dictionary.services().map(Document::declaration).collect();
    match &options.target {
        ExportTarget::Linkset { base } => {
            let linkset = linkset(&declarations, base, today);
            // The linkset is JSON for people too.
            context.answer(&opened, Exit::Ok, &linkset, |out| out.json(&linkset))
        }
        ExportTarget::Backstage => {
            let documents: Vec<&Document> = opened.dictionary.services().collect();
            // The description of the version that a newcomer would use.
            let text = |document: &Document, provides: &Provides| {
                let live = provides.versions.iter().filter(|it| it.state(today).is_live());
                let newest = live.max_by(|a, b| {
                    let versions = a.version.partial_cmp(&b.version);
                    versions.unwrap_or(std::cmp::Ordering::Equal)
                })?;
                let named = document.contract(&provides.api, newest.version.as_str())?;
                let bytes = contract::read(&opened.store, named).ok()?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            };
            let entities = backstage(&documents, today, text);
            let value = json!({ "entities": entities });
            context.answer(&opened, Exit::Ok, &value, |out| out.text(yaml(&entities)))
        }
    }
}

/// Writes Grafana's dashboards.
///
/// # Errors
/// `Usage` when a file cannot be written there.
pub(crate) fn dashboards(
    options: &DashboardsOptions,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let folder = &options.folder;
    let written = dashboards::write(folder).or_exit(Exit::Usage)?;
    context.out.either(&json!({ "written": written }), |out| {
        let dashboards = count(written.len(), "dashboard");
        out.line(format_args!("wrote {dashboards} to {}", folder.display()))?;
        out.line("next: import them into Grafana, or name the folder in its provisioning")
    })?;
    Ok(Exit::Ok)
}

/// Writes Prometheus' rules.
///
/// # Errors
/// `Usage` for a file of objectives that cannot be read or is none, and when a file cannot be
/// written.
pub(crate) fn rules(options: &RulesOptions, context: &mut Context) -> Result<Exit, Failure> {
    let RulesOptions { folder, slo, console, runbooks } = options;
    let rules = rules::write(folder, slo, console, runbooks).or_exit(Exit::Usage)?;
    let (written, alerts) = (rules.written, rules.alerts);
    context.out.either(&json!({ "written": written, "alerts": alerts }), |out| {
        let (files, alerts) = (count(written.len(), "file"), count(alerts, "alert"));
        out.line(format_args!("wrote {files} with {alerts} to {}", folder.display()))?;
        out.line("next: name them under rule_files in prometheus.yml")
    })?;
    Ok(Exit::Ok)
}
