//! Notices for people and machines.

use meshwise_api::Date;
use serde_json::{Value, json};

use super::{Delivery, Notice, Since};
use crate::output::{paint, style};

pub(super) fn document(
    since: &Since,
    today: Date,
    notices: &[Notice],
    deliveries: Option<&[Delivery]>,
) -> Value {
    json!({
        "schema": 1,
        "since": since,
        "today": today,
        "notices": notices,
        "deliveries": deliveries,
    })
}

pub(super) fn text(since: &Since, notices: &[Notice], deliveries: Option<&[Delivery]>) -> String {
    if notices.is_empty() {
        return format!("nothing changed for anyone since {}\n", shown(since));
    }
    let mut out = String::new();
    let mut told: Option<&Option<String>> = None;
    for notice in notices {
        if told != Some(&notice.owner) {
            let owner = notice.owner.as_deref().unwrap_or("(no owner)");
            out += &format!("{}\n", paint(style::STRONG, owner));
            told = Some(&notice.owner);
        }
        out += &one(notice);
    }
    for delivery in deliveries.into_iter().flatten() {
        let about = format!("{} about {}", delivery.service, delivery.about);
        out += &match &delivery.error {
            None => format!("{}: {about}\n", paint(style::GOOD, "delivered")),
            Some(error) => format!("{}: {about}: {error}\n", paint(style::ERROR, "not delivered")),
        };
    }
    out
}

fn one(notice: &Notice) -> String {
    let Notice { service, api, version, provider, .. } = notice;
    let mut out = format!("  {service} needs {api} {version} of {provider}");
    if notice.requires != *version {
        out += &format!(" (requires {})", notice.requires);
    }
    out.push('\n');
    for change in &notice.changes {
        out += &format!("    - {change}\n");
    }
    match notice.days_left {
        Some(days @ 1..) => {
            let days = if days == 1 { "1 day is".to_owned() } else { format!("{days} days are") };
            out += &format!("    {days} left\n");
        }
        Some(_) => out += "    no time is left\n",
        None => {}
    }
    if let Some(successor) = &notice.successor {
        out += &format!("    move to {successor}");
        if let Some(migration) = &notice.migration {
            out += &format!(": {migration}");
        }
        out.push('\n');
    } else if let Some(migration) = &notice.migration {
        out += &format!("    see {migration}\n");
    }
    for text in [&notice.notes, &notice.publication].into_iter().flatten() {
        // Each line stands under its notice: it is no other one's, whatever it says.
        for line in text.lines() {
            out += &format!("    {line}\n");
        }
    }
    if let Some(owner) = &notice.provider_owner {
        out += &format!("    questions: {owner}\n");
    }
    if !notice.contacts.is_empty() {
        out += &format!("    tell: {}\n", notice.contacts.join(", "));
    }
    out
}

fn shown(since: &Since) -> String {
    match since {
        Since::Moment(moment) => moment.to_string(),
        Since::Cursor(cursor) => format!("the last run, on {}", cursor.on),
        Since::Document { service, seq } => format!("document {seq} of {service}"),
    }
}
