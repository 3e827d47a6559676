//! Bodies that are sent again.

use super::*;
use futures_util::{FutureExt, stream};
use http_body_util::{BodyExt, Channel, Empty, Full, StreamBody};
use std::convert::Infallible;

const LIMIT: u32 = 16;

type Test = Channel<Bytes, BoxError>;

fn next<B: Body<Data = Bytes, Error = BoxError> + Unpin>(body: &mut B) -> Option<String> {
    let frame = body.frame().now_or_never()??.expect("no error");
    Some(match frame.into_data() {
        Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
        Err(frame) => format!("{:?}", frame.into_trailers().unwrap()),
    })
}

fn failure<B: Body<Data = Bytes, Error = BoxError> + Unpin>(body: &mut B) -> String {
    body.frame().now_or_never().unwrap().unwrap().unwrap_err().to_string()
}

async fn text(body: ReplayBody<impl Body<Error = impl Into<BoxError>> + Unpin>) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn whole_bodies_are_kept_by_reference() {
    let (first, mut kept) = ReplayBody::keep(Full::new(Bytes::from_static(b"hello")), Some(LIMIT));
    assert!(matches!(kept, KeptBody::Whole(_)));
    assert_eq!(first.size_hint().exact(), Some(5));
    assert!(!first.is_end_stream());
    assert_eq!(text(first).await, "hello");
    assert_eq!(text(kept.again().unwrap()).await, "hello");
    let last = kept.again().unwrap();
    assert_eq!(last.size_hint().exact(), Some(5));
    assert_eq!(text(last).await, "hello");

    let (first, mut kept) = ReplayBody::keep(Empty::<Bytes>::new(), Some(LIMIT));
    assert!(first.is_end_stream() && kept.again().unwrap().is_end_stream());
    assert_eq!(ReplayBody::<Empty<Bytes>>::default().size_hint().exact(), Some(0));
}

