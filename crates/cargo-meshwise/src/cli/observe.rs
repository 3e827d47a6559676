//! What the commands that write files for Grafana and Prometheus are told.

use std::path::PathBuf;

use clap::Args;
use url::Url;

/// The options of `dashboards`.
#[derive(Debug, Args)]
pub(crate) struct DashboardsOptions {
    /// The folder that the files are written to; it is made if it is missing
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// The options of `rules`.
#[derive(Debug, Args)]
pub(crate) struct RulesOptions {
    /// The folder that the files are written to; it is made if it is missing
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// A file of objectives in `OpenSLO`'s form (openslo/v1, kind SLO); may be given several times
    #[arg(long, value_name = "FILE")]
    pub slo: Vec<PathBuf>,
    /// Where the console is, for the links of alerts
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4320")]
    pub console: Url,
    /// Where the runbooks are: the folder that holds breaker-open.md and the others
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://github.com/meshwise/meshwise/blob/main/docs/runbooks"
    )]
    pub runbooks: Url,
}
