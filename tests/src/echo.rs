//! A gRPC service that answers in all four ways, and fails when told to.

use std::{pin::Pin, time::Duration};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status, Streaming, metadata::KeyAndValueRef};

pub use proto::{
    Answer, Ask,
    echo_client::EchoClient,
    echo_server::{Echo as EchoService, EchoServer},
};

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::clone_on_ref_ptr
)]
mod proto {
    include!("echo/meshwise.test.v1.rs");
}

/// The service's descriptors, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("echo/echo.bin");

/// Answers each text with itself, and the metadata that the call came with.
///
/// The text `panic` makes a handler panic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

type Answers = Pin<Box<dyn Stream<Item = Result<Answer, Status>> + Send>>;

fn metadata<T>(request: &Request<T>) -> Vec<String> {
    let text = |entry| match entry {
        KeyAndValueRef::Ascii(key, value) => format!("{key}: {}", value.to_str().unwrap_or("?")),
        KeyAndValueRef::Binary(key, value) => {
            format!("{key}: {:?}", value.to_bytes().unwrap_or_default())
        }
    };
    request.metadata().iter().map(text).collect()
}

/// Waits, and ends as asked.
async fn end(ask: &Ask) -> Result<(), Status> {
    assert_ne!(ask.text, "panic", "as asked");
    if ask.delay_ms > 0 {
        // Real time: a real peer answers as late as it is asked to.
        tokio::time::sleep(Duration::from_millis(ask.delay_ms.into())).await;
    }
    match Code::from(i32::try_from(ask.code).unwrap_or_default()) {
        Code::Ok => Ok(()),
        code => Err(Status::new(code, "as asked")),
    }
}

#[tonic::async_trait]
impl proto::echo_server::Echo for Echo {
    async fn unary(&self, request: Request<Ask>) -> Result<Response<Answer>, Status> {
        let metadata = metadata(&request);
        let ask = request.into_inner();
        end(&ask).await?;
        Ok(Response::new(Answer { text: ask.text, metadata }))
    }

    type ServerStreamStream = Answers;

    async fn server_stream(&self, request: Request<Ask>) -> Result<Response<Answers>, Status> {
        let metadata = metadata(&request);
        let ask = request.into_inner();
        let (tell, told) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..ask.answers {
                let answer = Answer { text: ask.text.clone(), metadata: metadata.clone() };
                if tell.send(Ok(answer)).await.is_err() {
                    return;
                }
            }
            if let Err(status) = end(&ask).await {
                let _ = tell.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<Ask>>,
    ) -> Result<Response<Answer>, Status> {
        let metadata = metadata(&request);
        let mut asks = request.into_inner();
        let mut text = String::new();
        while let Some(ask) = asks.next().await {
            let ask = ask?;
            end(&ask).await?;
            text += &ask.text;
        }
        Ok(Response::new(Answer { text, metadata }))
    }

    type BothStream = Answers;

    async fn both(&self, request: Request<Streaming<Ask>>) -> Result<Response<Answers>, Status> {
        let metadata = metadata(&request);
        let answers = request.into_inner().then(move |ask| {
            let metadata = metadata.clone();
            async move {
                let ask = ask?;
                end(&ask).await?;
                Ok(Answer { text: ask.text, metadata })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
