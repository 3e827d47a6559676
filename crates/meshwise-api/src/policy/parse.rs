//! TOML to [`Policy`], with the place of everything that is said.

use super::{MAX_LOCK_AGE_DAYS, MIN_DEPRECATION_DAYS, Policy};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    finding::Finding,
    reader::{Node, Reader},
};

/// The schema of `policy.toml` that this release reads.
const SCHEMA: i64 = 1;

/// Reads an organisation's policy.
pub(super) fn organisation(file: &str, text: &str) -> Result<Policy, Diagnostics> {
    let (mut reader, table) = Reader::parse(file, text, Finding::INVALID_DECLARATION)?;
    let root = Node::root(&table);
    let schema = reader.required(&root, "schema", "schema = 1", Reader::integer);
    if schema.is_some_and(|schema| schema != SCHEMA) {
        let message = "this release reads policies of schema 1";
        reader.report("schema", Diagnostic::new(Finding::INVALID_DECLARATION, message));
    }
    let policy = read_policy(&mut reader, &root, &["schema"]);
    reader.finish().map(|_| policy)
}

/// Reads the keys of `[policy]`, in a table that may have others `besides`.
pub(crate) fn read_policy(r: &mut Reader, node: &Node<'_>, besides: &[&'static str]) -> Policy {
    let mut policy = Policy::default();
    for key in node.keys() {
        let path = node.path(key);
        if besides.contains(&key) {
            continue;
        }
        if let Some(finding) = Finding::by_id(key) {
            if !finding.is_configurable() {
                r.mark(node, key);
                r.report(
                    &path,
                    Diagnostic::new(
                        Finding::INVALID_DECLARATION,
                        format!("{key} is always denied"),
                    )
                    .with_note(finding.summary())
                    .with_help("remove this line"),
                );
            } else if let Some(level) = r.optional(node, key, Reader::level) {
                policy = policy.with_level(finding, level);
            }
        } else if key == MIN_DEPRECATION_DAYS {
            if let Some(days) = r.optional(node, key, Reader::days) {
                policy = policy.with_min_deprecation_days(days);
            }
        } else if key == MAX_LOCK_AGE_DAYS
            && let Some(days) = r.optional(node, key, Reader::days)
        {
            policy = policy.with_max_lock_age_days(days);
        }
    }
    let keys = Policy::keys().chain(Finding::ALL.iter().map(|finding| finding.id()));
    let keys: Vec<_> = keys.chain(besides.iter().copied()).collect();
    r.known_keys(node, &keys);
    policy
}
