//! Posting over HTTP.

use std::time::Duration;

use meshwise_core::internal::{error_chain, retry_after};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::deliver::{Post, Posted, Refusal};
use crate::usage::{WebError, web};

/// How much of an answer is read; nothing in it matters.
const MAX_ANSWER: usize = 1 << 20;

/// A receiver of notices on the web.
#[derive(Debug)]
pub(crate) struct Webhook {
    web: web::Web,
    url: Url,
    secret: Option<String>,
}

impl Webhook {
    /// The variable with a bearer token for it.
    pub(crate) const TOKEN: &'static str = "MESHWISE_WEBHOOK_TOKEN";

    /// The variable with the secret that notices are signed by: the header `X-Meshwise-Signature` is
    /// `sha256=` and the HMAC-SHA-256 (RFC 2104) of the body in hexadecimal digits.
    pub(crate) const SECRET: &'static str = "MESHWISE_WEBHOOK_SECRET";

    /// Names the receiver, and how long an attempt may take.
    ///
    /// # Errors
    /// If the address cannot be used, or the token is no header.
    pub(crate) fn with_timeout(url: &str, timeout: Duration) -> Result<Self, WebError> {
        let url = web::address(url)?;
        let secret = std::env::var(Self::SECRET).ok().filter(|secret| !secret.is_empty());
        Ok(Self { web: web::Web::new(Some(Self::TOKEN), timeout)?, url, secret })
    }
}

impl Post for Webhook {
    fn post(&self, key: &str, body: &Value) -> Result<Posted, Refusal> {
        // A structured field's string, as the header's draft has it; a digest needs no escape.
        let key = HeaderValue::from_str(&format!("\"{key}\""))
            .map_err(|_| Refusal("the key is no header".to_owned()))?;
        let body = body.to_string();
        let mut request = self
            .web
            .client()
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(body.clone());
        if let Some(secret) = &self.secret {
            let signature = format!("sha256={}", hmac(secret.as_bytes(), body.as_bytes()));
            request = request.header("x-meshwise-signature", signature);
        }
        match self.web.send(request, MAX_ANSWER) {
            Ok((head, _)) => {
                Ok(Posted { status: head.status, retry_after: retry_after(&head.headers) })
            }
            Err(error) => Err(Refusal(error_chain(&error))),
        }
    }
}

/// Signs a message: HMAC with SHA-256 (RFC 2104), in hexadecimal digits.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let hash = |pad: u8, message: &[u8]| {
        Sha256::new().chain_update(block.map(|byte| byte ^ pad)).chain_update(message).finalize()
    };
    hash(0x5c, &hash(0x36, message)).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let cases: [(&[u8], &[u8], &str); 2] = [
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, expected) in cases {
            assert_eq!(hmac(key, message), expected);
        }
    }
}
