//! Who may ask: the `Host` header against DNS rebinding, and the token where one is set.

use crate::{
    respond::{self, Reply},
    shared::Shared,
};
use http::{HeaderMap, StatusCode, Uri, header};
use std::net::IpAddr;

/// The cookie that holds the token once a browser has shown it.
pub(crate) const COOKIE: &str = "meshwise_console";

/// Says why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    Host,
    Token,
}

impl Closed {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "the Host header names a host that the console does not know; use an IP address or \
                 localhost, or set the name"
            }
            Self::Token => {
                "the console wants its token: open the address that it printed, or send \
                 `authorization: Bearer TOKEN`"
            }
        }
    }

    pub(crate) fn reply(self) -> Reply {
        let status = match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Token => StatusCode::UNAUTHORIZED,
        };
        respond::text(status, format!("{}\n", self.message()))
    }
}

/// Lets a request in, or says why not.
pub(crate) fn check(shared: &Shared, uri: &Uri, headers: &HeaderMap) -> Result<(), Closed> {
    let named = uri.authority().map(|authority| authority.host().to_owned()).or_else(|| {
        let host = headers.get(header::HOST)?.to_str().ok()?;
        host.parse::<http::uri::Authority>().ok().map(|authority| authority.host().to_owned())
    });
    if !named.is_some_and(|host| is_known(&host, &shared.hosts)) {
        return Err(Closed::Host);
    }
    let Some(token) = &shared.token else { return Ok(()) };
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, shown)| shown);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookie = cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    if [bearer, cookie].into_iter().flatten().any(|shown| same(shown, token)) {
        return Ok(());
    }
    Err(Closed::Token)
}

/// Tells whether a host cannot be one that another's DNS points here: an address, localhost, or
/// one that was named.
fn is_known(host: &str, hosts: &[String]) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
}

/// Compares in a time that does not tell how much agrees.
pub(crate) fn same(shown: &str, token: &str) -> bool {
    let differ = shown.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    shown.len() == token.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_that_no_dns_can_point_here_are_known() {
        let named = ["console.example".to_owned()];
        for host in
            ["127.0.0.1", "[::1]", "10.1.2.3", "localhost", "a.LOCALHOST", "console.example"]
        {
            assert!(is_known(host, &named), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "xlocalhost"]
        {
            assert!(!is_known(host, &named), "{host}");
        }
    }

    #[test]
    fn tokens_are_the_same_only_if_they_are() {
        assert!(same("abc", "abc"));
        assert!(!same("abd", "abc") && !same("ab", "abc") && !same("", "abc"));
    }
}
