//! Request methods as labels: a known set, and `_OTHER`.

use http::{Method, uri::Authority};

/// Stands for every method that is not in the known set.
pub(crate) const OTHER: &str = "_OTHER";

/// Returns the method's name if it is one of RFC 9110's or PATCH, otherwise `_OTHER`: methods are
/// labels, and a caller can invent any number of them.
pub(crate) fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::CONNECT => "CONNECT",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::PATCH => "PATCH",
        _ => OTHER,
    }
}

/// Returns the scheme's name as a label.
pub(crate) fn scheme(scheme: Option<&str>, default: &'static str) -> &'static str {
    match scheme {
        Some("http") => "http",
        Some("https") => "https",
        Some(_) => OTHER,
        None => default,
    }
}

/// Takes an authority apart. `http` searches it for what few have: a user, an IPv6 address.
pub(crate) fn host_and_port(authority: &Authority) -> (&str, Option<u16>) {
    let text = authority.as_str();
    let in_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let port = match text.as_bytes().iter().position(|byte| !in_host(byte)) {
        None => return (text, None),
        Some(end) => text.split_at(end),
    };
    if let (host, [b':', digits @ ..]) = (port.0, port.1.as_bytes())
        && (1..=5).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
    {
        let number = digits.iter().fold(0, |sum, digit| 10 * sum + u32::from(digit - b'0'));
        return (host, u16::try_from(number).ok());
    }
    (authority.host(), authority.port_u16())
}

/// Returns the port that a scheme implies.
pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Returns the protocol version as `network.protocol.version` has it.
pub(crate) fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_09 => "0.9",
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_11 => "1.1",
        http::Version::HTTP_2 => "2",
        http::Version::HTTP_3 => "3",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_taken_apart_as_http_does() {
        for text in [
            "stock",
            "stock:8080",
            "stock:",
            "stock:0",
            "stock:65535",
            "stock:65536",
            "stock:99999",
            "stock:000080",
            "10.0.0.1:80",
            "[::1]",
            "[::1]:80",
            "user@stock",
            "user:secret@stock:8080",
            "a_b-c.d:1",
            "xn--nxa:443",
        ] {
            let authority: Authority = text.parse().unwrap();
            let expected = (authority.host(), authority.port_u16());
            assert_eq!(host_and_port(&authority), expected, "{text}");
        }
    }

    #[test]
    fn invented_methods_share_one_label() {
        assert_eq!(known(&Method::PATCH), "PATCH");
        for invented in ["PROPFIND", "get", "X"] {
            assert_eq!(known(&Method::from_bytes(invented.as_bytes()).unwrap()), OTHER);
        }
    }
}
