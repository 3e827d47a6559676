//! Compares where an API is served.

use serde_json::Value;

use super::{super::Rule, document::OpenApiNode, schemas::Comparer};
use crate::text::shorten;

/// Compares the servers that two nodes list; none means the document's own place, `/`.
pub(super) fn compare<'a>(
    comparer: &mut Comparer<'a>,
    place: &str,
    old: &OpenApiNode<'a>,
    new: &OpenApiNode<'a>,
) {
    let (olds, news) = (urls(old), urls(new));
    let at = new.pointer_to("servers");
    for url in &olds {
        if news.contains(url) {
            continue;
        }
        let path = path(url);
        let (rule, text) = if news.iter().any(|other| self::path(other) == path) {
            (Rule::SERVER_REMOVED, "a server is no longer listed")
        } else {
            (Rule::SERVER_PATH_REMOVED, "no server has this base path any more")
        };
        let now = crate::text::listed(news.iter().map(String::as_str));
        comparer.report(rule, place, &at, text, (Some(shorten(url)), Some(shorten(&now))));
    }
}

fn urls(node: &OpenApiNode<'_>) -> Vec<String> {
    let mut urls = Vec::new();
    for server in node.child("servers").iter().flat_map(OpenApiNode::items) {
        let Some(url) = server.text("url") else { continue };
        let mut url = url.trim_end_matches('/').to_owned();
        // A variable's default is the address that is meant unless one chooses.
        for (name, variable) in server.child("variables").iter().flat_map(OpenApiNode::entries) {
            if let Some(default) = variable.get("default").and_then(Value::as_str) {
                url = url.replace(&format!("{{{name}}}"), default);
            }
            if url.len() > 4096 {
                break;
            }
        }
        urls.push(url);
    }
    if urls.is_empty() {
        urls.push(String::new());
    }
    urls
}

/// Returns the path of an address, which may be relative.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map(|(_, rest)| rest);
    match rest {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    }
}