#[tokio::test]
async fn a_half_sent_stream_begins_again_and_goes_on_where_it_stopped() {
    let (mut sender, body) = Test::new(4);
    let (mut first, mut kept) = ReplayBody::keep(body, Some(LIMIT));
    sender.send_data("ab".into()).await.unwrap();
    assert_eq!(next(&mut first).unwrap(), "ab");
    assert_eq!(next(&mut first), None, "waits");

    let mut second = kept.again().unwrap();
    sender.send_data("cd".into()).await.unwrap();
    assert_eq!(next(&mut second).unwrap(), "ab");
    assert_eq!(next(&mut second).unwrap(), "cd");
    assert_eq!(
        failure(&mut first),
        "the request's body is being sent with another attempt",
        "what is still being read for the first attempt must not look complete"
    );
    assert!(!first.is_end_stream());
    assert_eq!(first.size_hint().exact(), None);

    let mut third = kept.again().unwrap();
    assert_eq!(next(&mut third).unwrap(), "ab");
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", http::HeaderValue::from_static("7"));
    sender.send_trailers(trailers).await.unwrap();
    assert_eq!(next(&mut third).unwrap(), "cd");
    assert_eq!(next(&mut third).unwrap(), r#"{"sum": "7"}"#);
    assert!(third.frame().await.is_none());
}

#[tokio::test]
async fn trailers_are_sent_again_once_each() {
    let (mut sender, body) = Test::new(4);
    let (mut first, mut kept) = ReplayBody::keep(body, Some(LIMIT));
    sender.send_data("ab".into()).await.unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", http::HeaderValue::from_static("7"));
    sender.send_trailers(trailers).await.unwrap();
    for _ in 0..2 {
        assert_eq!(next(&mut first).unwrap(), "ab");
        assert!(!first.is_end_stream());
        assert_eq!(next(&mut first).unwrap(), r#"{"sum": "7"}"#);
        assert!(first.is_end_stream());
        assert!(first.frame().await.is_none());
        first = kept.again().unwrap();
    }
}

#[tokio::test]
async fn who_still_waits_for_the_old_body_is_woken() {
    let (_sender, body) = Test::new(4);
    let (first, mut kept) = ReplayBody::keep(body, Some(LIMIT));
    let mut first = tokio_test::task::spawn(first);
    let poll = |first: &mut tokio_test::task::Spawn<ReplayBody<Test>>| {
        first.enter(|cx, first| match first.poll_frame(cx) {
            Poll::Ready(Some(Err(_))) => "failed",
            Poll::Pending => "waits",
            Poll::Ready(_) => "more",
        })
    };
    assert_eq!(poll(&mut first), "waits");
    let _second = kept.again().unwrap();
    assert!(first.is_woken());
    assert_eq!(poll(&mut first), "failed");
}

#[tokio::test]
async fn what_is_too_long_is_sent_once_and_not_kept() {
    let (mut sender, body) = Test::new(4);
    let (mut first, mut kept) = ReplayBody::keep(body, Some(4));
    for piece in ["abc", "def", "ghi"] {
        sender.send_data(piece.into()).await.unwrap();
        assert_eq!(next(&mut first).unwrap(), piece);
    }
    let KeptBody::Stream(flow) = &kept else { unreachable!("a stream") };
    assert!(lock(flow).kept.is_empty(), "let go at once");
    assert!(kept.again().is_none());
    drop(sender);
    assert!(first.frame().await.is_none(), "the first goes on undisturbed");

    // One in a single piece, too: but only once it has been read.
    let (mut first, mut kept) = ReplayBody::keep(Full::new(Bytes::from_static(b"hello")), Some(4));
    let mut second = kept.again().unwrap();
    assert_eq!(second.size_hint().exact(), Some(5));
    assert!(first.frame().await.unwrap().is_err());
    assert_eq!(next(&mut second).unwrap(), "hello");
    assert!(kept.again().is_none());
}

#[tokio::test]
async fn a_stream_longer_than_is_kept_is_gone_once_it_was_read() {
    let (mut sender, body) = Test::new(4);
    let (mut first, mut kept) = ReplayBody::keep(body, Some(0));
    assert_eq!(next(&mut first), None);
    let mut second = kept.again().expect("nothing was read");
    sender.send_data("a".into()).await.unwrap();
    assert_eq!(next(&mut second).unwrap(), "a");
    assert!(kept.again().is_none());
}

#[tokio::test]
async fn sizes_count_what_is_kept_and_what_is_to_come() {
    let frames = ["ab", "cd"].map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
    let (mut first, mut kept) =
        ReplayBody::keep(StreamBody::new(stream::iter(frames)), Some(LIMIT));
    assert_eq!(first.size_hint().exact(), None);
    while next(&mut first).is_some() {}
    let mut second = kept.again().unwrap();
    assert_eq!(second.size_hint().exact(), Some(4), "by now all is known");
    next(&mut second);
    assert_eq!(second.size_hint().exact(), Some(2));
    next(&mut second);
    assert!(second.is_end_stream());
}

#[tokio::test]
async fn nothing_is_kept_once_no_one_can_try_again() {
    let (mut sender, body) = Test::new(4);
    let (mut first, kept) = ReplayBody::keep(body, Some(LIMIT));
    sender.send_data("ab".into()).await.unwrap();
    assert_eq!(next(&mut first).unwrap(), "ab");
    drop(kept);
    sender.send_data("cd".into()).await.unwrap();
    assert_eq!(next(&mut first).unwrap(), "cd");
    let Replayed::Stream(reader) = &first.0 else { unreachable!("a stream") };
    assert!(lock(&reader.flow).kept.is_empty());
}

#[tokio::test]
async fn a_body_that_fails_is_not_sent_again_and_never_looks_complete() {
    /// Says that it has five bytes, and fails.
    struct Broken(bool);
    impl Body for Broken {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(match mem::replace(&mut self.0, true) {
                false => Some(Err("disk gone".into())),
                true => None,
            })
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(5)
        }
    }
    let (mut first, mut kept) = ReplayBody::keep(Broken(false), Some(LIMIT));
    assert_eq!(failure(&mut first), "disk gone");
    assert!(kept.again().is_none());
}

#[tokio::test]
async fn a_body_sent_once_passes_through() {
    let (body, _) = ReplayBody::keep(Full::new(&b"hello"[..]), None);
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(5), false));
    assert_eq!(text(body).await, "hello");
}

#[test]
fn dropping_both_ends_releases_the_source() {
    let held = Arc::new(());
    let body = |held: &Arc<()>| {
        let held = Arc::clone(held);
        StreamBody::new(stream::poll_fn(move |_| {
            let _held = &held;
            Poll::<Option<Result<Frame<Bytes>, BoxError>>>::Pending
        }))
    };
    let (first, mut kept) = ReplayBody::keep(body(&held), Some(LIMIT));
    let second = kept.again().unwrap();
    drop((first, kept));
    assert_eq!(Arc::strong_count(&held), 2);
    drop(second);
    assert_eq!(Arc::strong_count(&held), 1);
}
