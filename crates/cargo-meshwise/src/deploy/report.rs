//! The decision for people and machines.

use meshwise_api::{Date, Document};
use serde_json::{Value, json};

use super::decide::{Deployable, Ground};
use crate::{
    output::{paint, style},
    removal::Answer,
};

pub(super) fn document(
    document: &Document,
    environment: &str,
    today: Date,
    decision: &Deployable,
) -> Value {
    json!({
        "schema": 1,
        "service": document.service(),
        "document": document.seq(),
        "release": document.release(),
        "environment": environment,
        "today": today,
        "answer": decision.answer,
        "reasons": decision.grounds,
    })
}

pub(super) fn text(document: &Document, environment: &str, decision: &Deployable) -> String {
    let release = document.release().map(|it| format!(" ({it})")).unwrap_or_default();
    let name = format!("document {} of {}{release}", document.seq(), document.service());
    let (word, rest) = match decision.answer {
        Answer::Yes => (paint(style::GOOD, "yes"), format!("{name} can go to {environment}")),
        Answer::No => (paint(style::ERROR, "no"), format!("{name} cannot go to {environment}")),
        Answer::Unknown => (
            paint(style::WARNING, "unknown"),
            format!("it is not known whether {name} can go to {environment}"),
        ),
    };
    let mut out = format!("{word}: {rest}\n");
    for ground in &decision.grounds {
        let mark = match ground.answer() {
            Answer::Yes => paint(style::GOOD, "+"),
            Answer::No => paint(style::ERROR, "-"),
            Answer::Unknown => paint(style::WARNING, "?"),
        };
        out += &format!("  {mark} {}\n", words(ground, environment));
    }
    if decision.grounds.is_empty() {
        out += &format!(
            "  {} it requires nothing, and none of those that run there requires its APIs\n",
            paint(style::GOOD, "+")
        );
    }
    out
}

fn words(ground: &Ground, environment: &str) -> String {
    let at = |url: &Option<String>| url.as_ref().map(|url| format!(": {url}")).unwrap_or_default();
    let of = |owner: &Option<String>| {
        owner.as_ref().map(|owner| format!(" (owned by {owner})")).unwrap_or_default()
    };
    match ground {
        Ground::UnknownEnvironment => format!(
            "nothing is recorded of {environment}; record what runs there with \
             `cargo meshwise record-deployment SERVICE --env {environment}`"
        ),
        Ground::ServiceEnded => "the service has ended, by its last document".to_owned(),
        Ground::Required { api, required, provider, version, state, sunset } => {
            let end = sunset.map(|day| format!(", sunset {day}")).unwrap_or_default();
            format!("{api} {required}: {state} {version} of {provider} runs there{end}")
        }
        Ground::Optional { api, required, level } => {
            format!("{api} {required} does not run there; its level is {level}")
        }
        Ground::NotThere { api, required, running } if running.is_empty() => {
            format!("{api} {required}: none that provides it runs there")
        }
        Ground::NotThere { api, required, running } => {
            format!("{api} {required} does not run there; there is {}", running.join(", "))
        }
        Ground::NotProvided { api, required } => {
            format!("{api} {required}: no service provides it")
        }
        Ground::ProviderNotRecorded { api, required, providers } => format!(
            "{api} {required}: nothing is recorded of {} in {environment}",
            providers.join(", ")
        ),
        Ground::Unread { service, error } => format!("{service}: {error}"),
        Ground::Breaks { consumer, owner, api, required } => {
            format!("{consumer}{} runs there and would lose {api} {required}", of(owner))
        }
        Ground::MayBreak { consumer, owner, api, required } => format!(
            "{consumer}{} would lose {api} {required}, and nothing is recorded of it there",
            of(owner)
        ),
        Ground::Keeps { consumers } => {
            format!("{} keep what they require of it", consumers.join(", "))
        }
        Ground::Passed { provider, consumer, url } => {
            format!("the tests of {consumer} against {provider} passed{}", at(url))
        }
        Ground::Failed { provider, consumer, url } => {
            format!("the tests of {consumer} against {provider} failed{}", at(url))
        }
        Ground::Awaited { provider, consumer, note } => {
            format!("the tests of {consumer} against {provider}: {note}")
        }
        Ground::Untested { provider, consumer } => {
            format!("no tests of {consumer} against {provider} are recorded")
        }
    }
}
