//! OTLP over gRPC and HTTP, on one HTTP client.
//!
//! The exporters of `opentelemetry-otlp` are not used: they read the process's environment
//! whatever they are told, keep a partial success, the kind of an error and their retries to
//! themselves, and, over gRPC, copy each batch before it is sent. Accounting for every record needs
//! all of that. Requests are written as bytes ([`EncodedBatch`]), answers are read as `opentelemetry-proto`'s
//! messages.

mod answer;
mod client;
mod coding;
mod encode;
mod encoded;
#[cfg(feature = "otlp-grpc")]
mod frame;
#[cfg(feature = "otlp-grpc")]
mod grpc;
#[cfg(feature = "otlp-http")]
mod http;
#[cfg(feature = "otlp-http-json")]
mod json;
mod request;
mod retry;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "otlp-http")]
mod words;

pub use encode::{Encode, WireMessage};
pub use encoded::EncodedBatch;
pub(crate) use request::Settings;
#[cfg(feature = "tls")]
pub(crate) use tls::Files;

use crate::{
    protocol::OtlpProtocol,
    signal::SignalExt as _,
    sink::{Destination, Exported, Sink, Terms},
};
use client::Client;
use encode::Encoder;
use futures_util::future::BoxFuture;
use meshwise_core::{DropReason, Signal};
use request::Accepted;
use retry::{Refusal, Waits};
use tokio::time::Instant;

/// Sends batches of one signal to a collector.
#[derive(Debug)]
pub struct Exporter<E> {
    settings: Settings,
    client: Client,
    encoder: Encoder<E>,
}

impl<E: Encode> Exporter<E> {
    #[cfg(feature = "tls")]
    pub(crate) fn new(
        settings: Settings,
        encode: E,
        tls: Files<'_>,
    ) -> Result<Self, crate::error::OtlpError> {
        let https = settings.uri.scheme_str() == Some("https");
        let connector = tls::connector(https.then_some(tls))?;
        Ok(Self::with_client(settings, encode, connector))
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn new(settings: Settings, encode: E) -> Self {
        Self::with_client(settings, encode, client::connector())
    }

    fn with_client(settings: Settings, encode: E, connector: client::Connector) -> Self {
        let client = Client::new(connector, settings.protocol == OtlpProtocol::Grpc);
        let encoder = Encoder::new(encode, settings.protocol, settings.gzip);
        Self { settings, client, encoder }
    }

    /// Returns what makes messages of batches.
    pub fn encode_mut(&mut self) -> &mut E {
        self.encoder.encode_mut()
    }

    async fn send(&mut self, batch: E::Batch, terms: Terms<'_>) -> Exported {
        let mut total = Tally::new(self.settings.signal);
        self.encoder.load(batch);
        while let Some(part) = self.encoder.next_part() {
            let body = match part.body {
                Ok(body) => body,
                Err(error) => {
                    total.failed(part.records, DropReason::ExportFailed, error);
                    continue;
                }
            };
            match self.send_until(&body, terms).await {
                Ok(accepted) => total.accepted(part.records, &accepted),
                Err(refusal) => total.failed(part.records, refusal.reason(), refusal.to_string()),
            }
            self.encoder.recycle(body);
        }
        total.outcome()
    }

    /// Tries until it is there, refused for good, or out of time.
    async fn send_until(
        &mut self,
        body: &bytes::Bytes,
        terms: Terms<'_>,
    ) -> Result<Accepted, Refusal> {
        let mut backoff = Waits::default();
        loop {
            let refusal = match self.attempt(body.clone(), terms.deadline).await {
                Ok(accepted) => return Ok(accepted),
                Err(refusal) => refusal.hinting(self.settings.protocol, &self.settings.uri),
            };
            let Some(wait) = backoff.next(&refusal) else { return Err(refusal) };
            // A shutdown leaves no time for a collector that does not answer; one that
            // answers, and asks for another try, gets it.
            let unanswered = !refusal.was_answered();
            // The wait may be anything a collector has dreamt up: it is compared, never added.
            let left = terms.deadline.saturating_duration_since(Instant::now());
            if (unanswered && terms.shutdown.has_begun()) || wait >= left {
                return Err(refusal);
            }
            terms.losses.complain(&refusal.to_string(), &terms.counters.report(), Instant::now());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = terms.shutdown.begun(), if unanswered => {}
            }
        }
    }

    async fn attempt(
        &mut self,
        body: bytes::Bytes,
        deadline: Instant,
    ) -> Result<Accepted, Refusal> {
        let deadline = deadline.min(Instant::now() + self.settings.timeout);
        let call = async {
            match self.settings.protocol {
                #[cfg(feature = "otlp-grpc")]
                OtlpProtocol::Grpc => grpc::call(&self.client, &self.settings, body).await,
                #[cfg(feature = "otlp-http")]
                OtlpProtocol::HttpProtobuf | OtlpProtocol::HttpJson => {
                    http::call(&self.client, &self.settings, body, deadline).await
                }
                // Where it is set, it is refused.
                #[cfg(not(all(feature = "otlp-grpc", feature = "otlp-http")))]
                other => {
                    Err(Refusal::last(format!("this build does not speak {}", other.as_str())))
                }
            }
        };
        match tokio::time::timeout_at(deadline, call).await {
            Ok(answer) => answer,
            Err(_) => {
                // A connection on which nothing comes back may be dead without a sign of
                // it: the next request gets a new one.
                self.client.reconnect();
                Err(Refusal::timeout(self.settings.timeout))
            }
        }
    }
}

impl<E: Encode> Sink<E::Batch> for Exporter<E> {
    fn destination(&self) -> Option<Destination> {
        let uri = &self.settings.uri;
        let base = |part: &str| part.to_owned();
        // The query may hold a key.
        let endpoint = format!(
            "{}://{}{}",
            uri.scheme_str().map(base).unwrap_or_default(),
            uri.authority().map(|authority| base(authority.as_str())).unwrap_or_default(),
            uri.path()
        );
        Some(Destination { endpoint, protocol: self.settings.protocol.as_str() })
    }

    fn export<'a>(&'a mut self, batch: E::Batch, terms: Terms<'a>) -> BoxFuture<'a, Exported> {
        Box::pin(self.send(batch, terms))
    }
}

/// Sums up the parts of one batch.
#[derive(Debug)]
struct Tally {
    signal: Signal,
    delivered: u64,
    lost: u64,
    reason: Option<DropReason>,
    error: String,
}

impl Tally {
    fn new(signal: Signal) -> Self {
        Self { signal, delivered: 0, lost: 0, reason: None, error: String::new() }
    }

    fn accepted(&mut self, sent: u64, accepted: &Accepted) {
        let refused = accepted.refused.min(sent);
        self.delivered += sent - refused;
        if refused > 0 {
            let records = self.signal.records();
            let error = format!("the collector refused {refused} {records}: {}", accepted.message);
            self.failed(refused, DropReason::ExportFailed, error);
        }
    }

    fn failed(&mut self, records: u64, reason: DropReason, error: String) {
        self.lost += records;
        self.reason = Some(reason);
        self.error = error;
    }

    fn outcome(self) -> Exported {
        match (self.reason, self.delivered) {
            (None, _) => Exported::Delivered,
            (Some(reason), 0) => Exported::Failed { reason, error: self.error },
            (Some(reason), _) => Exported::Partly { refused: self.lost, reason, error: self.error },
        }
    }
}
