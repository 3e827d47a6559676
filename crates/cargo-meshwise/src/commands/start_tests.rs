//! `cargo meshwise start-tests`.

use std::path::PathBuf;

use clap::Args;
use meshwise_api::Document;
use serde_json::{Value, json};

use super::{
    Context,
    record::{named, record},
    target::{self, Target},
};
use crate::{
    exit::{Exit, Failure},
    hooks::{Hooks, Started},
    journal::{Fact, Name},
    output::count,
    store::{Need, OpenOptions},
};

/// The options of `start-tests`.
#[derive(Debug, Args)]
pub(crate) struct StartTestsOptions {
    /// The provider, and what is to be tested of it, as for `record-deployment`
    #[arg(value_name = "SERVICE[@VERSION]")]
    pub provider: Target,
    /// Only the tests of this consumer
    #[arg(long, value_name = "SERVICE")]
    pub consumer: Option<String>,
    /// How tests are started; default: hooks.toml of the dictionary
    #[arg(long, value_name = "FILE")]
    pub hooks: Option<PathBuf>,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Who records it
    #[arg(long = "by", value_name = "NAME", env = "MESHWISE_PUBLISHED_BY")]
    pub recorded_by: Option<String>,
}

/// Starts the tests of all that require an API of a service, and records that they were started.
///
/// # Errors
/// `Usage` when there are no hooks, or they cannot be used; what keeps the dictionary out of reach. A
/// consumer without a hook, or whose hook failed, makes the exit code 3.
pub(crate) fn run(options: &StartTestsOptions, context: &mut Context) -> Result<Exit, Failure> {
    let opened = context.open_heads(&OpenOptions::default(), &Need::All)?;
    let provider = target::publication(&opened.store, &options.provider)?;
    let hooks = Hooks::read(&opened.store, options.hooks.as_deref())?;
    let provided = |api: &str| provider.declaration().provided(api).is_some();
    let consumers: Vec<&Document> = opened
        .dictionary
        .services()
        .filter(|document| document.service() != provider.service())
        .filter(|document| options.consumer.as_ref().is_none_or(|it| it == document.service()))
        .filter(|document| document.declaration().requires.iter().any(|it| provided(&it.api)))
        .collect();
    let mut failed = 0;
    let mut told = Vec::new();
    for consumer in consumers {
        let run = run_of(&provider, consumer);
        let started = match hooks.of(consumer.service()) {
            None => Started::No("no hook is for it".to_owned()),
            Some(hook) if options.dry_run => {
                Started::Would(hook.body(&values(&provider, consumer, &run))?)
            }
            Some(hook) => hook.start(&values(&provider, consumer, &run), &run)?,
        };
        let (service, of_consumer, of_provider) =
            (consumer.service().to_owned(), consumer.seq(), provider.seq());
        let fact = match &started {
            Started::Yes => {
                Some(Fact::Started { provider: of_provider, consumer: of_consumer, run })
            }
            Started::No(error) if !options.dry_run => {
                let error = error.clone();
                Some(Fact::NotStarted { provider: of_provider, consumer: of_consumer, error })
            }
            Started::No(_) | Started::Would(_) => None,
        };
        if let Some(fact) = &fact {
            let name = Name::tests(provider.service(), &service);
            record(context, &opened.store, &name, options.recorded_by.as_deref(), fact)?;
        }
        failed += usize::from(matches!(started, Started::No(_)));
        told.push((service, started));
    }
    let exit = if failed > 0 { Exit::Undetermined } else { Exit::Ok };
    let lines: Vec<Value> = told
        .iter()
        .map(|(consumer, started)| match started {
            Started::Yes => json!({"consumer": consumer, "started": true}),
            Started::No(error) => json!({"consumer": consumer, "started": false, "error": error}),
            Started::Would(body) => json!({"consumer": consumer, "started": false, "body": body}),
        })
        .collect();
    let value = json!({
        "provider": provider.service(),
        "document": provider.seq(),
        "consumers": lines,
        "failed": failed,
    });
    let name = named(&provider);
    context.answer(&opened, exit, &value, |out| {
        let all = count(told.len(), "consumer");
        out.line(format_args!("{name}: {all} to be tested with it"))?;
        for (consumer, started) in &told {
            match started {
                Started::Yes => out.line(format_args!("  {consumer}: started"))?,
                Started::No(error) => {
                    out.line(format_args!("  {consumer}: NOT started: {error}"))?;
                }
                Started::Would(body) => {
                    out.line(format_args!("  {consumer}: would send {body}"))?;
                }
            }
        }
        Ok(())
    })
}

/// Names a run: the same for the same pair of publications, so that a receiver can drop what it knows.
fn run_of(provider: &Document, consumer: &Document) -> String {
    let text = format!("{} {}", provider.digest(), consumer.digest());
    let digest = meshwise_api::Digest::of(text.as_bytes()).to_string();
    digest.trim_start_matches("sha256:").get(..16).unwrap_or_default().to_owned()
}

/// What a hook's body can name.
fn values(provider: &Document, consumer: &Document, run: &str) -> Vec<(&'static str, String)> {
    let apis: Vec<&str> = consumer
        .declaration()
        .requires
        .iter()
        .map(|requires| requires.api.as_str())
        .filter(|api| provider.declaration().provided(api).is_some())
        .collect();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    vec![
        ("provider", provider.service().to_owned()),
        ("provider-document", provider.seq().to_string()),
        ("provider-release", text(provider.release())),
        ("provider-commit", text(provider.commit())),
        ("consumer", consumer.service().to_owned()),
        ("consumer-document", consumer.seq().to_string()),
        ("consumer-release", text(consumer.release())),
        ("consumer-commit", text(consumer.commit())),
        ("apis", apis.join(",")),
        ("run", run.to_owned()),
    ]
}
