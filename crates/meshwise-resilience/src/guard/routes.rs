//! Settings for some of a peer's routes: by method and path template, or by gRPC method.

use crate::config::ConfigError;
use std::{borrow::Cow, cmp::Reverse};

/// A route: `GET /items/{id}`, `/items/{*rest}` (any method), `shop.v1.Stock/Get` or
/// `shop.v1.Stock/*`. Two are the same if they match the same, however they are spelt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Empty: any.
    pub(crate) method: Box<str>,
    /// Its open parts are `{}` and `{*}`, whatever their names.
    pub(crate) path: Box<str>,
}

/// What names no gRPC service, though it stand before a slash.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

impl Pattern {
    /// Reads a route.
    ///
    /// # Errors
    /// Says what is one.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::read(text).ok_or_else(|| {
            let old = text.split('/').find_map(|part| part.strip_prefix(':'));
            let allowed = match old {
                Some(name) => Cow::from(format!("a path with `{{{name}}}` for `:{name}`")),
                None => "a method and path such as `GET /items/{id}`, a path, or \
                         `package.Service/Method`"
                    .into(),
            };
            ConfigError::new("route", format_args!("{text:?}"), allowed)
        })
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (method.to_ascii_uppercase(), path.trim_start().to_owned()),
            None if text.starts_with('/') => (String::new(), text.to_owned()),
            // `package.Service/Method`.
            None => match text.split('/').collect::<Vec<_>>()[..] {
                [service, method] if !method.is_empty() && !is_method(service) => {
                    ("POST".into(), format!("/{text}"))
                }
                _ => return None,
            },
        };
        let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !path.starts_with('/') || !word(&method) || path.contains([' ', '?', '#']) {
            return None;
        }
        let end = path.split('/').count() - 1;
        let shapes = path.split('/').enumerate().map(|(at, part)| {
            let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            match inner.map(|name| name.strip_prefix('*').ok_or(name)) {
                // The rest of a path comes last.
                Some(Ok(rest)) => (at == end && !rest.is_empty()).then_some("{*}"),
                Some(Err(name)) => (!name.is_empty()).then_some("{}"),
                None if part == "*" => (at == end).then_some("{*}"),
                None => (!part.contains(['{', '}']) && !part.starts_with(':')).then_some(part),
            }
        });
        let path = shapes.collect::<Option<Vec<_>>>()?.join("/");
        Some(Self { method: method.into(), path: path.into() })
    }

    /// Tells how particular it is: the more of its parts are names, and none is left open, the more.
    pub(crate) fn rank(&self) -> (Reverse<bool>, usize, usize, bool) {
        let names = parts(&self.path).filter(|part| !part.starts_with('{')).count();
        let count = parts(&self.path).count();
        (Reverse(self.is_open()), names, count, !self.method.is_empty())
    }

    /// Tells whether all that `other` matches is matched by this one too: behind it that one never is.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.matches((&other.method, &other.path)) && (self.is_open() || !other.is_open())
    }

    fn is_open(&self) -> bool {
        self.path.ends_with("{*}")
    }

    pub(super) fn matches(&self, (method, path): (&str, &str)) -> bool {
        if !self.method.is_empty() && *self.method != *method {
            return false;
        }
        let (mut wanted, mut parts) = (self.path.split('/'), path.split('/'));
        loop {
            match (wanted.next(), parts.next()) {
                (None, None) => return true,
                (Some("{*}"), Some(part)) => return !part.is_empty(),
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

fn is_method(service: &str) -> bool {
    service.is_empty() || METHODS.iter().any(|method| method.eq_ignore_ascii_case(service))
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
            "GET/a",
            "get/a",
            "a.B/C/",
            "GET /a/:id",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_route_covers_another_if_it_matches_all_that_the_other_does() {
        for (one, other, covers) in [
            ("GET /a/{x}", "get  /a/{y}", true),
            ("/a/{x}", "GET /a/{y}", true),
            ("GET /a", "/a", false),
            ("/a/{x}", "/a/b", true),
            ("/a/b", "/a/{x}", false),
            ("/{*all}", "/a/{x}", true),
            ("/{*all}", "/{x}/{*rest}", true),
            ("/{*all}", "/", false),
            ("/a/{x}", "/a/{*rest}", false),
            ("/{x}/{y}", "/a/{*rest}", false),
            ("/{x}/{*rest}", "/{*all}", false),
            ("a.B/*", "a.B/C", true),
            ("a.B/C", "/a.B/C", false),
        ] {
            let [one, other] = [one, other].map(|text| Pattern::parse(text).unwrap());
            assert_eq!(one.covers(&other), covers, "{one:?} {other:?}");
            assert!(!covers || one.rank() <= other.rank(), "{one:?} {other:?}");
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
