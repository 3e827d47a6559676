//! Asking a receiver to begin, again where that helps.

use std::{collections::BTreeMap, time::Duration};

use meshwise_core::internal::{error_chain, retry_after};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use crate::{
    exit::{Exit, Failure, OrExit as _},
    notify::{Post, Posted, Refusal, attempt},
    usage::web::{self, Web},
};

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read; nothing in it matters.
const MAX_ANSWER: usize = 1 << 20;

struct Receiver {
    web: Web,
    url: Url,
    headers: HeaderMap,
}

/// Posts a body; the inner error says what became of it.
///
/// # Errors
/// `Usage` when the address, a header or the token cannot be used.
pub(super) fn send(
    url: &str,
    token: Option<&str>,
    headers: &BTreeMap<String, String>,
    body: &str,
    run: &str,
    sleep: &mut dyn FnMut(Duration),
) -> Result<Result<(), String>, Failure> {
    if let Some(token) = token
        && std::env::var_os(token).is_none_or(|value| value.is_empty())
    {
        let message = format!("{token} is not set: a hook names it for its token");
        return Err(Failure::message(Exit::Usage, message));
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = name.parse::<HeaderName>().or_exit(Exit::Usage)?;
        map.insert(name, value.parse::<HeaderValue>().or_exit(Exit::Usage)?);
    }
    let receiver = Receiver {
        web: Web::new(token, TIMEOUT).or_exit(Exit::Usage)?,
        url: web::address(url).or_exit(Exit::Usage)?,
        headers: map,
    };
    let body: Value = serde_json::from_str(body).or_exit(Exit::Usage)?;
    let (_, result) = attempt(run, &body, &receiver, sleep);
    Ok(result.map_err(|(error, _)| error))
}

impl Post for Receiver {
    fn post(&self, key: &str, body: &Value) -> Result<Posted, Refusal> {
        let request = self
            .web
            .client()
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", format!("\"{key}\""))
            .headers(self.headers.clone())
            .body(body.to_string());
        match self.web.send(request, MAX_ANSWER) {
            Ok((head, _)) => {
                Ok(Posted { status: head.status, retry_after: retry_after(&head.headers) })
            }
            Err(error) => Err(Refusal(error_chain(&error))),
        }
    }
}
