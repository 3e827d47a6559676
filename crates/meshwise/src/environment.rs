//! What is wrong with what the operator says, gathered so that one start names all of it, and what is said
//! of the environment at the start.

use crate::{error::InstallError, settings::missing_feature};
use meshwise_core::{
    Env, EnvError,
    settings::{Problem, Settings, SettingsError, Source},
};
use meshwise_http::Tracing;
use meshwise_log::LogHandle;
use meshwise_metrics::Metrics;
use tracing::Dispatch;

/// What is wrong or may be, as it is found.
///
/// With `MESHWISE_STRICT` all that is only told otherwise is an error. It is one error with whatever else
/// is wrong: so the parts are set up as far as they can be before it is returned.
pub(crate) struct Gathered {
    env: Env,
    is_strict: bool,
    /// What is an error in any case.
    pub(crate) problems: Vec<Problem>,
    /// What may be wrong, in sentences.
    pub(crate) notices: Vec<String>,
}

impl Gathered {
    pub(crate) fn new(env: &Env) -> Self {
        let (is_strict, problems) = match env.is_strict() {
            Ok(is_strict) => (is_strict, Vec::new()),
            Err(error) => (false, vec![problem(&error)]),
        };
        Self { env: env.gathering(), is_strict, problems, notices: Vec::new() }
    }

    /// The environment to read: it remembers what is ignored of it.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Returns what is wrong up to now, unless more is to be gathered.
    ///
    /// # Errors
    /// If anything is.
    pub(crate) fn check(&self) -> Result<(), InstallError> {
        if !self.is_strict {
            SettingsError::check(self.problems.clone())?;
        }
        Ok(())
    }

    /// Returns the error of a part that could not be set up, with all else that is wrong.
    pub(crate) fn with(mut self, error: InstallError) -> InstallError {
        self.add_findings();
        if self.problems.is_empty() {
            return error;
        }
        let own = match &error {
            InstallError::Settings(error) => error.problems().to_vec(),
            InstallError::Env(error) => vec![problem(error)],
            error => vec![Problem::new(Source::Code, "", error.to_string())],
        };
        self.add(own);
        SettingsError::check(self.problems).map_or_else(Into::into, |()| error)
    }

    /// Returns what is to be said at the start, now that all has been asked for.
    ///
    /// # Errors
    /// If something is wrong; with `MESHWISE_STRICT` that is all that would be said of the environment.
    pub(crate) fn end(
        &mut self,
        logs: &LogHandle,
        metrics: &Metrics,
        tracing: &Tracing,
    ) -> Result<Vec<String>, InstallError> {
        self.add_findings();
        SettingsError::check(self.problems.clone())?;
        let findings = self.env.findings();
        let mut notices: Vec<String> =
            findings.iter().map(|finding| format!("ignored: {finding}")).collect();
        let hints = logs.hints().iter().chain(metrics.hints()).chain(tracing.hints());
        notices.extend(hints.cloned());
        let unused: Vec<String> = unused(&self.env)
            .map(|(name, feature)| match feature {
                Some(feature) => format!("{name} (the feature `{feature}` of meshwise reads it)"),
                None => name,
            })
            .collect();
        if !unused.is_empty() {
            // Values may be credentials: they are not shown.
            let unused = unused.join(", ");
            notices.push(format!("environment variables are set and not used: {unused}"));
        }
        notices.append(&mut self.notices);
        Ok(notices)
    }

    /// Takes what would only be told as wrong, if it has to be.
    fn add_findings(&mut self) {
        if !self.is_strict {
            return;
        }
        let findings = self.env.findings();
        let findings = findings.iter().map(problem).collect::<Vec<_>>().into_iter();
        let unused = unused(&self.env).map(|(name, feature)| {
            let what = match feature {
                Some(feature) => {
                    format!("is set and not used; enable the feature `{feature}` of meshwise, or unset it")
                }
                None => "is set and not used; unset it, or MESHWISE_STRICT".to_owned(),
            };
            problem(&EnvError::other(name, what))
        });
        let notices = self.notices.drain(..).map(|notice| {
            problem(&EnvError::other("MESHWISE_STRICT", format!("is true; {notice}")))
        });
        let all: Vec<Problem> = findings.chain(unused).chain(notices).collect();
        self.add(all);
    }

    fn add(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }
}

fn problem(error: &EnvError) -> Problem {
    let name = error.variable();
    Problem::new(Source::Variable(name.into()), name, error.problem())
}

/// Lists what of OpenTelemetry's is set and was not asked for, and the feature that would ask.
fn unused(env: &Env) -> impl Iterator<Item = (String, Option<&'static str>)> {
    let known = Settings::standard_variables();
    // What is not known of ours is an error by now; the rest is for tools, and not for the service.
    let unused = env.unused().into_iter().filter(|name| !name.starts_with("MESHWISE_"));
    unused.map(move |name| {
        let mut of = known.iter().filter(|(known, _)| *known == name);
        let feature = of.find_map(|(_, path)| missing_feature(path));
        (name, feature)
    })
}

/// Says it, once.
pub(crate) fn announce(notices: &[String], dispatch: &Dispatch) {
    tracing::dispatcher::with_default(dispatch, || {
        for notice in notices {
            tracing::warn!(target: "meshwise", "{notice}");
        }
    });
}
