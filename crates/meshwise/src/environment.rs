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
/// is wrong with settings: so all are read before it is returned. What exporters of lines and points find
/// as they are made is in it only if nothing was wrong before: with settings left out, none are made.
pub(crate) struct Gathered {
    env: Env,
    is_strict: bool,
    /// What is an error in any case.
    pub(crate) problems: Vec<Problem>,
    /// What may be wrong.
    pub(crate) notices: Vec<Problem>,
    stage: Stage,
}

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Variables are asked for.
    Asking,
    /// Those that were not asked for are not used.
    Asked,
    /// All is known of settings that is known before parts are made of them.
    Planned,
}

impl Gathered {
    pub(crate) fn new(env: &Env) -> Self {
        let (is_strict, problems) = match env.is_strict() {
            Ok(is_strict) => (is_strict, Vec::new()),
            Err(error) => (false, vec![problem(&error)]),
        };
        Self {
            env: env.gathering(),
            is_strict,
            problems,
            notices: Vec::new(),
            stage: Stage::Asking,
        }
    }

    /// The environment to read: it remembers what is ignored of it.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Takes note of what is wrong, to be told with all else.
    pub(crate) fn take(&mut self, checked: Result<(), SettingsError>) {
        if let Err(error) = checked {
            self.problems.extend_from_slice(error.problems());
        }
    }

    pub(crate) fn reach(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// Returns what is wrong up to now, unless more is to be read.
    ///
    /// # Errors
    /// If anything is.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        match self.is_strict && self.stage < Stage::Planned {
            true => Ok(()),
            false => SettingsError::check(self.problems.clone()),
        }
    }

    /// Returns an error of settings with all else that is wrong with settings; others are what they are. Until
    /// parts are made, their errors are of settings.
    pub(crate) fn with(mut self, error: InstallError) -> InstallError {
        let own = match &error {
            InstallError::Settings(error) => error.problems().to_vec(),
            InstallError::Env(error) => vec![problem(error)],
            #[cfg(feature = "api")]
            InstallError::ServiceName { .. } => return error,
            error if self.stage < Stage::Planned => {
                vec![Problem::new(Source::Code, "", error.to_string())]
            }
            _ => return error,
        };
        self.add_findings();
        if self.problems.is_empty() {
            return error;
        }
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
        notices.extend(self.notices.iter().map(ToString::to_string));
        Ok(notices)
    }

    /// Takes what would only be told as wrong, if it has to be.
    fn add_findings(&mut self) {
        if !self.is_strict {
            return;
        }
        let findings = self.env.findings();
        let findings = findings.iter().map(problem).collect::<Vec<_>>().into_iter();
        let unused = unused(&self.env).filter(|_| self.stage >= Stage::Asked).map(|(name, feature)| {
            let what = match feature {
                Some(feature) => {
                    format!("is set and not used; enable the feature `{feature}` of meshwise, or unset it")
                }
                None => "is set and not used; unset it, or MESHWISE_STRICT".to_owned(),
            };
            problem(&EnvError::other(name, what))
        });
        let notices = self.notices.drain(..).map(|mut notice| {
            notice.problem += "; with MESHWISE_STRICT that is an error";
            notice
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_settings_are_joined() {
        let env = Env::from_pairs([("MESHWISE_STRICT", "true"), ("OTEL_QUEUE", "ten")]);
        let with = |error| {
            let mut gathered = Gathered::new(&env);
            let _ignored = gathered.env().parse::<usize>("OTEL_QUEUE", "a number");
            gathered.reach(Stage::Planned);
            gathered.with(error)
        };
        for error in [InstallError::SubscriberTaken, InstallError::InstalledAlready] {
            let text = error.to_string();
            assert_eq!(with(error).to_string(), text);
        }
        let log = InstallError::Log(meshwise_log::LogError::Thread(std::io::Error::other("none")));
        assert!(matches!(with(log), InstallError::Log(_)));
        let InstallError::Settings(all) = with(EnvError::new("X", "1", "2").into()) else {
            panic!("an error of settings")
        };
        let names: Vec<_> = all.problems().iter().map(|problem| &*problem.key).collect();
        assert_eq!(names, ["OTEL_QUEUE", "X"]);
    }
}
