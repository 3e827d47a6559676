//! The page is served with a strict policy, and only to those who may see it.

use crate::support::{config, export, get, order, post, send, start};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meshwise_console::{Console, ConsoleError};
use tokio::net::TcpStream;

#[tokio::test]
async fn the_page_and_its_files_come_with_a_strict_policy() {
    let console = start().await;
    for path in ["/", "/ui/app.js", "/ui/style.css", "/data/status", "/nothing"] {
        let answer = get(console.page(), path).await;
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.status, if path == "/nothing" { 404 } else { 200 }, "{path}");
    }
    let page = get(console.page(), "/").await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    for file in page.split('"').filter(|part| part.starts_with("/ui/")) {
        assert_eq!(get(console.page(), file).await.status, 200, "{file}");
    }
}

#[tokio::test]
async fn modules_import_only_what_is_served() {
    let console = start().await;
    let mut open = vec!["app.js".to_owned()];
    let mut seen = Vec::new();
    while let Some(name) = open.pop() {
        let answer = get(console.page(), &format!("/ui/{name}")).await;
        assert_eq!(answer.status, 200, "{name}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let imports = text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
        open.extend(imports.filter(|name| !seen.contains(&(*name).to_owned())).map(str::to_owned));
        seen.push(name);
    }
    assert!(seen.len() > 10, "{seen:?}");
}

#[tokio::test]
async fn nothing_can_be_changed_through_the_page() {
    let console = start().await;
    let answer =
        send(console.page(), post(console.page(), "/data/status", "application/json", "{}")).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn with_a_token_only_those_who_show_it_are_answered() {
    let token = "a-token-of-some-length";
    let console = Console::start(config().with_token(token)).await.expect("free ports");
    assert_eq!(get(console.page(), "/data/status").await.status, 401);
    assert_eq!(get(console.page(), "/?token=wrong-token-of-length").await.status, 401);
    assert_eq!(export(&console, &order(1)).await.status, 401);
    let entered = get(console.page(), &format!("/?token={token}")).await;
    assert_eq!(entered.status, 303);
    assert_eq!(entered.headers["location"], "/");
    let cookie = entered.headers["set-cookie"].to_str().expect("text");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    for (name, value) in [
        ("cookie", format!("other=1; meshwise_console={token}")),
        ("authorization", format!("Bearer {token}")),
        ("authorization", format!("bearer {token}")),
    ] {
        let request = Request::get("/data/status").header("host", "127.0.0.1").header(name, value);
        let request = request.body(Full::<Bytes>::default()).expect("a request");
        assert_eq!(send(console.page(), request).await.status, 200, "{name}");
    }
    assert!(console.url().ends_with(token));
}

#[tokio::test]
async fn what_others_reach_needs_a_token() {
    let open = config().with_page("0.0.0.0:0".parse().expect("an address"));
    assert!(matches!(Console::start(open.clone()).await, Err(ConsoleError::NeedsToken(_))));
    assert!(matches!(
        Console::start(open.clone().with_token("short")).await,
        Err(ConsoleError::WeakToken)
    ));
    assert!(Console::start(open.with_token("a-token-of-some-length")).await.is_ok());
}

#[tokio::test]
async fn a_live_page_hears_of_what_is_new() {
    let console = start().await;
    let stream = TcpStream::connect(console.page()).await.expect("a listener");
    let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    let request = Request::get("/events").header("host", "127.0.0.1");
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let answer = send.send_request(request).await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    let mut event = async || {
        let frame = tokio::time::timeout(std::time::Duration::from_secs(10), body.frame()).await;
        let data = frame.expect("in time").expect("a frame").expect("a frame").into_data();
        String::from_utf8_lossy(&data.expect("data")).into_owned()
    };
    assert_eq!(event().await, "data: 0\n\n", "at once, so that a page that comes back looks again");
    export(&console, &order(1)).await;
    assert_eq!(event().await, "data: 1\n\n");
}

#[tokio::test]
async fn links_of_alerts_lead_to_their_views() {
    let console = start().await;
    for (link, view) in [
        ("/map?client=orders&server=stock", "/#/map/edge/orders/stock"),
        ("/map?server=order.placed", "/#/map/node/order%2Eplaced"),
        ("/services/orders", "/#/metrics/orders"),
        ("/apis/stock", "/#/apis/stock"),
        ("/trace/%0d%0ax:y", "/#/trace/%0D%0Ax%3Ay"),
    ] {
        let answer = get(console.page(), link).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["location"]),
            (303, &view.parse().expect("a value")),
            "{link}"
        );
    }
}
