//! How calls of HTTP and gRPC end, and that each ends once.

use super::super::{AnyCalls, CallKind, HttpCalls, Ticket};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, BodyStream, Empty, Full, StreamBody};
use meshwise_core::{ErrorType, Outcome, Refused, outcome::Rule};
use std::{
    io,
    sync::{Arc, Mutex},
};

type Ends = Arc<Mutex<Vec<Outcome>>>;

/// Notes how its call ended.
struct Note(Option<Ends>);

impl Ticket for Note {
    fn finish(mut self, outcome: Outcome) {
        self.0.take().unwrap().lock().unwrap().push(outcome);
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(ends) = self.0.take() {
            ends.lock().unwrap().push(Outcome::Cancelled);
        }
    }
}

fn request(grpc: bool) -> Request<()> {
    let builder = Request::builder();
    let builder = if grpc { builder.header("content-type", "application/grpc") } else { builder };
    builder.body(()).unwrap()
}

/// Reads `frames` frames of a response and drops the rest; returns how the call ended.
fn ends<B: Body>(kind: &HttpCalls, grpc: bool, response: Response<B>, frames: usize) -> Vec<Outcome>
where
    B::Error: std::fmt::Debug,
{
    let seen = Ends::default();
    let pending = CallKind::<_, Response<B>, io::Error>::begin(kind, &request(grpc));
    let answer = CallKind::<Request<()>, _, io::Error>::answer(
        kind,
        &pending,
        Ok(response),
        Note(Some(Arc::clone(&seen))),
    );
    let body = answer.unwrap().into_body();
    let mut frames_of = Box::pin(BodyStream::new(body).take(frames));
    while let Some(Some(_)) = frames_of.next().now_or_never() {}
    drop(frames_of);
    seen.lock().unwrap().clone()
}

fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(Full::from("body")).unwrap()
}

fn trailers(code: &str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())])
}

fn frames(
    frames: Vec<Result<Frame<Bytes>, io::Error>>,
) -> Response<impl Body<Data = Bytes, Error = io::Error>> {
    Response::new(StreamBody::new(stream::iter(frames)))
}

fn failure(word: &'static str) -> Outcome {
    Outcome::Failure(ErrorType::new(word))
}

#[test]
fn http_is_judged_by_its_status_at_the_end_of_its_body() {
    let kind = HttpCalls::new();
    assert_eq!(ends(&kind, false, status(200), 9), [Outcome::Success]);
    assert_eq!(ends(&kind, false, status(404), 9), [Outcome::Success]);
    assert_eq!(ends(&kind, false, status(429), 9), [failure("429")]);
    assert_eq!(ends(&kind, false, status(503), 9), [failure("503")]);
    assert_eq!(ends(&kind, false, status(200), 0), [Outcome::Cancelled], "never read");
    let empty = Response::new(Empty::<Bytes>::new());
    assert_eq!(ends(&kind, false, empty, 0), [Outcome::Success], "nothing to read");
}

#[test]
fn a_200_whose_body_breaks_is_a_failure() {
    let broken =
        || frames(vec![Ok(Frame::data(Bytes::from("half"))), Err(io::Error::other("reset"))]);
    assert_eq!(ends(&HttpCalls::new(), false, broken(), 9), [failure("body")]);
    assert_eq!(ends(&HttpCalls::new().until_head(), false, broken(), 9), [Outcome::Success]);
}

#[test]
fn grpc_is_judged_by_its_trailers_even_if_only_heads_are_waited_for() {
    let answer = |code: &str| {
        frames(vec![Ok(Frame::data(Bytes::from("m"))), Ok(Frame::trailers(trailers(code)))])
    };
    for kind in [HttpCalls::new(), HttpCalls::new().until_head()] {
        assert_eq!(ends(&kind, true, answer("0"), 9), [Outcome::Success]);
        assert_eq!(ends(&kind, true, answer("5"), 9), [Outcome::Success], "NOT_FOUND");
        assert_eq!(ends(&kind, true, answer("14"), 9), [failure("UNAVAILABLE")]);
        assert_eq!(ends(&kind, true, frames(vec![]), 9), [failure("UNKNOWN")], "no status");
        assert_eq!(ends(&kind, true, answer("14"), 1), [Outcome::Cancelled]);
        let mut alone = status(200);
        alone.headers_mut().extend(trailers("8"));
        assert_eq!(ends(&kind, true, alone, 9), [failure("RESOURCE_EXHAUSTED")]);
    }
}

#[test]
fn errors_count_unless_the_neighbour_was_never_asked() {
    fn end<E: 'static>(error: E) -> Vec<Outcome> {
        let seen = Ends::default();
        let kind = HttpCalls::new();
        let answer = CallKind::<Request<()>, Response<Empty<Bytes>>, E>::answer(
            &kind,
            &meshwise_core::Protocol::Http,
            Err(error),
            Note(Some(Arc::clone(&seen))),
        );
        assert!(answer.is_err());
        seen.lock().unwrap().clone()
    }
    type BoxError = Box<dyn std::error::Error + Send + Sync>;

    assert_eq!(end(io::Error::from(io::ErrorKind::ConnectionRefused)), [failure("connect")]);
    assert_eq!(end("some text"), [failure("_OTHER")]);
    let boxed = |rule| -> BoxError { Box::new(Refused::new(rule, "stock")) };
    assert_eq!(end(boxed(Rule::BulkheadFull)), [Outcome::Cancelled]);
    assert_eq!(end(boxed(Rule::DeadlineExceeded)), [Outcome::Cancelled]);
    assert_eq!(end(boxed(Rule::TimedOut)), [failure("timeout")]);
}

#[test]
fn any_call_is_judged_by_its_result() {
    let seen = Ends::default();
    let kind = AnyCalls::<u8, u8>::default();
    for result in [Ok(1), Err(2)] {
        let ticket = Note(Some(Arc::clone(&seen)));
        assert_eq!(CallKind::<(), _, _>::answer(&kind, &(), result, ticket), result);
    }
    assert_eq!(*seen.lock().unwrap(), [Outcome::Success, failure("_OTHER")]);
}

#[tokio::test]
async fn frames_pass_untouched() {
    let response = frames(vec![
        Ok(Frame::data(Bytes::from("a"))),
        Ok(Frame::data(Bytes::from("b"))),
        Ok(Frame::trailers(trailers("0"))),
    ]);
    let kind = HttpCalls::new();
    let answer = CallKind::<Request<()>, _, io::Error>::answer(
        &kind,
        &meshwise_core::Protocol::Grpc,
        Ok(response),
        (),
    );
    let collected = answer.unwrap().into_body().collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers("0")));
    assert_eq!(collected.to_bytes(), "ab");
}
