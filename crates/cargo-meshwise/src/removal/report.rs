//! The decision for people and machines.

use meshwise_api::{ApiId, Date};
use serde_json::{Value, json};

use super::{Answer, Decision, Reason};
use crate::{
    output::{paint, style},
    usage::{Usage, Window},
};

/// Lists no more items than this of one reason.
const SHOWN: usize = 10;

pub(super) fn document(
    about: &ApiId,
    window: Window,
    today: Date,
    decision: &Decision,
    usage: Option<&Usage>,
) -> Value {
    json!({
        "schema": 1,
        "api": about.name(),
        "version": about.version(),
        "today": today,
        "window": window.to_string(),
        "answer": decision.answer,
        "reasons": decision.reasons,
        "usage": usage,
    })
}

pub(super) fn text(about: &ApiId, window: Window, decision: &Decision) -> String {
    let version = about.version().unwrap_or_default();
    let name = format!("{}@{version}", about.name());
    let (word, rest) = match decision.answer {
        Answer::Yes => (paint(style::GOOD, "yes"), format!("{name} can be removed")),
        Answer::No => (paint(style::ERROR, "no"), format!("{name} cannot be removed")),
        Answer::Unknown => {
            (paint(style::WARNING, "unknown"), format!("it is not known whether {name} can go"))
        }
    };
    let mut out = format!("{word}: {rest}\n");
    for reason in &decision.reasons {
        let mark = match reason.answer() {
            Answer::Yes => paint(style::GOOD, "+"),
            Answer::No => paint(style::ERROR, "-"),
            Answer::Unknown => paint(style::WARNING, "?"),
        };
        let (head, items) = words(reason, window);
        out += &format!("  {mark} {head}\n");
        for item in items.iter().take(SHOWN) {
            out += &format!("      {item}\n");
        }
        if items.len() > SHOWN {
            out += &format!("      and {} more\n", items.len() - SHOWN);
        }
    }
    out
}

fn words(reason: &Reason, window: Window) -> (String, Vec<String>) {
    let none = Vec::new();
    match reason {
        Reason::SunsetPassed { sunset } => (format!("its sunset was {sunset}"), none),
        Reason::SunsetAhead { sunset, days } => (
            format!(
                "its sunset is {sunset}, {}",
                several(days.unsigned_abs().into(), "day") + " ahead"
            ),
            none,
        ),
        Reason::NoSunset => ("it has no sunset: set one in the provider's api.toml".into(), none),
        Reason::NotProvided => {
            ("the dictionary knows no one who provides it: is the version right?".into(), none)
        }
        Reason::NoDictionary { why } => (format!("the dictionary cannot be read: {why}"), none),
        Reason::NoDependants => ("no service in the dictionary requires it".into(), none),
        Reason::Dependants { services } => {
            let head = match services.len() {
                1 => "1 service requires it:".to_owned(),
                n => format!("{n} services require it:"),
            };
            let items = services.iter().map(|service| {
                let owner = service.owner.as_ref().map(|o| format!(", owned by {o}"));
                format!(
                    "{} (requires {}{})",
                    service.service,
                    service.requires,
                    owner.unwrap_or_default()
                )
            });
            (head, items.collect())
        }
        Reason::NoCalls { instances } => {
            (format!("no calls in {window}, counted by {}", several(*instances, "instance")), none)
        }
        Reason::Calls { callers } => {
            let items = callers.iter().map(|c| {
                let calls = several(c.calls, "call");
                match c.verified {
                    0 => format!("{}: {calls} (as they say; the name was not proved)", c.service),
                    all if all >= c.calls => {
                        format!("{}: {calls} (the name was proved)", c.service)
                    }
                    some => format!("{}: {calls} (the name was proved for {some})", c.service),
                }
            });
            (format!("it was called within {window}, by:"), items.collect())
        }
        Reason::Gaps { gaps } => {
            let items = gaps.iter().map(ToString::to_string).collect();
            (format!("calls may have gone uncounted within {window}:"), items)
        }
        Reason::NoUsage { why } => (format!("calls are not known: {why}"), none),
    }
}

fn several(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
