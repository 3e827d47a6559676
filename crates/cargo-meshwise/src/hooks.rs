//! `hooks.toml`: how the tests of each service are started. The organisation's, beside its policy.
//!
//! ```toml
//! [[hook]]
//! services = ["orders", "stock"]       # "*" is for all that have none of their own
//! url = "https://api.github.com/repos/example/{{consumer}}/dispatches"
//! token = "DISPATCH_TOKEN"             # the variable with a bearer token for it
//! headers = { accept = "application/vnd.github+json" }
//! body = '{"event_type": "meshwise", "client_payload": {"provider": "{{provider}}", "run": "{{run}}"}}'
//! ```
//!
//! `{{name}}` stands for a value, escaped for JSON in a body and for a URL in an address. A body that
//! is no JSON, or names what there is not, is refused before anything is sent.

#[cfg(feature = "http")]
mod send;

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::{
    exit::{Exit, Failure, OrExit as _},
    store::{Store, StoreError},
};

/// The file's name in a dictionary.
pub(crate) const FILE: &str = "hooks.toml";

/// All hooks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hooks {
    #[serde(default)]
    hook: Vec<Hook>,
}

/// How tests are started.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hook {
    services: Vec<String>,
    url: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "empty")]
    body: String,
}

fn empty() -> String {
    "{}".to_owned()
}

/// What became of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// The receiver accepted it.
    Yes,
    /// It did not, for a reason.
    No(String),
    /// It would be sent this.
    Would(String),
}

/// Names and values for templates.
type Values = [(&'static str, String)];

impl Hooks {
    /// Reads the hooks of a file, or of the dictionary.
    ///
    /// # Errors
    /// `Usage` when there are none, or they are not valid.
    pub(crate) fn read(store: &Store, file: Option<&Path>) -> Result<Self, Failure> {
        let (name, bytes) = match file {
            Some(file) => {
                let name = file.display().to_string();
                let bytes = std::fs::read(file).map_err(|error| {
                    anyhow::Error::new(error).context(format!("cannot read {name}"))
                });
                (name, bytes.or_exit(Exit::Usage)?)
            }
            None => {
                let name = store.location().join(FILE);
                let bytes = store.read_file(FILE).map_err(StoreError::into_failure)?;
                let bytes = bytes.ok_or_else(|| {
                    let message = format!("{name} is not there; say in it how tests are started");
                    Failure::message(Exit::Usage, message)
                })?;
                (name, bytes.to_vec())
            }
        };
        let hooks: Self = toml::from_str(&String::from_utf8_lossy(&bytes))
            .map_err(|error| anyhow::Error::new(error).context(format!("{name} is not valid")))
            .or_exit(Exit::Usage)?;
        Ok(hooks)
    }

    /// Finds the hook of a service: one that names it, else one for all.
    pub(crate) fn of(&self, service: &str) -> Option<&Hook> {
        let names = |name: &str| self.hook.iter().find(|it| it.services.iter().any(|s| s == name));
        names(service).or_else(|| names("*"))
    }
}

impl Hook {
    /// Fills the body in.
    ///
    /// # Errors
    /// `Usage` when it names what there is not, or is no JSON.
    pub(crate) fn body(&self, values: &Values) -> Result<String, Failure> {
        let escaped = |text: &str| {
            let quoted = serde_json::to_string(text).unwrap_or_default();
            quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned()
        };
        let body = fill(&self.body, values, escaped)?;
        serde_json::from_str::<serde::de::IgnoredAny>(&body)
            .map_err(|error| anyhow::Error::new(error).context("the body of a hook is no JSON"))
            .or_exit(Exit::Usage)?;
        Ok(body)
    }

    /// Asks the receiver to begin.
    ///
    /// # Errors
    /// `Usage` when the hook cannot be used as it is written.
    #[cfg(feature = "http")]
    pub(crate) fn start(&self, values: &Values, run: &str) -> Result<Started, Failure> {
        let body = self.body(values)?;
        let encoded =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let url = fill(&self.url, values, encoded)?;
        let (token, headers) = (self.token.as_deref(), &self.headers);
        Ok(match send::send(&url, token, headers, &body, run, &mut std::thread::sleep)? {
            Ok(()) => Started::Yes,
            Err(error) => Started::No(error),
        })
    }

    /// Says that nothing can be sent.
    ///
    /// # Errors
    /// `Usage`, always.
    #[cfg(not(feature = "http"))]
    pub(crate) fn start(&self, _: &Values, _: &str) -> Result<Started, Failure> {
        Err(Failure::message(
            Exit::Usage,
            "built without the feature `http`, so no tests can be started",
        ))
    }
}

/// Puts values in the place of their names.
fn fill(
    template: &str,
    values: &Values,
    escaped: impl Fn(&str) -> String,
) -> Result<String, Failure> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        out += before;
        let Some((name, after)) = behind.split_once("}}") else {
            return Err(Failure::message(Exit::Usage, "a hook has a {{ without its }}"));
        };
        let known = values.iter().find(|(known, _)| *known == name.trim());
        let Some((_, value)) = known else {
            let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
            let message = format!("a hook names {{{{{name}}}}}; there is {}", names.join(", "));
            return Err(Failure::message(Exit::Usage, message));
        };
        out += &escaped(value);
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [(&str, String); 1] = [("consumer", String::new())];

    fn hook(body: &str) -> Hook {
        let text = format!("[[hook]]\nservices = [\"*\"]\nurl = \"http://x\"\nbody = '{body}'\n");
        toml::from_str::<Hooks>(&text).expect("valid").of("orders").expect("for all").clone()
    }

    #[test]
    fn values_are_escaped_and_names_must_be_known() {
        let values = [("consumer", "a\"b\\\n".to_owned())];
        let body = hook(r#"{"client_payload": {"c": "{{ consumer }}"}}"#).body(&values);
        assert_eq!(body.ok().as_deref(), Some(r#"{"client_payload": {"c": "a\"b\\\n"}}"#));
        for wrong in
            [r#"{"c": "{{who}}"}"#, r#"{"c": "{{consumer"}"#, r#"{"c": {{consumer}}}"#, "{"]
        {
            assert!(hook(wrong).body(&VALUES).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hook_of_its_own_comes_before_one_for_all() {
        let text = "[[hook]]\nservices = [\"*\"]\nurl = \"a\"\n[[hook]]\nservices = [\"orders\"]\nurl = \"b\"\n";
        let hooks: Hooks = toml::from_str(text).expect("valid");
        let url = |service| hooks.of(service).map(|hook| hook.url.as_str());
        assert_eq!((url("orders"), url("stock")), (Some("b"), Some("a")));
        assert!(
            toml::from_str::<Hooks>("[[hook]]\nservices = []\nurl = \"a\"\nurll = \"b\"").is_err()
        );
    }
}
