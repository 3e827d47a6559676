//! A small shop: three services that need one another.

use super::place::Place;

pub(crate) const AUTH: &str = r#"schema = 1
[service]
name = "auth"
owner = "team-identity"
contacts = ["mailto:identity@example.com"]

[[provides]]
api = "auth"
scheme = "main-minor"

[[provides.versions]]
version = "1.0"
released = 2019-03-01
deprecated = 2020-01-01
sunset = 2020-06-01
successor = "1.1"

[[provides.versions]]
version = "1.1"
released = 2019-12-01
deprecated = 2026-09-01
sunset = 2027-03-01
successor = "2.0"
migration = "https://auth.example.com/v1-to-v2"
notes = "tokens are opaque from 2.0 on"

[[provides.versions]]
version = "2.0"
released = 2026-08-15

[[provides.versions]]
version = "2.1"
released = 2027-01-10
"#;

pub(crate) const BILLING: &str = r#"schema = 1
[service]
name = "billing"
owner = "team-money"

[[provides]]
api = "billing"
scheme = "semver"
transport = "grpc"
description = "https://billing.example.com/billing.proto"

[[provides.versions]]
version = "3.2.0"
released = 2025-05-05

[[requires]]
api = "auth"
version = "2.0"
reason = "service accounts"
"#;

/// Needs a deprecated version, since long ago.
pub(crate) const ORDERS: &str = r#"schema = 1
[service]
name = "orders"
owner = "team-checkout"

[[requires]]
api = "auth"
version = "1.1"
reason = "token introspection"
since = 2020-02-01

[[requires]]
api = "billing"
version = "3.1.0"
"#;

impl Place {
    /// The dictionary with auth, billing and orders published, each with its folder.
    pub(crate) fn shop() -> Self {
        let place = Self::new();
        for (service, text) in [("auth", AUTH), ("billing", BILLING), ("orders", ORDERS)] {
            place.declare(service, text);
            place.publish(service);
        }
        place
    }

    /// Writes a service's declaration in its folder.
    pub(crate) fn declare(&self, service: &str, text: &str) {
        self.write(&format!("{service}/api.toml"), text);
    }

    #[track_caller]
    pub(crate) fn publish(&self, service: &str) {
        self.expect(0, &["publish", "--declaration", &format!("{service}/api.toml")]);
    }
}
