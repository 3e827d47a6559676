//! The declaration as a Rust expression of the type `meshwise_api::Declared`.

use std::fmt::{self, Write as _};

use meshwise_api::{Date, Declaration, Level, Lock, Release, Report, Requirement};

/// Writes the expression. It names all by `meshwise_api::`, which `declared!` brings into scope.
pub(crate) fn declared(declaration: &Declaration, report: &Report, lock: Option<&Lock>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(declaration, report, lock, &mut out);
    out
}

/// Writes the expression for a service of which nothing is known but its name.
pub(crate) fn nothing(service: &str) -> String {
    format!("meshwise_api::Declared::new({service:?})\n")
}

fn write(
    declaration: &Declaration,
    report: &Report,
    lock: Option<&Lock>,
    out: &mut String,
) -> fmt::Result {
    let service = &declaration.service;
    out.push_str("// Written by meshwise-build from api.toml and api.lock.\n");
    out.push_str("meshwise_api::Declared {\n");
    writeln!(out, "    service: {:?},", service.name)?;
    writeln!(out, "    owner: {},", text(service.owner.as_deref()))?;
    writeln!(out, "    contacts: &{:?},", service.contacts)?;
    out.push_str("    provides: &[\n");
    for provides in &declaration.provides {
        out.push_str("        meshwise_api::ProvidedApi {\n");
        writeln!(out, "            api: {:?},", provides.api)?;
        writeln!(out, "            scheme: {:?},", provides.scheme.as_str())?;
        writeln!(out, "            transport: {:?},", provides.transport.as_str())?;
        writeln!(out, "            description: {},", text(provides.description.as_deref()))?;
        out.push_str("            versions: &[\n");
        for release in &provides.versions {
            version(release, out)?;
        }
        out.push_str("            ],\n        },\n");
    }
    out.push_str("    ],\n    requires: &[\n");
    for (requires, requirement) in declaration.requires.iter().zip(&report.requirements) {
        required(requires.level, requirement, out)?;
    }
    out.push_str("    ],\n");
    writeln!(out, "    checked_on: {},", date(Some(report.today)))?;
    let head = lock.map(|lock| lock.dictionary.head.to_string());
    writeln!(out, "    dictionary_head: {},", text(head.as_deref()))?;
    writeln!(out, "    ..meshwise_api::Declared::new({:?})", service.name)?;
    out.push_str("}\n");
    Ok(())
}

fn version(release: &Release, out: &mut String) -> fmt::Result {
    out.push_str("                meshwise_api::ProvidedVersion {\n");
    for (key, value) in [
        ("released", date(release.released)),
        ("deprecated", date(release.deprecated)),
        ("sunset", date(release.sunset)),
        ("successor", text(release.successor.as_deref())),
        ("migration", text(release.migration.as_deref())),
        ("notes", text(release.notes.as_deref())),
    ] {
        writeln!(out, "                    {key}: {value},")?;
    }
    writeln!(
        out,
        "                    ..meshwise_api::ProvidedVersion::new({:?})",
        release.version.as_str()
    )?;
    out.push_str("                },\n");
    Ok(())
}

fn required(level: Level, requirement: &Requirement, out: &mut String) -> fmt::Result {
    let resolved = requirement.resolved.as_ref();
    out.push_str("        meshwise_api::RequiredApi {\n");
    for (key, value) in [
        ("provider", text(resolved.map(|resolved| resolved.provider.as_str()))),
        ("resolved", text(resolved.map(|resolved| resolved.version.as_str()))),
        ("deprecated", date(resolved.and_then(|resolved| resolved.deprecated))),
        ("sunset", date(resolved.and_then(|resolved| resolved.sunset))),
        ("successor", text(resolved.and_then(|resolved| resolved.successor.as_deref()))),
        ("level", format!("{:?}", level.as_str())),
    ] {
        writeln!(out, "            {key}: {value},")?;
    }
    let (api, version) = (&requirement.api, &requirement.required);
    writeln!(out, "            ..meshwise_api::RequiredApi::new({api:?}, {version:?})")?;
    out.push_str("        },\n");
    Ok(())
}

/// Rust's own form of a text in quotes: `{:?}` escapes what a literal may not hold.
fn text(value: Option<&str>) -> String {
    format!("{value:?}")
}

fn date(value: Option<Date>) -> String {
    match value {
        Some(date) => {
            format!("meshwise_api::Date::new({}, {}, {})", date.year(), date.month(), date.day())
        }
        None => "None".to_owned(),
    }
}
