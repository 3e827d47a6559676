//! The decision. No I/O, no clock.

use meshwise_api::{Date, Dictionary, Document, Level, Requires, State};
use serde::Serialize;

use crate::{
    environment::{Environment, Running},
    removal::Answer,
    tested::{Outcome, Tested},
};

/// What is asked, and what is known.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) document: &'a Document,
    pub(super) environment: &'a Environment,
    pub(super) tested: &'a Tested,
    pub(super) dictionary: &'a Dictionary,
    /// Services whose newest document cannot be read.
    pub(super) unread: &'a [String],
    pub(super) must_be_tested: bool,
    pub(super) today: Date,
}

/// The answer, and all that speaks for and against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deployable {
    pub(super) answer: Answer,
    pub(super) grounds: Vec<Ground>,
}

/// One thing that was looked at, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub(super) enum Ground {
    /// For unknown: nothing is recorded of the environment.
    UnknownEnvironment,
    /// For no: its last document says that the service has ended.
    ServiceEnded,
    /// For yes: what is required is there.
    Required {
        api: String,
        required: String,
        provider: String,
        version: String,
        state: State,
        sunset: Option<Date>,
    },
    /// For yes, with a warning: it is not there, and its level is not deny.
    Optional { api: String, required: String, level: Level },
    /// For no: those that provide the API there have no such version.
    NotThere { api: String, required: String, running: Vec<String> },
    /// For no: no service provides the API in such a version.
    NotProvided { api: String, required: String },
    /// For unknown: nothing is recorded of those that could provide it there.
    ProviderNotRecorded { api: String, required: String, providers: Vec<String> },
    /// For unknown: what is recorded of a service, or what it published, cannot be read.
    Unread { service: String, error: String },
    /// For no: a service that runs there would lose what it requires.
    Breaks { consumer: String, owner: Option<String>, api: String, required: String },
    /// For unknown: a service of which nothing is recorded there would lose what it requires.
    MayBreak { consumer: String, owner: Option<String>, api: String, required: String },
    /// For yes: all that run there keep what they require of it.
    Keeps { consumers: Vec<String> },
    /// For yes: tests passed.
    Passed { provider: String, consumer: String, url: Option<String> },
    /// For no: tests failed.
    Failed { provider: String, consumer: String, url: Option<String> },
    /// For unknown: tests were started, or could not be, and no result is recorded.
    Awaited { provider: String, consumer: String, note: String },
    /// For unknown: there must be tests, and none are recorded.
    Untested { provider: String, consumer: String },
}

impl Ground {
    pub(super) const fn answer(&self) -> Answer {
        match self {
            Self::Required { .. }
            | Self::Optional { .. }
            | Self::Keeps { .. }
            | Self::Passed { .. } => Answer::Yes,
            Self::ServiceEnded
            | Self::NotThere { .. }
            | Self::NotProvided { .. }
            | Self::Breaks { .. }
            | Self::Failed { .. } => Answer::No,
            Self::UnknownEnvironment
            | Self::ProviderNotRecorded { .. }
            | Self::Unread { .. }
            | Self::MayBreak { .. }
            | Self::Awaited { .. }
            | Self::Untested { .. } => Answer::Unknown,
        }
    }
}

/// Decides.
pub(super) fn decide(asked: &Asked<'_>) -> Deployable {
    let mut grounds = Vec::new();
    if asked.document.declaration().service.retired {
        grounds.push(Ground::ServiceEnded);
    }
    if asked.environment.is_unknown() {
        grounds.push(Ground::UnknownEnvironment);
    }
    let after = asked.environment.with(asked.document);
    for requires in &asked.document.declaration().requires {
        grounds.push(required(asked, &after, requires));
    }
    consumers(asked, &after, &mut grounds);
    tests(asked, &after, &mut grounds);
    let has = |answer| grounds.iter().any(|ground| ground.answer() == answer);
    let answer = if has(Answer::No) {
        Answer::No
    } else if has(Answer::Unknown) {
        Answer::Unknown
    } else {
        Answer::Yes
    };
    Deployable { answer, grounds }
}

/// Judges one requirement by what runs there.
fn required(asked: &Asked<'_>, after: &Environment, requires: &Requires) -> Ground {
    let (api, required) = (requires.api.clone(), requires.version.clone());
    if let Some(got) = after.gets(&api, &required, asked.today) {
        return Ground::Required {
            api,
            required,
            provider: got.running.document.service().to_owned(),
            version: got.release.version.to_string(),
            state: got.state,
            sunset: got.release.sunset,
        };
    }
    if requires.level < Level::Deny {
        return Ground::Optional { api, required, level: requires.level };
    }
    let declared: Vec<&Document> =
        asked.dictionary.providers(&api).map(|(document, _)| document).collect();
    // A service of which something cannot be read may be the one.
    let unread = asked
        .environment
        .unread
        .iter()
        .find(|(service, _)| declared.iter().any(|document| document.service() == *service));
    if let Some((service, error)) = unread {
        return Ground::Unread { service: service.clone(), error: error.clone() };
    }
    let running: Vec<String> = after
        .providers(&api)
        .flat_map(|running| {
            let versions = running.serves(&api, asked.today);
            let shown = |version: &str| format!("{version} of {}", running.document.service());
            let mut all: Vec<String> =
                versions.map(|got| shown(got.release.version.as_str())).collect();
            if all.is_empty() {
                all.push(shown("nothing"));
            }
            all
        })
        .collect();
    let not_recorded: Vec<String> = declared
        .iter()
        .filter(|document| {
            let name = document.service();
            let will_do = document.declaration().provided(&api).is_some_and(|provides| {
                let wanted = provides.scheme.version(&required);
                let live = provides.versions.iter().filter(|it| it.state(asked.today).is_live());
                wanted.is_ok_and(|wanted| live.clone().any(|it| it.version.satisfies(&wanted)))
            });
            will_do && !after.running.contains_key(name) && !after.removed.contains(name)
        })
        .map(|document| document.service().to_owned())
        .collect();
    if !not_recorded.is_empty() {
        return Ground::ProviderNotRecorded { api, required, providers: not_recorded };
    }
    if !running.is_empty() {
        return Ground::NotThere { api, required, running };
    }
    if let Some(service) = asked.unread.first().filter(|_| declared.is_empty()) {
        let error = "its newest document cannot be read".to_owned();
        return Ground::Unread { service: service.clone(), error };
    }
    match declared.is_empty() {
        true => Ground::NotProvided { api, required },
        false => Ground::NotThere { api, required, running },
    }
}

