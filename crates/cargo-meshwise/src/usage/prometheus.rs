//! Asking a server with Prometheus's HTTP API: Prometheus, Thanos, Mimir, `VictoriaMetrics`.

use std::collections::{BTreeMap, BTreeSet};

use meshwise_api::ApiId;
use serde::Deserialize;

use super::{
    Usage, UsageError, Window,
    plan::{Answers, Caller, Instance, Plan, assess},
    promql::Selector,
};

/// A service in more jobs than this is not one.
const MAX_JOBS: usize = 20;

/// The names and values of a question.
pub(crate) type Params = Vec<(&'static str, String)>;

/// Carries a question to a server and its answer back.
pub(crate) trait Backend {
    /// Asks a path below the server's address, such as `api/v1/query`; returns the answer's body,
    /// also that of a refusal (400 and 422 carry the server's words as JSON).
    ///
    /// # Errors
    /// If there is no answer, or one too large.
    fn ask(
        &self,
        path: &str,
        params: &Params,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

    /// Names the server for people, without a password.
    fn name(&self) -> String;
}

/// Asks about the calls of a version.
#[derive(Clone, Debug)]
pub(crate) struct Prometheus<B> {
    backend: B,
    job: Option<String>,
    matches: Vec<(String, String)>,
    resolution: Window,
    instances: u32,
    by_request: bool,
}

impl<B: Backend> Prometheus<B> {
    /// Creates the asker; without [`with_job`](Self::with_job) the service's jobs are found by the
    /// gauge.
    pub(crate) fn new(backend: B, resolution: Window) -> Self {
        Self { backend, job: None, matches: Vec::new(), resolution, instances: 1, by_request: true }
    }

    /// Looks at one job alone.
    #[must_use]
    pub(crate) fn with_job(mut self, job: Option<String>) -> Self {
        self.job = job;
        self
    }

    /// Looks only at series, `up` among them, that have these labels.
    #[must_use]
    pub(crate) fn with_matches(mut self, matches: Vec<(String, String)>) -> Self {
        self.matches = matches;
        self
    }

    /// Asks for at least so many instances at any time, so that one which no one scrapes is missed.
    /// Default: 1.
    #[must_use]
    pub(crate) fn with_instances(mut self, instances: u32) -> Self {
        self.instances = instances.max(1);
        self
    }

    /// Sets whether calls come as requests, so that one which no route fits may be for the version.
    /// Default: yes; messages do not.
    #[must_use]
    pub(crate) fn with_requests(mut self, by_request: bool) -> Self {
        self.by_request = by_request;
        self
    }

    /// Finds out who called a version over the window that ends now, in seconds since 1970.
    ///
    /// # Errors
    /// If the server was not reached, refused a question or answered nonsense. Holes in what it
    /// knows are no error but [gaps](Usage::gaps).
    pub(crate) fn usage(
        &self,
        about: &ApiId,
        window: Window,
        now: i64,
    ) -> Result<Usage, UsageError> {
        let plan = Plan::new(window, self.resolution, now);
        let select = Selector::new(about, self.job.as_deref(), &self.matches);
        let mut answers = Answers { wanted: self.instances, ..Answers::default() };

        let by_instance = |query: String, warnings: &mut BTreeSet<String>| {
            let answer = self.instant(&plan, query)?;
            warnings.extend(answer.warnings);
            let mut map = BTreeMap::new();
            for (labels, value) in answer.values {
                map.insert(labels.instance(), value);
            }
            Ok::<BTreeMap<Instance, f64>, UsageError>(map)
        };
        let warnings = &mut answers.warnings;
        answers.counted = by_instance(select.counted(&plan), warnings)?;
        answers.first = by_instance(select.first(&plan), warnings)?;
        answers.last = by_instance(select.last(&plan), warnings)?;
        answers.since = by_instance(select.since(&plan), warnings)?;
        let jobs: BTreeSet<String> = answers.counted.keys().map(|(job, _)| job.clone()).collect();
        if jobs.len() > MAX_JOBS {
            return Err(UsageError::Refused {
                server: self.backend.name(),
                query: select.counted(&plan),
                message: format!("{} jobs serve it; name one with --job", jobs.len()),
            });
        }
        for job in &jobs {
            answers.tried.extend(by_instance(select.tried(&plan, job), warnings)?);
        }

        let risen = self.instant(&plan, select.risen(&plan))?;
        answers.warnings.extend(risen.warnings);
        for (labels, value) in risen.values {
            *answers.risen.entry(labels.caller()).or_default() += value;
        }
        if self.by_request {
            let [unrouted, strange] = select.untold(&plan);
            answers.unrouted = by_instance(unrouted, &mut answers.warnings)?;
            answers.strange = by_instance(strange, &mut answers.warnings)?;
        }
        let newborn = self.instant(&plan, select.newborn(&plan))?;
        answers.warnings.extend(newborn.warnings);
        for (labels, value) in newborn.values {
            answers.newborn.push((labels.caller(), labels.instance(), value));
        }
        let (steps, warnings) = self.steps(&plan, &select.any(&plan))?;
        answers.steps = steps;
        answers.warnings.extend(warnings);
        Ok(assess(about, &plan, &answers))
    }

    /// Asks an instant query for the values at the end of the window.
    fn instant(&self, plan: &Plan, query: String) -> Result<QueryAnswer, UsageError> {
        let params = vec![("query", query), ("time", plan.time().to_string())];
        let (data, warnings) = self.ask("api/v1/query", &params)?;
        let nonsense = |message: &str| self.nonsense(&params, message);
        let Data::Vector { result } = data else {
            return Err(nonsense("not a vector"));
        };
        let mut values = Vec::with_capacity(result.len());
        let mut seen = BTreeSet::new();
        for Sample { metric, value: (_, value) } in result {
            let value: f64 = value.parse().map_err(|_| nonsense("a value that is no number"))?;
            if !value.is_finite() || value < 0.0 {
                return Err(nonsense("a count that is negative, or no number"));
            }
            if !seen.insert(metric.clone()) {
                return Err(nonsense("one series twice"));
            }
            values.push((metric, value));
        }
        Ok(QueryAnswer { values, warnings })
    }

    /// Asks a range query for the steps in which enough instances were seen.
    fn steps(&self, plan: &Plan, query: &str) -> Result<(BTreeSet<i64>, Vec<String>), UsageError> {
        let params = vec![
            ("query", query.to_owned()),
            ("start", plan.first().to_string()),
            ("end", plan.last.to_string()),
            ("step", plan.step.to_string()),
        ];
        let (data, warnings) = self.ask("api/v1/query_range", &params)?;
        let Data::Matrix { result } = data else {
            return Err(self.nonsense(&params, "not a matrix"));
        };
        let mut steps = BTreeSet::new();
        for Series { values } in result {
            for (time, value) in values {
                let counted: f64 = value
                    .parse()
                    .map_err(|_| self.nonsense(&params, "a value that is no number"))?;
                let whole = time as i64;
                let asked = (plan.first()..=plan.last).contains(&whole)
                    && (whole - plan.last) % plan.step == 0;
                if (whole as f64 - time).abs() > 0.001 || !asked {
                    return Err(self.nonsense(&params, "a moment that was not asked for"));
                }
                if counted >= f64::from(self.instances) {
                    steps.insert(whole);
                }
            }
        }
        Ok((steps, warnings))
    }

    fn ask(&self, path: &str, params: &Params) -> Result<(Data, Vec<String>), UsageError> {
        let body = self
            .backend
            .ask(path, params)
            .map_err(|source| UsageError::Unreachable { server: self.backend.name(), source })?;
        let envelope: Envelope = serde_json::from_slice(&body)
            .map_err(|error| self.nonsense(params, &error.to_string()))?;
        match envelope {
            Envelope::Success { data, warnings } => Ok((data, warnings)),
            Envelope::Error { error } => Err(UsageError::Refused {
                server: self.backend.name(),
                query: query_of(params),
                message: error.chars().take(300).collect(),
            }),
        }
    }

    fn nonsense(&self, params: &Params, message: &str) -> UsageError {
        UsageError::Nonsense {
            server: self.backend.name(),
            query: query_of(params),
            message: message.chars().take(300).collect(),
        }
    }
}

fn query_of(params: &Params) -> String {
    params.first().map(|(_, query)| query.clone()).unwrap_or_default()
}

struct QueryAnswer {
    values: Vec<(Labels, f64)>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Envelope {
    Success {
        data: Data,
        #[serde(default)]
        warnings: Vec<String>,
    },
    Error {
        #[serde(default)]
        error: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "resultType", rename_all = "lowercase")]
enum Data {
    Vector { result: Vec<Sample> },
    Matrix { result: Vec<Series> },
    Scalar {},
    String {},
}

#[derive(Deserialize)]
struct Sample {
    metric: Labels,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Series {
    values: Vec<(f64, String)>,
}

/// The labels that questions group by; those that a series lacks are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Labels {
    #[serde(default)]
    caller: String,
    #[serde(default)]
    caller_verified: String,
    #[serde(default)]
    job: String,
    #[serde(default)]
    instance: String,
}

impl Labels {
    fn instance(&self) -> Instance {
        (self.job.clone(), self.instance.clone())
    }

    /// Returns the caller, and whether its name was proved.
    fn caller(&self) -> Caller {
        let name = match self.caller.is_empty() {
            true => meshwise_api::names::UNKNOWN.to_owned(),
            false => self.caller.clone(),
        };
        (name, self.caller_verified == "true")
    }
}
