//! The forms of texts, and the kinds that several settings share.

use super::kind::{Form, Range, SettingKind};
use crate::{internal::has_bad_port, propagation::Format};
use http::uri::Authority;
use std::{net::SocketAddr, time::Duration};

const YEAR: Duration = Duration::from_secs(365 * 86_400);
const MS: Duration = Duration::from_millis(1);
/// More than any service has in flight.
const MOST_CALLS: i64 = 1_000_000;

pub(super) const BOOL: SettingKind = SettingKind::Bool;
/// A limit of time; the same as in the guards.
pub(super) const LIMIT: SettingKind = SettingKind::Duration(MS, YEAR);
/// A wait, which may be none.
pub(super) const WAIT: SettingKind = SettingKind::Duration(Duration::ZERO, YEAR);
pub(super) const SHARE: SettingKind = SettingKind::Number(Range::SHARE);
pub(super) const RATE: SettingKind = SettingKind::Number(Range::RATE);
pub(super) const CALLS: SettingKind = SettingKind::Whole(1, MOST_CALLS);
pub(super) const CALLS_OR_NONE: SettingKind = SettingKind::Whole(0, MOST_CALLS);
pub(super) const COUNT: SettingKind = SettingKind::Whole(0, u32::MAX as i64);
pub(super) const POSITIVE: SettingKind = SettingKind::Whole(1, u32::MAX as i64);
pub(super) const TEXT: SettingKind = SettingKind::Text(&ANY_TEXT);
pub(super) const TEXTS: SettingKind = SettingKind::List(&TEXT);

const ANY_TEXT: Form = Form {
    allowed: "a text that is not blank",
    pattern: "\\S",
    is: |text| !text.contains('\0'),
    example: "words",
};

pub(super) const FILTER: SettingKind = SettingKind::Text(&Form {
    allowed: "filter directives such as \"info,orders=debug\"",
    pattern: "\\S",
    is: |text| !text.contains('\0'),
    example: "info,orders=debug",
});

pub(super) const NAME: SettingKind = SettingKind::Text(&Form {
    allowed: NAME_ALLOWED,
    pattern: "^\\S[^\\u0000-\\u001f]{0,254}$",
    is: is_name,
    example: "orders",
});

pub(crate) const NAME_ALLOWED: &str = "a name of visible characters, at most 255";

pub(crate) fn is_name(text: &str) -> bool {
    text.chars().count() <= 255
        && !text.starts_with(char::is_whitespace)
        && !text.contains(|c: char| u32::from(c) < 32)
}

/// Several instances are separated by commas.
pub(super) const URLS: SettingKind = SettingKind::Text(&Form {
    allowed: "a URL such as \"http://auth:8080\", without user and password; for gRPC, several \
              with commas between",
    pattern: "^[A-Za-z][A-Za-z0-9+.-]*://[^\\s@/?#,]+(/[^\\s@,]*)?(\\s*,\\s*\
              [A-Za-z][A-Za-z0-9+.-]*://[^\\s@/?#,]+(/[^\\s@,]*)?)*$",
    is: |text| {
        let mut urls = text.split(',').map(str::trim);
        urls.all(|url| is_url(url) && !url.contains(['?', '#']) && !names_bad_port(url))
    },
    example: "http://auth:8080",
});

pub(super) const ENDPOINT: SettingKind = SettingKind::Text(&Form {
    allowed: "a URL such as \"http://collector:4318\", without user and password; for gRPC, a host \
              and port will do",
    pattern: "^([A-Za-z][A-Za-z0-9+.-]*://)?[^\\s@/?#]+([/?#]\\S*)?$",
    is: |text| is_url(text) || is_url(&format!("http://{text}")),
    example: "http://collector:4318",
});

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && !authority.is_empty()
        && !authority.contains('@')
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn names_bad_port(url: &str) -> bool {
    let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next());
    authority.is_some_and(|text| text.parse().is_ok_and(|named: Authority| has_bad_port(&named)))
}

pub(super) const OPS_ADDR: SettingKind = SettingKind::Text(&Form {
    allowed: "an IP address and a port such as \"127.0.0.1:9464\" or \"[::1]:0\", \"same-port\", or \
              \"off\"",
    pattern: "^(off|same-port|([0-9]{1,3}\\.){3}[0-9]{1,3}:[0-9]{1,5}|\\[[0-9A-Fa-f:.%a-z]+\\]:[0-9]{1,5})$",
    is: |text| matches!(text, "off" | "same-port") || text.parse::<SocketAddr>().is_ok(),
    example: "127.0.0.1:9464",
});

pub(super) const ROUTE_PATH: SettingKind = SettingKind::List(&SettingKind::Text(&Form {
    allowed: "a path such as \"/healthz\"",
    pattern: "^/[^\\s?#]*$",
    is: |text| {
        text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || "?#".contains(c))
    },
    example: "/healthz",
}));

pub(super) const GRPC_METHODS: SettingKind = SettingKind::List(&SettingKind::Text(&Form {
    allowed: "a gRPC method such as \"shop.v1.Stock/Watch\" or \"shop.v1.Stock/*\"",
    pattern: "^[^\\s/]+/[^\\s/]+$",
    is: |text| {
        let parts: Vec<&str> = text.split('/').collect();
        parts.len() == 2
            && parts.iter().all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
    },
    example: "shop.v1.Stock/Watch",
}));

pub(super) const LABEL: SettingKind = SettingKind::Text(&Form {
    allowed: "a text that is not blank, at most 1024 bytes",
    pattern: "^(?=.*\\S)[\\s\\S]{1,1024}$",
    is: |text| text.len() <= 1024,
    example: "a",
});

pub(super) const HEADER_VALUE: SettingKind = SettingKind::Text(&Form {
    allowed: "a header's value: visible ASCII characters and spaces",
    pattern: "^[\\x20-\\x7e\\t]+$",
    is: |text| text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')),
    example: "shop",
});

pub(super) const PREFIXES: SettingKind = SettingKind::List(&SettingKind::Text(&Form {
    allowed: "a prefix of at least two ASCII characters that begins with a letter",
    pattern: "^[A-Za-z][\\x21-\\x7e]+$",
    is: |text| {
        text.len() >= 2
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    },
    example: "acme_",
}));

/// Samplers by their names in OpenTelemetry's variable, and ours.
pub(super) const SAMPLERS: SettingKind = SettingKind::Word(&[
    "always_on",
    "always_off",
    "traceidratio",
    "ratelimited",
    "keep_errors",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "parentbased_ratelimited",
    "parentbased_keep_errors",
]);

pub(super) const PROPAGATORS: SettingKind = SettingKind::List(&SettingKind::Word(&FORMATS));

const FORMATS: [&str; Format::ALL.len()] = {
    let mut words = [""; Format::ALL.len()];
    let mut i = 0;
    while i < words.len() {
        words[i] = Format::ALL[i].as_str();
        i += 1;
    }
    words
};
