//! Ports that are none.

use http::uri::Authority;

/// Tells whether an address names a port that is none, such as `99999`, `431B` or nothing behind the colon.
/// [`Authority::port_u16`] says of it what it says of an address without one, and clients go to the port of
/// the scheme.
#[must_use]
pub fn has_bad_port(authority: &Authority) -> bool {
    let text = authority.as_str();
    let (_, address) = text.rsplit_once('@').unwrap_or(("", text));
    address.len() > authority.host().len() && authority.port_u16().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_port_is_told_from_none() {
        for good in ["auth", "auth:80", "[::1]", "[::1]:65535", "me:5@auth", "me@auth:0", "1.2.3.4"]
        {
            assert!(!has_bad_port(&good.parse().unwrap()), "{good}");
        }
        for bad in ["auth:", "auth:99999", "auth:431B", "auth:-1", "[::1]:65536", "me:5@auth:x"] {
            assert!(has_bad_port(&bad.parse().unwrap()), "{bad}");
        }
    }
}
