//! A Prometheus that is started, and asked.

use crate::interop::{
    kits::Kits,
    process::{Server, free_port, get, target, wait_for},
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap, fmt::Write as _, net::SocketAddr, path::PathBuf, process::Command,
};

pub(in crate::interop) struct Prometheus {
    address: SocketAddr,
    _server: Server,
}

impl Prometheus {
    /// Starts one that scrapes these services each second, with nothing in its storage.
    pub(in crate::interop) fn start(
        kits: &Kits,
        name: &str,
        features: &str,
        services: &[(String, SocketAddr)],
    ) -> anyhow::Result<Self> {
        Self::start_with(kits, name, features, &scrape_config(services)?)
    }

    /// Starts one that judges these rules each second too, and tells an Alertmanager.
    pub(in crate::interop) fn start_alerting(
        kits: &Kits,
        name: &str,
        services: &[(String, SocketAddr)],
        rules: &[PathBuf],
        alertmanager: &str,
    ) -> anyhow::Result<Self> {
        let mut config = scrape_config(services)?;
        config = config.replacen("global:\n", "global:\n  evaluation_interval: 1s\n", 1);
        config.push_str("rule_files:\n");
        for file in rules {
            writeln!(config, "  - {}", file.display())?;
        }
        write!(
            config,
            "alerting:\n  alertmanagers:\n    - static_configs:\n        \
             - targets: ['{alertmanager}']\n"
        )?;
        Self::start_with(kits, name, "exemplar-storage", &config)
    }

    fn start_with(kits: &Kits, name: &str, features: &str, text: &str) -> anyhow::Result<Self> {
        let folder = target().join("interop/prometheus").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, text)?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let server = Server::start(
            Command::new(&kits.prometheus)
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .arg(format!("--enable-feature={features}")),
        )?;
        Ok(Self { address, _server: server })
    }

    /// Waits until so many targets were scraped.
    pub(in crate::interop) fn wait_for_targets(&self, targets: usize) -> anyhow::Result<()> {
        wait_for(&format!("{targets} healthy targets"), || {
            let up = self.query("sum(up)")?;
            Ok((up.map(|up| up.round() as usize) == Some(targets)).then_some(()))
        })
    }

    /// Waits until it has samples of all these metrics of a service.
    pub(in crate::interop) fn wait_for_metrics<'a>(
        &self,
        service: &str,
        metrics: impl Iterator<Item = &'a str>,
    ) -> anyhow::Result<()> {
        for metric in metrics {
            let expression = format!("count({metric}{{job=\"{service}\"}})");
            wait_for(&format!("Prometheus to know {metric} of {service}"), || {
                self.query(&expression)
            })?;
        }
        Ok(())
    }

    /// Asks for the value of an expression, `None` if it has none yet.
    pub(in crate::interop) fn query(&self, expression: &str) -> anyhow::Result<Option<f64>> {
        let answer = self.ask("query", expression)?;
        let value = &answer["data"]["result"][0]["value"][1];
        Ok(value.as_str().and_then(|value| value.parse().ok()))
    }

    /// Asks for all series of an expression, with their values.
    pub(in crate::interop) fn series(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self.ask("query", expression)?;
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// Asks for all exemplars of some series: the span of each trace.
    pub(in crate::interop) fn exemplars(
        &self,
        selector: &str,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let answer = self.ask("query_exemplars", selector)?;
        let series = answer["data"].as_array().context("a list of series")?;
        let mut found = BTreeMap::new();
        for exemplar in series.iter().filter_map(|series| series["exemplars"].as_array()).flatten()
        {
            let label = |name| exemplar["labels"][name].as_str().map(str::to_owned);
            let ids = label("trace_id").zip(label("span_id"));
            let (trace, span) = ids.with_context(|| format!("{exemplar} names no span"))?;
            found.insert(trace, span);
        }
        Ok(found)
    }

    fn ask(&self, what: &str, expression: &str) -> anyhow::Result<Value> {
        let encoded: String = expression.bytes().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "%{byte:02x}");
            out
        });
        let (status, body) = get(self.address, &format!("/api/v1/{what}?query={encoded}"))?;
        ensure!(status == 200, "{expression}: {status} {body}");
        serde_json::from_str(&body).context("the answer is JSON")
    }
}

fn scrape_config(services: &[(String, SocketAddr)]) -> anyhow::Result<String> {
    let mut config = String::from("global:\n  scrape_interval: 1s\nscrape_configs:\n");
    for (name, address) in services {
        write!(
            config,
            "  - job_name: {name}\n    static_configs:\n      - targets: ['{address}']\n"
        )?;
    }
    Ok(config)
}
