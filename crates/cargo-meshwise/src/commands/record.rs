//! `cargo meshwise record-deployment` and `record-result`.

use clap::Args;
use meshwise_api::Document;
use serde_json::{Value, json};

use super::{
    Context, note_uncommitted,
    publish::publisher,
    target::{self, Target},
};
use crate::{
    exit::{Exit, Failure},
    journal::{self, Fact, Name},
    reindex,
    store::{Need, OpenOptions, Store, StoreError},
};

/// The options of `record-deployment`.
#[derive(Debug, Args)]
pub(crate) struct DeploymentOptions {
    /// What runs there now: a service, with its own version (`publish --release`), the number of a
    /// document or a commit, else its newest document; or a version of an API
    #[arg(value_name = "SERVICE[@VERSION]|API@VERSION")]
    pub what: Target,
    /// The environment, such as prod
    #[arg(long, value_name = "NAME", env = "MESHWISE_ENVIRONMENT")]
    pub env: String,
    /// It does not run there any more
    #[arg(long)]
    pub removed: bool,
    /// A version of an API is meant, though a service has that name, too
    #[arg(long)]
    pub api: bool,
    /// Who records it
    #[arg(long = "by", value_name = "NAME", env = "MESHWISE_PUBLISHED_BY")]
    pub recorded_by: Option<String>,
}

/// The options of `record-result`.
#[derive(Debug, Args)]
pub(crate) struct ResultOptions {
    /// The service whose tests ran, with what was tested of it as for `record-deployment`
    #[arg(value_name = "SERVICE[@VERSION]")]
    pub consumer: Target,
    /// The service that they ran against, and what of it
    #[arg(long, value_name = "SERVICE[@VERSION]")]
    pub against: Target,
    /// They passed
    #[arg(long, required_unless_present = "failed", conflicts_with = "failed")]
    pub passed: bool,
    /// They failed
    #[arg(long)]
    pub failed: bool,
    /// Where the result is shown
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Who records it
    #[arg(long = "by", value_name = "NAME", env = "MESHWISE_PUBLISHED_BY")]
    pub recorded_by: Option<String>,
}

/// Records what runs in an environment.
///
/// # Errors
/// `Usage` when there is no such publication or version; what keeps the dictionary out of reach.
pub(crate) fn deployment(
    options: &DeploymentOptions,
    context: &mut Context,
) -> Result<Exit, Failure> {
    target::environment(&options.env)?;
    let store = context.store(&OpenOptions::default())?.store;
    let (service, fact, shown) = fact(options, &store, context)?;
    let name = Name::environment(&options.env, &service);
    let place = record(context, &store, &name, options.recorded_by.as_deref(), &fact)?;
    let env = &options.env;
    let value = json!({
        "environment": env,
        "service": service,
        "fact": fact,
        "place": place,
    });
    let verb = if options.removed { "does not run" } else { "runs" };
    context
        .out
        .either(&value, |out| out.line(format_args!("recorded: {shown} {verb} in {env}")))?;
    Ok(Exit::Ok)
}

/// Finds out what is meant: the service, what is to be recorded, and its name for people.
fn fact(
    options: &DeploymentOptions,
    store: &Store,
    context: &mut Context,
) -> Result<(String, Fact, String), Failure> {
    let id = &options.what;
    let found = match options.api {
        true => target::Found::NoService,
        false => target::find(store, &id.name, id.version.as_deref())?,
    };
    let other = match (found, id.version.as_deref()) {
        (target::Found::One(document), _) => {
            let fact = match options.removed {
                true => Fact::Removed,
                false => Fact::Deployed { document: document.seq(), digest: document.digest() },
            };
            return Ok((document.service().to_owned(), fact, named(&document)));
        }
        (other, None) => other,
        (other, Some(version)) => {
            let opened = context.open_heads(&OpenOptions::default(), &Need::api(&id.name))?;
            let providers: Vec<String> = opened
                .dictionary
                .providers(&id.name)
                .filter(|(_, provides)| provides.version(version).is_some())
                .map(|(document, _)| document.service().to_owned())
                .collect();
            let (api, version) = (id.name.clone(), version.to_owned());
            match providers.as_slice() {
                [] => other,
                [provider] => {
                    let shown = format!("{api} {version} of {provider}");
                    let fact = match options.removed {
                        true => Fact::NotServed { api, version },
                        false => Fact::Served { api, version },
                    };
                    return Ok((provider.clone(), fact, shown));
                }
                several => {
                    let message =
                        format!("{id} is provided by {}: name the service", several.join(" and "));
                    return Err(Failure::message(Exit::Usage, message));
                }
            }
        }
    };
    match other {
        target::Found::NoVersion { .. } => Err(target::publication(store, id)
            .err()
            .unwrap_or_else(|| Failure::message(Exit::Usage, format!("{id} is not known")))),
        _ => {
            let message =
                format!("the dictionary has neither a service nor a version of an API {id}");
            Err(Failure::message(Exit::Usage, message))
        }
    }
}

/// Records how a consumer's tests against a provider ended.
///
/// # Errors
/// `Usage` when there is no such publication, or the one requires nothing of the other; what keeps the
/// dictionary out of reach.
pub(crate) fn result(options: &ResultOptions, context: &mut Context) -> Result<Exit, Failure> {
    let store = context.store(&OpenOptions::default())?.store;
    let consumer = target::publication(&store, &options.consumer)?;
    let provider = target::publication(&store, &options.against)?;
    let provided = |api: &str| provider.declaration().provided(api).is_some();
    if !consumer.declaration().requires.iter().any(|requires| provided(&requires.api)) {
        let message = format!(
            "{} requires no API of {}, so its tests say nothing of it",
            named(&consumer),
            named(&provider)
        );
        return Err(Failure::message(Exit::Usage, message));
    }
    let fact = Fact::Tested {
        provider: provider.seq(),
        consumer: consumer.seq(),
        passed: options.passed,
        url: options.url.clone(),
    };
    let name = Name::tests(provider.service(), consumer.service());
    let place = record(context, &store, &name, options.recorded_by.as_deref(), &fact)?;
    let value = json!({
        "provider": provider.service(),
        "consumer": consumer.service(),
        "fact": fact,
        "place": place,
    });
    let verb = if options.passed { "passed" } else { "failed" };
    let (consumer, provider) = (named(&consumer), named(&provider));
    context.out.either(&value, |out| {
        out.line(format_args!("recorded: the tests of {consumer} against {provider} {verb}"))
    })?;
    Ok(Exit::Ok)
}

/// Adds a fact to a journal and returns where it lies.
pub(crate) fn record(
    context: &mut Context,
    store: &Store,
    name: &Name,
    by: Option<&str>,
    fact: &Fact,
) -> Result<Value, Failure> {
    let at = context.clock()?;
    let by = by.map_or_else(publisher, str::to_owned);
    let entry = journal::append(store, name, at, &by, fact).map_err(StoreError::into_failure)?;
    // The fact is recorded; a list that is behind is mended by the next who writes it.
    if let Err(error) = reindex::refresh_journals(store) {
        context.out.warning(format_args!(
            "recorded, but journals.json is behind ({error}); run `cargo meshwise index`"
        ));
    }
    note_uncommitted(context, store);
    Ok(json!(store.location().join(&format!("{name}/{}.json", entry.seq))))
}

/// Names a publication for people.
pub(crate) fn named(document: &Document) -> String {
    match document.release() {
        Some(release) => format!("{} {release}", document.service()),
        None => format!("document {} of {}", document.seq(), document.service()),
    }
}
