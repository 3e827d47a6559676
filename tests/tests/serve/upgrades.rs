//! Connections that are upgraded.

use super::*;

/// A web socket that answers, and one that hears nothing but the end of the drain.
fn sockets(drained: impl Future<Output = ()> + Clone + Send + Sync + 'static) -> Router {
    use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade, close_code};
    let polite = move |upgrade: WebSocketUpgrade| {
        let drained = drained.clone();
        async {
            upgrade.on_upgrade(|mut socket| async move {
                drained.await;
                let frame = CloseFrame { code: close_code::AWAY, reason: "later".into() };
                let _ = socket.send(Message::Close(Some(frame))).await;
            })
        }
    };
    let deaf = |upgrade: WebSocketUpgrade| async {
        upgrade
            .on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
    };
    Router::new().route("/polite", get(polite)).route("/deaf", get(deaf))
}

#[tokio::test]
async fn a_web_socket_is_waited_for_and_then_closed() {
    use futures_util::{FutureExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    for (path, broken_off) in [("/polite", 0), ("/deaf", 1)] {
        let mesh = TestMesh::new("orders");
        let drained = mesh.health().drained().boxed().shared();
        let mut up = Up::new(&mesh, sockets(drained), |server| {
            let limit = if broken_off == 0 { PATIENCE } else { Duration::from_millis(100) };
            server.with_drain_timeout(limit)
        })
        .await;
        let url = format!("ws://{}{path}", up.address);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("an upgrade");
        up.stop();
        let last = timeout(PATIENCE, socket.next()).await.expect("it hears of the end");
        match last {
            Some(Ok(Message::Close(Some(frame)))) if broken_off == 0 => {
                assert_eq!(frame.reason.as_str(), "later");
            }
            None | Some(Err(_)) if broken_off == 1 => {}
            other => panic!("{path}: {other:?}"),
        }
        drop(socket);
        assert_eq!(up.ended().await.broken_off, broken_off, "{path}");
    }
}

/// Both directions of an upgraded connection wait when the drain ends.
#[tokio::test]
async fn an_upgraded_connection_that_waits_to_read_and_to_write_is_closed() {
    use hyper_util::rt::TokioIo;
    let mesh = TestMesh::new("orders");
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let raw_bytes = get(move |mut request: axum::extract::Request| {
        let ended = ended.clone();
        async move {
            tokio::spawn(async move {
                let io = hyper::upgrade::on(&mut request).await.expect("an upgrade");
                let (mut read, mut write) = tokio::io::split(TokioIo::new(io));
                let reader = ended.clone();
                tokio::spawn(async move {
                    let read = read.read(&mut [0; 10]).await;
                    reader.send(("read", read.map_err(|error| error.kind()))).expect("waits");
                });
                let error = loop {
                    if let Err(error) = write.write_all(&[0; 65_536]).await {
                        break error.kind();
                    }
                };
                ended.send(("write", Err(error))).expect("waits");
            });
            let upgrade = [("connection", "upgrade"), ("upgrade", "raw")];
            (http::StatusCode::SWITCHING_PROTOCOLS, upgrade)
        }
    });
    let mut up = Up::new(&mesh, Router::new().route("/raw", raw_bytes), |server| {
        server.with_drain_timeout(Duration::from_millis(50))
    })
    .await;
    let mut stream = TcpStream::connect(up.address).await.expect("a connection");
    let ask = b"GET /raw HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n";
    stream.write_all(ask).await.expect("sent");
    stream.read_exact(&mut [0; 1000]).await.expect("a beginning");
    up.stop();
    assert_eq!(up.ended().await.broken_off, 1);
    for _ in 0..2 {
        let end = timeout(PATIENCE, ends.recv()).await.expect("in time").expect("it tells");
        assert!(
            matches!(end, ("read", Ok(0)) | ("write", Err(std::io::ErrorKind::BrokenPipe))),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn a_web_socket_passes() {
    use axum::extract::ws::{Message, WebSocketUpgrade};
    use futures_util::{SinkExt, StreamExt};
    let mesh = TestMesh::new("orders");
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
        })
    };
    let up = Up::new(&mesh, Router::new().route("/ws", axum::routing::any(echo)), plain).await;
    let url = format!("ws://{}/ws", up.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("an upgrade");
    let message = tokio_tungstenite::tungstenite::Message::text("one");
    socket.send(message).await.expect("sent");
    let back = socket.next().await.expect("a message").expect("a good one");
    assert_eq!(back.into_text().expect("text").as_str(), "one");
}
