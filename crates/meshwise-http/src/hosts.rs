//! What `Host` headers say: each is taken apart once.

use http::HeaderValue;
use meshwise_metrics::internal::Table;
use opentelemetry::Value;
use std::{fmt, sync::Arc};

/// How many are kept; callers may send any number, of any length.
const MAX_HOSTS: usize = 500;
const MAX_LENGTH: usize = 256;

/// Knows the hosts that requests name.
pub(crate) struct Hosts(Table<KnownHost>);

struct KnownHost {
    header: Box<[u8]>,
    host: Option<HostAndPort>,
}

type HostAndPort = (Arc<str>, Option<u16>);

impl Hosts {
    pub(crate) fn new() -> Self {
        Self(Table::new(MAX_HOSTS))
    }

    /// Finds the host and the port in a header; `None` if it is no host.
    pub(crate) fn find(&self, header: &HeaderValue) -> Option<(Value, Option<u16>)> {
        let bytes = header.as_bytes();
        let hash = self.0.hash(&bytes);
        let is_it = |known: &KnownHost| *known.header == *bytes;
        if let Some(known) = self.0.get(hash, is_it) {
            let (host, port) = known.host.as_ref()?;
            return Some((Arc::clone(host).into(), *port));
        }
        let host = host_and_port(header).map(|(host, port)| (Arc::from(host), port));
        if bytes.len() <= MAX_LENGTH {
            let make = || KnownHost { header: bytes.into(), host: host.clone() };
            let _kept = self.0.get_or_insert(hash, is_it, make);
        }
        host.map(|(host, port): HostAndPort| (host.into(), port))
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hosts").field(&self.0).finish()
    }
}

/// Takes a `Host` header apart; `None` if it is no host (RFC 9110 section 7.2).
fn host_and_port(value: &HeaderValue) -> Option<(&str, Option<u16>)> {
    let text = value.to_str().ok()?;
    let bytes = text.as_bytes();
    if !bytes.iter().all(|byte| IN_HOST[usize::from(*byte)]) {
        return None;
    }
    let end = match bytes.first()? {
        b'[' => text.find(']')? + 1,
        _ => bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len()),
    };
    let (host, port) = text.split_at(end);
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, None)),
        // `parse` would take a sign.
        Some(port) if !host.is_empty() => {
            Some((host, port.parse().ok().filter(|_| !port.starts_with('+'))))
        }
        _ => None,
    }
}

/// What may stand in an authority, less what separates credentials (RFC 3986 section 3.2).
static IN_HOST: [bool; 256] = {
    let mut table = [false; 256];
    let (mut i, others) = (0, b"-._~!$&'()*+,;=%:[]");
    while i < 128 {
        table[i] = (i as u8).is_ascii_alphanumeric();
        i += 1;
    }
    i = 0;
    while i < others.len() {
        table[others[i] as usize] = true;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use http::uri::Authority;

    fn value(text: &str) -> HeaderValue {
        HeaderValue::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_host_header_is_read_as_an_authority_is() {
        for text in [
            "orders",
            "orders:8080",
            "orders:",
            "10.0.0.1:80",
            "[::1]",
            "[::1]:80",
            "a.b-c_d~e",
            "orders:0",
            "orders:65535",
            "orders:65536",
            "orders:x",
            "xn--nxa:443",
        ] {
            let authority: Authority = text.parse().unwrap();
            let port = authority.port_u16();
            assert_eq!(host_and_port(&value(text)), Some((authority.host(), port)), "{text}");
        }
        for text in ["", " ", "a b", "a/b", "a@b", "a?b", "a#b", ":80", "[::1", "[::1]x", "\u{e9}"]
        {
            assert_eq!(host_and_port(&value(text)), None, "{text}");
        }
        assert_eq!(host_and_port(&value("orders:+80")), Some(("orders", None)));
    }

    #[test]
    fn a_host_is_found_again_without_allocation_and_never_another_s() {
        let hosts = Hosts::new();
        let find = |text: &str| hosts.find(&value(text));
        let known = || Some((Value::from("orders"), Some(80)));
        assert_eq!(find("orders:80"), known());
        let header = value("orders:80");
        let inside = allocation_counter::measure(|| drop(hosts.find(&header)));
        assert_eq!(inside.count_total, 0);
        assert_eq!((find("a b"), find("a b")), (None, None));
        let long = "x".repeat(10_000);
        assert_eq!(find(&long), Some((Value::from(long.clone()), None)));
        for i in 0..2 * MAX_HOSTS {
            let host = format!("host-{i}");
            assert_eq!(find(&host), Some((Value::from(host.clone()), None)));
        }
        assert_eq!(find("orders:80"), known());
    }
}