/// Judges whether the others keep what they require of the service.
fn consumers(asked: &Asked<'_>, after: &Environment, grounds: &mut Vec<Ground>) {
    let service = asked.document.service();
    let before = asked.environment;
    let loses = |requires: &Requires| {
        requires.level == Level::Deny
            && before.gets(&requires.api, &requires.version, asked.today).is_some()
            && after.gets(&requires.api, &requires.version, asked.today).is_none()
    };
    let mut keeps = Vec::new();
    for (name, running) in before.running.iter().filter(|(name, _)| *name != service) {
        let declaration = running.document.declaration();
        let mut concerned = false;
        for requires in &declaration.requires {
            let of_it = |running: &Running| {
                running.document.service() == service
                    && running.document.declaration().provided(&requires.api).is_some()
            };
            concerned |= before.running.get(service).is_some_and(of_it)
                || asked.document.declaration().provided(&requires.api).is_some();
            if loses(requires) {
                grounds.push(Ground::Breaks {
                    consumer: name.clone(),
                    owner: declaration.service.owner.clone(),
                    api: requires.api.clone(),
                    required: requires.version.clone(),
                });
            }
        }
        if concerned {
            keeps.push(name.clone());
        }
    }
    let broken = |name: &String| {
        grounds.iter().any(|it| matches!(it, Ground::Breaks { consumer, .. } if consumer == name))
    };
    keeps.retain(|name| !broken(name));
    if !keeps.is_empty() {
        grounds.push(Ground::Keeps { consumers: keeps });
    }
    let newest = asked.dictionary.services().filter(|document| {
        let name = document.service();
        name != service && !before.running.contains_key(name) && !before.removed.contains(name)
    });
    for document in newest {
        let name = document.service();
        if let Some(error) = before.unread.get(name) {
            let (service, error) = (name.to_owned(), error.clone());
            grounds.push(Ground::Unread { service, error });
            continue;
        }
        for requires in document.declaration().requires.iter().filter(|it| loses(it)) {
            grounds.push(Ground::MayBreak {
                consumer: name.to_owned(),
                owner: document.declaration().service.owner.clone(),
                api: requires.api.clone(),
                required: requires.version.clone(),
            });
        }
    }
    for service in asked.unread {
        if !before.running.contains_key(service) && !before.removed.contains(service) {
            let error =
                "its newest document cannot be read, and nothing is recorded of it".to_owned();
            grounds.push(Ground::Unread { service: service.clone(), error });
        }
    }
}

/// Looks up the tests with those that run there.
fn tests(asked: &Asked<'_>, after: &Environment, grounds: &mut Vec<Ground>) {
    let own = (asked.document.service(), asked.document.seq());
    let mut judge = |provider: (&str, u64), consumer: (&str, u64)| {
        let names = || (provider.0.to_owned(), consumer.0.to_owned());
        let ((provider_name, consumer_name), known) =
            (names(), asked.tested.outcome(provider, consumer));
        let (provider, consumer) = (provider_name, consumer_name);
        let url = |url: Option<&str>| url.map(str::to_owned);
        grounds.push(match known {
            Outcome::Passed { url: at } => Ground::Passed { provider, consumer, url: url(at) },
            Outcome::Failed { url: at } => Ground::Failed { provider, consumer, url: url(at) },
            Outcome::Awaited { run } => {
                Ground::Awaited { provider, consumer, note: format!("run {run} has no result") }
            }
            Outcome::NotStarted { error } => {
                Ground::Awaited { provider, consumer, note: format!("not started: {error}") }
            }
            Outcome::Unread { error } => {
                Ground::Unread { service: provider, error: error.to_owned() }
            }
            Outcome::None if asked.must_be_tested => Ground::Untested { provider, consumer },
            Outcome::None => return,
        });
    };
    for (name, running) in after.running.iter().filter(|(name, _)| *name != own.0) {
        let other = (name.as_str(), running.document.seq());
        let needs = |consumer: &Document, provider: &Document| {
            let requires = &consumer.declaration().requires;
            requires.iter().any(|it| provider.declaration().provided(&it.api).is_some())
        };
        if needs(&running.document, asked.document) {
            judge(own, other);
        }
        if needs(asked.document, &running.document) {
            judge(other, own);
        }
    }
}
