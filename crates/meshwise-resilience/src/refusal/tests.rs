//! What a caller reads when a guard refused.

use super::*;
use crate::{RefusalResponseLayer, Rule};
use http::Request;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::{io, time::Duration};
use tower::{Layer, ServiceExt, service_fn};

type BoxError = Box<dyn Error + Send + Sync>;

fn refuse(rule: Rule, wait: Option<Duration>) -> Refused {
    let refused = Refused::new(rule, "stock");
    match wait {
        Some(wait) => refused.with_retry_after(wait),
        None => refused,
    }
}

#[test]
fn every_rule_is_a_problem_with_its_status() {
    for (rule, status, reason) in [
        (Rule::BreakerOpen, 503, "breaker_open"),
        (Rule::BulkheadFull, 503, "bulkhead_full"),
        (Rule::Overloaded, 503, "overloaded"),
        (Rule::RateLimited, 429, "rate_limited"),
        (Rule::DeadlineExceeded, 504, "deadline_exceeded"),
        (Rule::TimedOut, 504, "timeout"),
    ] {
        let response = refusal_response(&refuse(rule, None), Protocol::Http);
        assert_eq!(response.status(), status, "{rule:?}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(!response.headers().contains_key("retry-after"));
        let body = str::from_utf8(response.body()).unwrap();
        assert!(body.contains(&format!(r#""status":{status},"#)), "{body}");
        assert!(body.contains(&format!(r#""reason":"{reason}""#)), "{body}");
        assert!(!body.contains("stock"), "a stranger need not know the peer: {body}");
        assert!(!rule.told().contains(['"', '\\', '%']) && rule.told().is_ascii());
    }
}

#[test]
fn a_problem_reads_as_rfc_9457_has_it() {
    let response = refusal_response(&refuse(Rule::BreakerOpen, None), Protocol::Http);
    assert_eq!(
        response.body(),
        concat!(
            r#"{"type":"about:blank","title":"Service Unavailable","status":503,"#,
            r#""detail":"a service that this one depends on is not well","reason":"breaker_open"}"#
        )
    );
}

#[test]
fn retry_after_is_rounded_up_to_whole_seconds() {
    for (millis, header) in [(0, "0"), (1, "1"), (1000, "1"), (1001, "2"), (4200, "5")] {
        let refused = refuse(Rule::RateLimited, Some(Duration::from_millis(millis)));
        let response = refusal_response(&refused, Protocol::Http);
        assert_eq!(response.headers()["retry-after"], header);
    }
    let forever = refuse(Rule::RateLimited, Some(Duration::MAX));
    let response = refusal_response(&forever, Protocol::Http);
    assert_eq!(response.headers()["retry-after"], u64::MAX.to_string().as_str());
    let response = refusal_response(&forever, Protocol::Grpc);
    assert_eq!(response.headers()["grpc-retry-pushback-ms"], "2147483647");
}

#[test]
fn grpc_callers_get_trailers_only() {
    for (rule, code) in [
        (Rule::BreakerOpen, "14"),
        (Rule::BulkheadFull, "8"),
        (Rule::RateLimited, "8"),
        (Rule::DeadlineExceeded, "4"),
    ] {
        let refused = refuse(rule, Some(Duration::from_micros(1500)));
        let response = refusal_response(&refused, Protocol::Grpc);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert_eq!(response.headers()["grpc-status"], code);
        assert_eq!(response.headers()["grpc-message"], rule.told());
        assert_eq!(response.headers()["grpc-retry-pushback-ms"], "2");
        assert!(response.body().is_empty());
    }
}

#[tokio::test]
async fn the_layer_answers_refusals_and_lets_all_else_pass() {
    #[derive(Debug, thiserror::Error)]
    #[error("call failed")]
    struct Wrapped(#[source] Refused);

    let service = service_fn(|request: Request<u8>| async move {
        match request.into_body() {
            0 => Ok(Response::new(Full::new(Bytes::from_static(b"fine")))),
            1 => Err(BoxError::from(Wrapped(refuse(Rule::Overloaded, None)))),
            _ => Err(BoxError::from(io::Error::other("broken"))),
        }
    });
    let service = RefusalResponseLayer.layer(service);

    let fine = service.clone().oneshot(Request::new(0)).await.unwrap();
    assert_eq!(fine.body().size_hint().exact(), Some(4));
    assert_eq!(fine.into_body().collect().await.unwrap().to_bytes(), "fine");

    let refused = service.clone().oneshot(Request::new(1)).await.unwrap();
    assert_eq!(refused.status(), 503);
    let announced = refused.body().size_hint().exact();
    let text = refused.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(announced, Some(text.len() as u64));

    let mut grpc = Request::new(1);
    grpc.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc+proto"));
    let refused = service.clone().oneshot(grpc).await.unwrap();
    assert_eq!(refused.headers()["grpc-status"], "8");
    assert!(refused.body().is_end_stream());

    let broken = service.oneshot(Request::new(2)).await.unwrap_err();
    assert_eq!(broken.to_string(), "broken");
}
