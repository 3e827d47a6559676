//! One GET, bounded in time and size.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpStream;

/// A page must be there within this time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Is a page that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page {
    Metrics,
    Resilience,
    Apis,
}

impl Page {
    /// Returns the path, the types that are accepted, and the most bytes that are read.
    fn terms(self) -> (&'static str, &'static str, usize) {
        match self {
            Self::Metrics => {
                ("/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5", 8 << 20)
            }
            Self::Resilience => ("/resilience", "application/json", 1 << 20),
            Self::Apis => ("/apis", "application/json", 1 << 20),
        }
    }
}

/// Gets a page; none if the service has no such page.
pub(super) async fn get(address: SocketAddr, page: Page) -> Result<Option<Bytes>, String> {
    match tokio::time::timeout(PATIENCE, ask(address, page)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn ask(address: SocketAddr, page: Page) -> Result<Option<Bytes>, String> {
    let (path, accept, limit) = page.terms();
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut send, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let talk = async {
        let request = Request::get(path)
            .header(header::HOST, address.to_string())
            .header(header::ACCEPT, accept)
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let reply = send.send_request(request).await.map_err(|error| error.to_string())?;
        match reply.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(format!("{path} answers {status}")),
        }
        let kind = reply.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if kind.is_some_and(|kind| kind.starts_with(b"text/html")) {
            return Err(format!("{path} is a page for people (text/html)"));
        }
        let (mut body, mut all) = (reply.into_body(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
            if all.len() + data.len() > limit {
                return Err(format!("{path} is larger than {} MiB", limit >> 20));
            }
            all.extend_from_slice(&data);
        }
        Ok(Some(all.freeze()))
    };
    tokio::pin!(talk);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut talk => answer,
        // The answer may be there already.
        ended = &mut connection => match ended {
            Ok(()) => talk.await,
            Err(error) => Err(error.to_string()),
        },
    }
}
