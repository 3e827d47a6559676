//! TOML to [`Declaration`], with the place of everything that is said.

use std::sync::Arc;

use super::{Declaration, Provides, Release, Requires, Service, Transport};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Source},
    finding::{Finding, Level},
    policy::{Policy, parse::read_policy},
    reader::{Node, Reader},
    scheme::{MAX_NAME_LEN, Scheme, is_api_name, is_service_name},
};

pub(super) fn from_bytes(file: &str, bytes: &[u8]) -> Result<Declaration, Diagnostics> {
    check_size(file, bytes.len())?;
    match std::str::from_utf8(bytes) {
        Ok(text) => declaration(file, text),
        Err(error) => {
            let at = error.valid_up_to();
            let source = Source::new(file, &String::from_utf8_lossy(bytes));
            // What precedes is valid, so it has as many bytes in the lossy text.
            Err(Diagnostic::new(Finding::INVALID_DECLARATION, format!("{file} is not UTF-8"))
                .with_location(Some(source.location(at..at + 1)))
                .with_label("this byte is no part of a character")
                .with_help("save the file as UTF-8")
                .into())
        }
    }
}

fn check_size(file: &str, bytes: usize) -> Result<(), Diagnostics> {
    if bytes <= Declaration::MAX_SIZE {
        return Ok(());
    }
    let message = format!("{file} has {bytes} bytes, at most {} are read", Declaration::MAX_SIZE);
    Err(Diagnostic::new(Finding::INVALID_DECLARATION, message)
        .with_help("is this the right file? link to long texts in place of holding them")
        .into())
}

pub(super) fn declaration(file: &str, text: &str) -> Result<Declaration, Diagnostics> {
    check_size(file, text.len())?;
    let (mut reader, table) = Reader::parse(file, text, Finding::INVALID_DECLARATION)?;
    let declaration = read_root(&mut reader, &Node::root(&table));
    match (declaration, reader.finish()) {
        (Some(mut declaration), Ok(source)) => {
            declaration.source = Some(Arc::new(source));
            Ok(declaration)
        }
        (_, Err(diagnostics)) => Err(diagnostics),
        // Cannot be: what is missing was told. Say so all the same, and never return an empty list.
        (None, Ok(_)) => {
            Err(Diagnostic::new(Finding::INVALID_DECLARATION, "the declaration is incomplete")
                .into())
        }
    }
}

fn read_root(r: &mut Reader, root: &Node<'_>) -> Option<Declaration> {
    r.known_keys(root, &["schema", "service", "provides", "requires", "policy"]);
    let schema = read_schema(r, root);
    let service = match r.required_table(root, "service") {
        Some(node) => read_service(r, &node),
        None => None,
    };
    let provides =
        r.tables(root, "provides").iter().filter_map(|node| read_provides(r, node)).collect();
    let requires =
        r.tables(root, "requires").iter().filter_map(|node| read_requires(r, node)).collect();
    let policy =
        r.table(root, "policy").map_or_else(Policy::default, |node| read_policy(r, &node, &[]));
    Some(Declaration {
        schema: schema?,
        service: service?,
        provides,
        requires,
        policy,
        source: None,
    })
}

fn read_schema(r: &mut Reader, root: &Node<'_>) -> Option<u32> {
    let schema = r.required(root, "schema", "schema = 1", Reader::integer)?;
    if schema == i64::from(Declaration::SCHEMA) {
        return Some(Declaration::SCHEMA);
    }
    let help =
        if schema > 1 { "a newer release of meshwise may read it" } else { "write schema = 1" };
    r.report(
        &root.path("schema"),
        Diagnostic::new(
            Finding::INVALID_DECLARATION,
            format!("this release reads schema 1, not {schema}"),
        )
        .with_help(help),
    );
    None
}

fn read_service(r: &mut Reader, node: &Node<'_>) -> Option<Service> {
    r.known_keys(node, &["name", "owner", "contacts", "dictionary", "retired"]);
    let retired = r.optional(node, "retired", Reader::boolean).unwrap_or_default();
    let name = r.required(node, "name", "name = \"orders\"", Reader::text);
    let owner = r.optional(node, "owner", Reader::text);
    let contacts = r.optional(node, "contacts", Reader::texts).unwrap_or_default();
    let dictionary = r.optional(node, "dictionary", Reader::text);
    for (at, contact) in contacts.iter().enumerate() {
        let scheme_ok = contact.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty()
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
        });
        if !scheme_ok || contact.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let help = if contact.contains('@') {
                format!("write \"mailto:{contact}\"")
            } else {
                "write a URI, such as \"mailto:team@example.com\" or \"https://example.com/team\""
                    .to_owned()
            };
            r.report(
                &format!("{}[{at}]", node.path("contacts")),
                Diagnostic::new(Finding::INVALID_DECLARATION, "a contact is a URI").with_help(help),
            );
        }
    }
    let name = name?;
    if !is_service_name(&name) {
        r.report(
            &node.path("name"),
            Diagnostic::new(Finding::INVALID_DECLARATION, "this cannot be the name of a service").with_help(format!(
                "use ASCII letters, digits and, between them, '.', '_' or '-'; at most {MAX_NAME_LEN}"
            )),
        );
        return None;
    }
    Some(Service { name, owner, contacts, dictionary, retired })
}

