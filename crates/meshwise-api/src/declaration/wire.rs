//! The JSON form of a provided API: its versions are text, which only its scheme can read.

use serde::{Deserialize, Serialize};

use super::{Release, Transport};
use crate::{date::Date, scheme::Scheme};

#[derive(Serialize, Deserialize)]
pub(super) struct WireProvides {
    api: String,
    scheme: String,
    #[serde(default, rename = "same-or-later", skip_serializing_if = "std::ops::Not::not")]
    same_or_later: bool,
    #[serde(default)]
    transport: Transport,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, rename = "contract-command", skip_serializing_if = "Option::is_none")]
    contract_command: Option<String>,
    versions: Vec<WireRelease>,
    #[serde(default, rename = "shared-with", skip_serializing_if = "Vec::is_empty")]
    shared_with: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct WireRelease {
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    released: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deprecated: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sunset: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    migration: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    urgent: bool,
    #[serde(default, rename = "adopt-by", skip_serializing_if = "Option::is_none")]
    adopt_by: Option<Date>,
}

impl TryFrom<WireProvides> for super::Provides {
    type Error = String;

    fn try_from(wire: WireProvides) -> Result<Self, String> {
        let scheme: Scheme =
            wire.scheme.parse().map_err(|error| format!("{}: {error}", wire.api))?;
        let scheme = match scheme {
            Scheme::Calver { .. } => Scheme::Calver { same_or_later: wire.same_or_later },
            other => other,
        };
        let versions = wire.versions.into_iter().map(|release| {
            let version = scheme
                .version(&release.version)
                .map_err(|error| format!("{}: {error}", wire.api))?;
            Ok(Release {
                version,
                released: release.released,
                deprecated: release.deprecated,
                sunset: release.sunset,
                successor: release.successor,
                migration: release.migration,
                notes: release.notes,
                description: release.description,
                urgent: release.urgent,
                adopt_by: release.adopt_by,
            })
        });
        Ok(Self {
            versions: versions.collect::<Result<_, String>>()?,
            api: wire.api,
            scheme,
            transport: wire.transport,
            description: wire.description,
            contract_command: wire.contract_command,
            shared_with: wire.shared_with,
        })
    }
}

impl From<super::Provides> for WireProvides {
    fn from(provides: super::Provides) -> Self {
        Self {
            api: provides.api,
            scheme: provides.scheme.to_string(),
            same_or_later: provides.scheme == Scheme::Calver { same_or_later: true },
            transport: provides.transport,
            description: provides.description,
            contract_command: provides.contract_command,
            versions: provides
                .versions
                .into_iter()
                .map(|release| WireRelease {
                    version: release.version.to_string(),
                    released: release.released,
                    deprecated: release.deprecated,
                    sunset: release.sunset,
                    successor: release.successor,
                    migration: release.migration,
                    notes: release.notes,
                    description: release.description,
                    urgent: release.urgent,
                    adopt_by: release.adopt_by,
                })
                .collect(),
            shared_with: provides.shared_with,
        }
    }
}
