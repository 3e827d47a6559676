//! Settings for some of a peer's routes: by method and path template, or by gRPC method.

use crate::config::ConfigError;
use std::cmp::Reverse;

/// A route: `GET /items/{id}`, `/items/{*rest}` (any method), `shop.v1.Stock/Get` or
/// `shop.v1.Stock/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Empty: any.
    method: Box<str>,
    path: Box<str>,
}

impl Pattern {
    /// Reads a route.
    ///
    /// # Errors
    /// Says what is one.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let allowed =
            "a method and path such as `GET /items/{id}`, a path, or `package.Service/Method`";
        Self::read(text).ok_or_else(|| ConfigError::new("route", format_args!("{text:?}"), allowed))
    }

    fn read(text: &str) -> Option<Self> {
        let (method, path) = match text.trim().split_once(' ') {
            Some((method, path)) => (method.to_ascii_uppercase(), path.trim_start().to_owned()),
            None if text.trim().starts_with('/') => (String::new(), text.trim().to_owned()),
            // `package.Service/Method`.
            None if parts(text.trim()).count() == 2 => ("POST".into(), format!("/{}", text.trim())),
            None => return None,
        };
        let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let mut whole = path.starts_with('/') && word(&method) && !path.contains([' ', '?', '#']);
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            whole &= match inner.map(|name| name.strip_prefix('*').ok_or(name)) {
                // The rest of a path comes last.
                Some(Ok(rest)) => last && !rest.is_empty(),
                Some(Err(name)) => !name.is_empty(),
                None => !part.contains(['{', '}']) && (last || part != "*"),
            };
        }
        whole.then(|| Self { method: method.into(), path: path.into() })
    }

    /// Tells how particular it is: the more of its parts are names, and none is left open, the more.
    pub(crate) fn rank(&self) -> (Reverse<usize>, Reverse<usize>, usize, bool) {
        let rest = parts(&self.path).filter(|part| is_rest(part)).count();
        let open = parts(&self.path).filter(|part| part.starts_with('{')).count();
        (Reverse(rest), Reverse(open), parts(&self.path).count(), !self.method.is_empty())
    }

    pub(super) fn matches(&self, (method, path): (&str, &str)) -> bool {
        if !self.method.is_empty() && *self.method != *method {
            return false;
        }
        let (mut wanted, mut parts) = (self.path.split('/'), path.split('/'));
        loop {
            match (wanted.next(), parts.next()) {
                (None, None) => return true,
                (Some(rest), Some(part)) if is_rest(rest) => return !part.is_empty(),
                (Some(name), Some(part)) if name.starts_with('{') && !part.is_empty() => {}
                (Some(wanted), Some(part)) if wanted == part => {}
                _ => return false,
            }
        }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// Tells whether a part stands for the rest of the path.
fn is_rest(part: &str) -> bool {
    part == "*" || part.starts_with("{*")
}

/// Says which responses stream, beside those that tell so themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Streaming {
    pub(crate) all: bool,
    /// Those of these gRPC methods, as `package.Service/Method` or `package.Service/*`.
    pub(crate) methods: Vec<String>,
}

impl Streaming {
    pub(crate) fn lists(&self, path: &str) -> bool {
        let method = path.trim_start_matches('/');
        self.methods.iter().any(|listed| match listed.strip_suffix("/*") {
            Some(service) => method.strip_prefix(service).is_some_and(|rest| rest.starts_with('/')),
            None => *listed == *method,
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn routes_are_found_by_method_and_template() {
        for (pattern, method, path, found) in [
            ("GET /items/{id}", "GET", "/items/7", true),
            ("get /items/{id}", "GET", "/items/7", true),
            ("GET /items/{id}", "POST", "/items/7", false),
            ("GET /items/{id}", "GET", "/items/", false),
            ("GET /items/{id}", "GET", "/items/7/parts", false),
            ("/items/{id}/parts", "DELETE", "/items/7/parts", true),
            ("/files/{*path}", "GET", "/files/a/b", true),
            ("/files/{*path}", "GET", "/files/", false),
            ("/", "GET", "/", true),
            ("shop.v1.Stock/Get", "POST", "/shop.v1.Stock/Get", true),
            ("shop.v1.Stock/*", "POST", "/shop.v1.Stock/Watch", true),
            ("shop.v1.Stock/*", "POST", "/shop.v1.Stocks/Watch", false),
        ] {
            let route = Pattern::parse(pattern).unwrap();
            assert_eq!(route.matches((method, path)), found, "{pattern} {method} {path}");
        }
        for bad in [
            "",
            "items",
            "GET items",
            "G-T /x",
            "/a b",
            "GET /x?y=1",
            "a/b/c",
            "/x/{",
            "/x/}",
            "/x/{}",
            "/x/{*}",
            "/x/{*a}/b",
            "/x/*/b",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn methods_are_listed_one_by_one_or_by_service() {
        let streaming = Streaming {
            all: false,
            methods: vec!["shop.v1.Stock/Watch".into(), "grpc.health.v1.Health/*".into()],
        };
        for (path, listed) in [
            ("/shop.v1.Stock/Watch", true),
            ("/shop.v1.Stock/Get", false),
            ("/grpc.health.v1.Health/Watch", true),
            ("/grpc.health.v1.Healthy/Watch", false),
        ] {
            assert_eq!(streaming.lists(path), listed, "{path}");
        }
    }
}