fn read_provides(r: &mut Reader, node: &Node<'_>) -> Option<Provides> {
    let keys = [
        "api",
        "scheme",
        "same-or-later",
        "transport",
        "description",
        "contract-command",
        "versions",
        "shared-with",
    ];
    r.known_keys(node, &keys);
    let shared_with = r.optional(node, "shared-with", Reader::texts).unwrap_or_default();
    let api = read_api(r, node);
    let scheme = read_scheme(r, node);
    let transport = r
        .optional(node, "transport", |r, path, value| {
            r.one_of(path, value, "transport", &Transport::NAMES, Transport::from_name)
        })
        .unwrap_or_default();
    let description = r.optional(node, "description", Reader::text);
    let contract_command = r.optional(node, "contract-command", Reader::text);
    let nodes = r.tables(node, "versions");
    if node.lacks("versions") {
        r.report(
            &node.at,
            Diagnostic::new(Finding::INVALID_DECLARATION, "this API has no versions").with_help(
                "add one:\n[[provides.versions]]\nversion = \"1.0\"\nreleased = 2026-01-31",
            ),
        );
    }
    // Without a scheme no version can be read; that it is missing was told.
    let versions = nodes.iter().filter_map(|node| read_release(r, node, scheme)).collect();
    let (api, scheme) = (api?, scheme?);
    Some(Provides { api, scheme, transport, description, contract_command, versions, shared_with })
}

fn read_api(r: &mut Reader, node: &Node<'_>) -> Option<String> {
    let api = r.required(node, "api", "api = \"orders\"", Reader::text)?;
    if is_api_name(&api) {
        return Some(api);
    }
    r.report(
        &node.path("api"),
        Diagnostic::new(Finding::INVALID_DECLARATION, "this cannot be the name of an API").with_help(format!(
            "use ASCII letters, digits and, between them, '.', '_', '-' or '/'; at most {MAX_NAME_LEN}"
        )),
    );
    None
}

fn read_scheme(r: &mut Reader, node: &Node<'_>) -> Option<Scheme> {
    let scheme = r.required(node, "scheme", "scheme = \"semver\"", |r, path, value| {
        r.one_of(path, value, "scheme", &Scheme::NAMES, |name| name.parse().ok())
    });
    let same_or_later = r.optional(node, "same-or-later", Reader::boolean);
    match (scheme?, same_or_later) {
        (Scheme::Calver { .. }, Some(same_or_later)) => Some(Scheme::Calver { same_or_later }),
        (scheme, Some(_)) => {
            r.report(
                &node.path("same-or-later"),
                Diagnostic::new(
                    Finding::INVALID_DECLARATION,
                    format!("same-or-later is for the scheme calver, not for {scheme}"),
                )
                .with_help(format!("remove it: under {scheme}, what will do is {}", scheme.rule())),
            );
            None
        }
        (scheme, None) => Some(scheme),
    }
}

fn read_release(r: &mut Reader, node: &Node<'_>, scheme: Option<Scheme>) -> Option<Release> {
    r.known_keys(
        node,
        &[
            "version",
            "released",
            "deprecated",
            "sunset",
            "successor",
            "migration",
            "notes",
            "description",
            "urgent",
            "adopt-by",
        ],
    );
    let example = format!("version = \"{}\"", scheme.map_or("1.0", Scheme::example));
    let text = r.required(node, "version", &example, Reader::text);
    let released = r.optional(node, "released", Reader::date);
    let deprecated = r.optional(node, "deprecated", Reader::date);
    let sunset = r.optional(node, "sunset", Reader::date);
    let successor = r.optional(node, "successor", Reader::text);
    let migration = r.optional(node, "migration", Reader::text);
    let notes = r.optional(node, "notes", Reader::text);
    let description = r.optional(node, "description", Reader::text);
    let urgent = r.optional(node, "urgent", Reader::boolean).unwrap_or_default();
    let adopt_by = r.optional(node, "adopt-by", Reader::date);
    let version = match scheme?.version(&text?) {
        Ok(version) => version,
        Err(error) => {
            r.report(
                &node.path("version"),
                Diagnostic::new(Finding::INVALID_DECLARATION, error.to_string()),
            );
            return None;
        }
    };
    let mut release = Release::new(version);
    (release.released, release.deprecated, release.sunset) = (released, deprecated, sunset);
    (release.successor, release.migration, release.notes) = (successor, migration, notes);
    release.description = description;
    (release.urgent, release.adopt_by) = (urgent, adopt_by);
    Some(release)
}

fn read_requires(r: &mut Reader, node: &Node<'_>) -> Option<Requires> {
    r.known_keys(node, &["api", "version", "reason", "level", "since"]);
    let api = read_api(r, node);
    let version = r.required(node, "version", "version = \"1.1\"", Reader::text);
    let reason = r.optional(node, "reason", Reader::text);
    let level = r.optional(node, "level", Reader::level).unwrap_or(Level::Deny);
    let since = r.optional(node, "since", Reader::date);
    let (api, version) = (api?, version?);
    if let Err(error) = Scheme::Exact.version(&version) {
        r.report(
            &node.path("version"),
            Diagnostic::new(Finding::INVALID_DECLARATION, error.to_string()),
        );
        return None;
    }
    // The compact id is for command lines; here it would never be satisfied.
    if let Some(bare) = version.strip_prefix(&api).and_then(|rest| rest.strip_prefix('-')) {
        r.report(
            &node.path("version"),
            Diagnostic::new(
                Finding::INVALID_DECLARATION,
                "the version repeats the name of the API",
            )
            .with_help(format!("write version = \"{bare}\"")),
        );
        return None;
    }
    Some(Requires { api, version, reason, level, since })
}
