//! Grafana's dashboards as JSON, as much of them as we write.
//!
//! Grafana's own strict schemas judge what comes out (`cargo xtask interop dashboards`).

use serde_json::{Value, json};

/// The rate's window; Grafana puts four scrape intervals here, or more.
pub(super) const WINDOW: &str = "$__rate_interval";
/// Chooses the services and instances that are looked at.
pub(super) const CHOSEN: &str = r#"job=~"$job",instance=~"$instance""#;

const COLUMNS: u32 = 24;
const SCHEMA_VERSION: u32 = 39;
const SOURCE: &str = "${datasource}";

/// Describes one page.
#[derive(Debug)]
pub(super) struct Dashboard {
    /// The file's name, and the end of the dashboard's uid.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) rows: Vec<(&'static str, Vec<Panel>)>,
}

/// Describes one panel; width and height are in Grafana's grid.
#[derive(Debug)]
pub(super) struct Panel {
    kind: PanelKind,
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    queries: Vec<(String, &'static str)>,
    exemplars: bool,
    red_from: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PanelKind {
    Stat,
    Table,
    Timeseries,
}

impl Panel {
    fn new(kind: PanelKind, title: &'static str, description: &'static str) -> Self {
        let (unit, queries) = ("short", Vec::new());
        Self { kind, title, description, unit, queries, exemplars: false, red_from: None }
    }

    /// Shows one number.
    pub(super) fn stat(title: &'static str, description: &'static str) -> Self {
        Self::new(PanelKind::Stat, title, description)
    }

    /// Shows the labels and the newest value of each series.
    pub(super) fn table(title: &'static str, description: &'static str) -> Self {
        Self::new(PanelKind::Table, title, description)
    }

    /// Shows lines over time.
    pub(super) fn lines(title: &'static str, description: &'static str) -> Self {
        Self::new(PanelKind::Timeseries, title, description)
    }

    /// Sets Grafana's name of the unit.
    #[must_use]
    pub(super) fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Adds an expression and the name of its series.
    #[must_use]
    pub(super) fn query(mut self, legend: &'static str, expression: impl Into<String>) -> Self {
        self.queries.push((expression.into(), legend));
        self
    }

    /// Shows exemplars: a click on one opens its trace.
    #[must_use]
    pub(super) fn exemplars(mut self) -> Self {
        self.exemplars = true;
        self
    }

    /// Colours values from this one up red.
    #[must_use]
    pub(super) fn red_from(mut self, value: f64) -> Self {
        self.red_from = Some(value);
        self
    }

    fn size(&self) -> (u32, u32) {
        match self.kind {
            PanelKind::Stat => (4, 4),
            PanelKind::Timeseries => (8, 8),
            PanelKind::Table => (12, 8),
        }
    }

    fn json(&self, id: u32, (x, y): (u32, u32)) -> Value {
        let (w, h) = self.size();
        let (kind, options, custom) = match self.kind {
            PanelKind::Stat => ("stat", stat_options(), json!({})),
            PanelKind::Table => (
                "table",
                json!({"frameIndex": 0, "showHeader": true}),
                json!({"align": "auto", "inspect": false}),
            ),
            PanelKind::Timeseries => (
                "timeseries",
                timeseries_options(),
                json!({"fillOpacity": 10, "lineWidth": 1, "showPoints": "never"}),
            ),
        };
        let mut steps = vec![json!({"color": "green", "value": null})];
        steps.extend(self.red_from.map(|value| json!({"color": "red", "value": value})));
        json!({
            "id": id,
            "type": kind,
            "title": self.title,
            "description": self.description,
            "datasource": source(),
            "gridPos": {"x": x, "y": y, "w": w, "h": h},
            "targets": self.targets(),
            "options": options,
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "custom": custom,
                    "thresholds": {"mode": "absolute", "steps": steps},
                },
                "overrides": [],
            },
        })
    }

    fn targets(&self) -> Vec<Value> {
        let instant = self.kind != PanelKind::Timeseries;
        let format = if self.kind == PanelKind::Table { "table" } else { "time_series" };
        let target = |(letter, (expression, legend)): (char, &(String, &'static str))| {
            json!({
                "refId": letter.to_string(),
                "datasource": source(),
                "editorMode": "code",
                "expr": expression,
                "legendFormat": legend,
                "format": format,
                "instant": instant,
                "range": !instant,
                "exemplar": self.exemplars,
            })
        };
        ('A'..='Z').zip(&self.queries).map(target).collect()
    }
}

impl Dashboard {
    /// Writes the page. Panels stand in their rows from left to right, as many as fit beside
    /// each other.
    pub(super) fn json(&self) -> Value {
        let mut panels = Vec::new();
        let (mut id, mut y) = (1, 0);
        for (title, row) in &self.rows {
            panels.push(json!({
                "id": id,
                "type": "row",
                "title": title,
                "collapsed": false,
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
                "panels": [],
            }));
            (id, y) = (id + 1, y + 1);
            let (mut x, mut tallest) = (0, 0);
            for panel in row {
                let (width, height) = panel.size();
                if x + width > COLUMNS {
                    (x, y, tallest) = (0, y + tallest, 0);
                }
                panels.push(panel.json(id, (x, y)));
                (id, x, tallest) = (id + 1, x + width, tallest.max(height));
            }
            y += tallest;
        }
        json!({
            "uid": format!("meshwise-{}", self.name),
            "title": self.title,
            "description": self.description,
            "tags": ["meshwise"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "30s",
            "timezone": "browser",
            "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": variables()},
            "annotations": {"list": []},
            "links": [links()],
            "panels": panels,
        })
    }

    /// Lists the expressions of all panels, with the panels' titles.
    #[cfg(test)]
    pub(super) fn expressions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let panels = self.rows.iter().flat_map(|(_, panels)| panels);
        panels
            .flat_map(|panel| panel.queries.iter().map(|(query, _)| (panel.title, query.as_str())))
    }
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": SOURCE})
}

/// Makes the three variables of every page: where metrics are, and whose are looked at.
fn variables() -> Vec<Value> {
    use meshwise_core::internal::catalogue::BUILD_INFO;
    let of_labels = |name: &str, label: &str, query: String| {
        json!({
            "type": "query",
            "name": name,
            "label": label,
            "datasource": source(),
            "query": query,
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        })
    };
    vec![
        json!({
            "type": "datasource",
            "name": "datasource",
            "label": "Metrics",
            "query": "prometheus",
            "refresh": 1,
        }),
        of_labels("job", "Service", format!("label_values({BUILD_INFO}, job)")),
        of_labels(
            "instance",
            "Instance",
            format!("label_values({BUILD_INFO}{{job=~\"$job\"}}, instance)"),
        ),
    ]
}

/// Leads to the other pages, with the same services and times.
fn links() -> Value {
    json!({
        "type": "dashboards",
        "title": "meshwise",
        "icon": "external link",
        "tooltip": "",
        "tags": ["meshwise"],
        "asDropdown": true,
        "targetBlank": false,
        "includeVars": true,
        "keepTime": true,
    })
}

fn stat_options() -> Value {
    json!({
        "graphMode": "none",
        "colorMode": "value",
        "justifyMode": "auto",
        "textMode": "auto",
        "wideLayout": true,
        "showPercentChange": false,
        "percentChangeColorMode": "standard",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
    })
}

fn timeseries_options() -> Value {
    json!({
        "legend": {"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    })
}
