//! Posting over HTTP.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::Value;
use url::Url;

use super::deliver::{Post, Posted, Refusal};
use crate::usage::{WebError, web};

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read; nothing in it matters.
const MAX_ANSWER: usize = 1 << 20;

/// A receiver of notices on the web.
#[derive(Debug)]
pub struct Webhook {
    web: web::Web,
    url: Url,
}

impl Webhook {
    /// The variable with a bearer token for it.
    pub const TOKEN: &'static str = "MESHWISE_WEBHOOK_TOKEN";

    /// Names the receiver; each attempt may take 10 seconds.
    ///
    /// # Errors
    /// If the address can't be used, or the token is no header.
    pub fn new(url: &str) -> Result<Self, WebError> {
        Self::with_timeout(url, TIMEOUT)
    }

    /// Names the receiver, and how long an attempt may take.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_timeout(url: &str, timeout: Duration) -> Result<Self, WebError> {
        let url = web::address(url)?;
        Ok(Self { web: web::Web::new(Self::TOKEN, timeout)?, url })
    }
}

impl Post for Webhook {
    fn post(&self, key: &str, body: &Value) -> Result<Posted, Refusal> {
        // A structured field's string, as the header's draft has it; a digest needs no escape.
        let key = HeaderValue::from_str(&format!("\"{key}\""))
            .map_err(|_| Refusal("the key is no header".to_owned()))?;
        let request = self
            .web
            .client()
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(body.to_string());
        match self.web.send(request, MAX_ANSWER) {
            Ok((head, _)) => Ok(Posted {
                status: head.status,
                retry_after: retry_after(&head.headers, SystemTime::now()),
            }),
            Err(error) => {
                let mut text = error.to_string();
                let mut cause: &dyn std::error::Error = &error;
                while let Some(source) = cause.source() {
                    text = format!("{text}: {source}");
                    cause = source;
                }
                Err(Refusal(text))
            }
        }
    }
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3). What can't be read is not
/// there.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).expect("a header"));
            retry_after(&headers, now)
        };
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(read("0"), seconds(0));
        assert_eq!(read(" 120 "), seconds(120));
        assert_eq!(read("99999999999999999999999"), seconds(u64::MAX));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 GMT"), seconds(10));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:27 GMT"), seconds(0));
        for text in ["", "-1", "1.5", "soon", "+3"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
