//! What is hidden and what is shown, over two corpora of texts that people write.

use meshwise_core::{Redaction, internal::REDACTED};
use std::borrow::Cow;

fn lines(corpus: &str) -> Vec<String> {
    let lines = corpus.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines.map(|line| line.replace('␤', "\n").replace('·', "")).collect()
}

#[test]
fn secrets_are_hidden_and_nothing_around_them() {
    let lines = lines(include_str!("redaction/hidden.txt"));
    assert!(lines.len() >= 200, "{}", lines.len());
    let redaction = Redaction::default();
    let mut wrong = Vec::new();
    for line in &lines {
        let marked = line.replace("⟦⟧", "");
        let text = marked.replace(['⟦', '⟧'], "");
        let mut wanted = String::new();
        for (i, part) in marked.split('⟦').enumerate() {
            match part.split_once('⟧') {
                Some((_, rest)) if i > 0 => wanted = wanted + REDACTED + rest,
                _ => wanted += part,
            }
        }
        let clean = redaction.text(&text);
        if clean != wanted {
            wrong.push(format!("{text}\n  became {clean}\n  wanted {wanted}"));
        }
        assert_eq!(redaction.text(&clean), clean, "once more is once");
        assert_eq!(redaction.clone().with_values(false).text(&text), text);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_no_secret_is_shown_and_costs_no_allocation() {
    let lines = lines(include_str!("redaction/shown.txt"));
    assert!(lines.len() >= 200, "{}", lines.len());
    let redaction = Redaction::default();
    let mut wrong = Vec::new();
    for line in &lines {
        let mut clean = Cow::Borrowed("");
        let cost = allocation_counter::measure(|| clean = redaction.text(line));
        match clean {
            Cow::Borrowed(_) => assert_eq!(cost.count_total, 0, "{line}"),
            Cow::Owned(clean) => wrong.push(format!("{line}\n  became {clean}")),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
