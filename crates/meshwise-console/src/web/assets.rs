//! The page's files, which are part of the program.

use crate::respond::{self, Reply};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Lists files of the folder `ui` with their types.
macro_rules! files {
    ($($name:literal: $kind:ident),* $(,)?) => {
        /// Holds each file's name, type and text.
        pub(super) const FILES: &[(&str, &str, &str)] =
            &[$(($name, $kind, include_str!(concat!("../../ui/", $name)))),*];
    };
}

files! {
    "index.html": HTML,
    "icon.svg": IMAGE,
    "style.css": STYLE,
    "views.css": STYLE,
    "app.js": SCRIPT,
    "apis.js": SCRIPT,
    "charts.js": SCRIPT,
    "dom.js": SCRIPT,
    "format.js": SCRIPT,
    "guards.js": SCRIPT,
    "icons.js": SCRIPT,
    "layout.js": SCRIPT,
    "logs.js": SCRIPT,
    "map.js": SCRIPT,
    "metrics.js": SCRIPT,
    "status.js": SCRIPT,
    "trace.js": SCRIPT,
    "traces.js": SCRIPT,
}

/// Returns a file.
pub(super) fn find(path: &str) -> Option<Reply> {
    let name = match path {
        "/" => "index.html",
        "/favicon.ico" => "icon.svg",
        _ => path.strip_prefix("/ui/")?,
    };
    let (_, kind, text) = FILES.iter().find(|(known, ..)| *known == name)?;
    let mut reply = respond::typed(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()));
    // Always asked for, for the program may be a newer one.
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn no_text_becomes_markup() {
        let ways = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
        ];
        for (name, _, text) in FILES {
            for way in ways {
                assert!(!text.contains(way), "{name} has {way}");
            }
        }
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere_or_inline() {
        for (name, _, text) in FILES {
            for url in text
                .split("http")
                .skip(1)
                .filter(|rest| rest.starts_with("://") || rest.starts_with("s://"))
            {
                let known = ["://www.w3.org/2000/svg", "://127.0.0.1", "://$"];
                assert!(
                    known.iter().any(|known| url.starts_with(known)),
                    "{name}: http{}",
                    &url[..40.min(url.len())]
                );
            }
            assert!(!text.contains(" style=") && !text.contains(" onclick="), "{name}");
        }
    }
}
