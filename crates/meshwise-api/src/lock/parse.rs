//! `api.lock` from text.

use super::{Answer, Lock, LockSource, Locked, LockedDocument, Resolved};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    finding::Finding,
    policy::parse::read_policy,
    reader::{Node, Reader},
    scheme::Scheme,
    state::State,
};

const AGAIN: &str = "write it anew with `cargo meshwise lock`; it is not edited or merged by hand";

pub(super) fn from_bytes(file: &str, bytes: &[u8]) -> Result<Lock, Diagnostics> {
    if bytes.len() > Lock::MAX_SIZE {
        return Err(too_big(file, bytes.len()));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => lock(file, text),
        Err(_) => Err(invalid(format!("{file} is not UTF-8")).into()),
    }
}

fn invalid(message: String) -> Diagnostic {
    Diagnostic::new(Finding::INVALID_LOCK, message).with_help(AGAIN)
}

fn too_big(file: &str, bytes: usize) -> Diagnostics {
    invalid(format!("{file} has {bytes} bytes, at most {} are read", Lock::MAX_SIZE)).into()
}

pub(super) fn lock(file: &str, text: &str) -> Result<Lock, Diagnostics> {
    if text.len() > Lock::MAX_SIZE {
        return Err(too_big(file, text.len()));
    }
    let (mut reader, table) =
        Reader::parse(file, text, Finding::INVALID_LOCK).map_err(with_help)?;
    let lock = read_root(&mut reader, &Node::root(&table));
    match (lock, reader.finish()) {
        (Some(lock), Ok(_)) => Ok(lock),
        (_, Err(diagnostics)) => Err(with_help(diagnostics)),
        (None, Ok(_)) => Err(invalid(format!("{file} is incomplete")).into()),
    }
}

/// Whatever is wrong with it, one does not mend it by hand.
fn with_help(diagnostics: Diagnostics) -> Diagnostics {
    Diagnostics::new(
        diagnostics.into_iter().map(|diagnostic| diagnostic.with_help(AGAIN)).collect(),
    )
}

fn read_root(r: &mut Reader, root: &Node<'_>) -> Option<Lock> {
    let schema = r.required(root, "schema", "schema = 1", Reader::integer)?;
    if schema != i64::from(Lock::SCHEMA) {
        r.report(
            "schema",
            Diagnostic::new(
                Finding::INVALID_LOCK,
                format!("this release reads schema 1, not {schema}"),
            ),
        );
        return None;
    }
    r.known_keys(root, &["schema", "dictionary", "policy", "requires"]);
    let policy = r.table(root, "policy").map(|node| read_policy(r, &node, &[]));
    let node = r.required_table(root, "dictionary")?;
    let dictionary = read_source(r, &node);
    let entries =
        r.tables(root, "requires").iter().filter_map(|node| read_locked(r, node)).collect();
    let lock = Lock::new(dictionary?, entries);
    Some(Lock { policy: policy.unwrap_or_default(), ..lock })
}

fn read_source(r: &mut Reader, node: &Node<'_>) -> Option<LockSource> {
    r.known_keys(node, &["source", "head", "fetched_at"]);
    let source = r.required(node, "source", "source", Reader::text);
    let head = r.required(node, "head", "head", Reader::parsed);
    let fetched_at = r.required(node, "fetched_at", "fetched_at", Reader::parsed);
    Some(LockSource { source: source?, head: head?, fetched_at: fetched_at? })
}

fn read_locked(r: &mut Reader, node: &Node<'_>) -> Option<Locked> {
    let api = r.required(node, "api", "api", Reader::text);
    let required = r.required(node, "required", "required", Reader::text);
    let since = r.optional(node, "since", Reader::date);
    let answer = if node.has("problem") {
        r.known_keys(node, &["api", "required", "since", "problem", "offered"]);
        let problem = r.optional(node, "problem", |r, path, value| {
            r.one_of(path, value, "problem", &["no-version", "no-api"], |name| {
                Some(name.to_owned())
            })
        });
        let offered = r.optional(node, "offered", Reader::texts).unwrap_or_default();
        match problem?.as_str() {
            "no-version" => Answer::NoVersion(offered),
            "no-api" => Answer::NoApi,
            other => {
                let message = format!("{other:?} is not a problem that this release knows");
                r.report(&node.path("problem"), Diagnostic::new(Finding::INVALID_LOCK, message));
                return None;
            }
        }
    } else {
        Answer::Resolved(read_resolved(r, node)?)
    };
    let seq = r.optional(node, "document", Reader::integer);
    let digest = r.optional(node, "digest", Reader::parsed);
    let seq = seq.and_then(|seq| u64::try_from(seq).ok());
    let document = seq.zip(digest).map(|(seq, digest)| LockedDocument { seq, digest });
    Some(Locked { api: api?, required: required?, since, answer, document })
}

fn read_resolved(r: &mut Reader, node: &Node<'_>) -> Option<Resolved> {
    r.known_keys(
        node,
        &[
            "api",
            "required",
            "since",
            "resolved",
            "provider",
            "scheme",
            "same-or-later",
            "state",
            "released",
            "deprecated",
            "sunset",
            "told",
            "fix",
            "adopt-by",
            "successor",
            "migration",
            "document",
            "digest",
        ],
    );
    let version = r.required(node, "resolved", "resolved", Reader::text);
    let provider = r.required(node, "provider", "provider", Reader::text);
    let scheme: Option<Scheme> = r.required(node, "scheme", "scheme", Reader::parsed);
    let same_or_later = r.optional(node, "same-or-later", Reader::boolean).unwrap_or_default();
    let state: Option<State> = r.required(node, "state", "state", Reader::parsed);
    let released = r.optional(node, "released", Reader::date);
    let deprecated = r.optional(node, "deprecated", Reader::date);
    let sunset = r.optional(node, "sunset", Reader::date);
    let told = r.optional(node, "told", Reader::date);
    let fix = r.optional(node, "fix", Reader::text);
    let adopt_by = r.optional(node, "adopt-by", Reader::date);
    let successor = r.optional(node, "successor", Reader::text);
    let migration = r.optional(node, "migration", Reader::text);
    let (version, scheme) = (version?, scheme?);
    let scheme = match scheme {
        Scheme::Calver { .. } => Scheme::Calver { same_or_later },
        other => other,
    };
    if let Err(error) = scheme.version(&version) {
        r.report(&node.path("resolved"), Diagnostic::new(Finding::INVALID_LOCK, error.to_string()));
        return None;
    }
    Some(Resolved {
        version,
        provider: provider?,
        scheme,
        state: state?,
        released,
        deprecated,
        sunset,
        told,
        fix,
        adopt_by,
        successor,
        migration,
    })
}
