//! Request methods as labels: a known set, and `_OTHER`.

use http::Method;

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
    fn invented_methods_share_one_label() {
        assert_eq!(known(&Method::PATCH), "PATCH");
        for invented in ["PROPFIND", "get", "X"] {
            assert_eq!(known(&Method::from_bytes(invented.as_bytes()).unwrap()), OTHER);
        }
    }
}
