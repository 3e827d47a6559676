//! The bulk API of Elasticsearch and OpenSearch: one document for each line.
//!
//! Source: <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>. Documents are
//! *created*, under an id made of the batch's and the line's number: a batch that is sent again, because
//! the answer was lost, makes no document twice. A request that is too large for what stands between
//! (413) is halved.

mod answer;
mod target;

use super::{
    Batch, Deliver, Delivery, DeliveryError, LineDelivery,
    error::KEY,
    servers::{Refusal, Servers, ServersConfig},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use meshwise_core::internal::retry_after;
use std::{fmt, io, io::Write as _, ops::Range, path::PathBuf, time::Duration};
use target::BulkTarget;
use ureq::http::HeaderValue;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Answers name each document; what is larger is not read.
const MAX_ANSWER: u64 = 32 << 20;

/// Describes how lines are sent to Elasticsearch or OpenSearch.
///
/// Lines must be JSON: use [`LogFormat::Ecs`](crate::LogFormat::Ecs), whose names
/// [`template`](Self::template) maps.
///
/// | what is answered | lines |
/// |---|---|
/// | a document's status is 2xx, or 409 (made by an attempt whose answer was lost) | is delivered |
/// | a document's status is 429, or 500 and above, or there is none | is sent again |
/// | a document's status is another | is lost, and counted as `export_failed` |
/// | 401, 403, 404 or a redirect to the whole request: user, key, URL or stream are wrong | wait until that is mended, for as long as it takes: in the queue or the spool |
/// | 408, 429, or 500 and above to the whole request; no answer, or none of the bulk API's | are sent again |
/// | 413 to the whole request | are sent in two halves; one line that is too large is lost |
/// | another status to the whole request | are lost, and counted as `export_failed` |
///
/// What waits and what is lost is told on standard error with the status, each once a minute. A node's
/// `Retry-After`, in seconds or as a date, is heeded up to a minute.
#[derive(Clone)]
#[must_use]
pub struct BulkConfig {
    nodes: ServersConfig,
    stream: String,
    authorization: Option<String>,
    gzip: bool,
}

impl BulkConfig {
    /// Describes how lines are sent to the nodes of a cluster, such as `https://search:9200`, into a
    /// data stream, such as `logs-orders-default`, or an index. The first node is used while it
    /// answers; then the next.
    pub fn new<S: Into<String>>(
        urls: impl IntoIterator<Item = S>,
        stream: impl Into<String>,
    ) -> Self {
        Self {
            nodes: ServersConfig::new(urls, TIMEOUT),
            stream: stream.into(),
            authorization: None,
            gzip: true,
        }
    }

    /// Sets the API key, in its encoded form.
    pub fn with_api_key(mut self, key: impl AsRef<str>) -> Self {
        self.authorization = Some(format!("ApiKey {}", key.as_ref()));
        self
    }

    /// Sets a user's name and password.
    pub fn with_user(mut self, name: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let both = format!("{}:{}", name.as_ref(), password.as_ref());
        self.authorization = Some(format!("Basic {}", BASE64_STANDARD.encode(both)));
        self
    }

    /// Trusts the certificates of a PEM file, instead of the system's.
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.nodes.set_ca_file(path.into());
        self
    }

    /// Sets how long a request may take; 30 s by default.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.nodes.set_timeout(timeout);
        self
    }

    /// Sets whether requests are compressed; they are by default.
    pub fn with_gzip(mut self, on: bool) -> Self {
        self.gzip = on;
        self
    }

    /// Returns an index template, as JSON, for lines in the format `ecs`: put it to
    /// `_index_template/meshwise-logs` before the first line comes. It is for `logs-meshwise-*`: change its
    /// `index_patterns` for a data stream of another name.
    #[must_use]
    pub const fn template() -> &'static str {
        include_str!("bulk/template.json")
    }

    /// Makes the transport. Nothing is connected yet.
    ///
    /// # Errors
    /// If there is no URL, one cannot be understood, no header can be made of the API key, or certificates
    /// cannot be read.
    pub fn build(self) -> Result<Bulk, DeliveryError> {
        if self.authorization.as_ref().is_some_and(|said| HeaderValue::from_str(said).is_err()) {
            let expected = "one without line ends and other control characters";
            return Err(DeliveryError::address("(not shown)", KEY, expected));
        }
        let nodes = self.nodes.parse(|url| BulkTarget::parse(url, &self.stream))?;
        let agent = target::agent(nodes.iter(), self.nodes.ca_file(), self.nodes.timeout())?;
        Ok(Bulk { config: self, nodes, agent })
    }
}

impl fmt::Debug for BulkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither key nor password, nor URLs, which may hold some.
        f.debug_struct("BulkConfig").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// Sends lines by the bulk API: [`BulkConfig::build`] makes it.
pub struct Bulk {
    config: BulkConfig,
    nodes: Servers<BulkTarget>,
    agent: ureq::Agent,
}

impl BulkConfig {
    fn body(&self, batch: &Batch, which: &Range<usize>) -> io::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(batch.bytes().len() + 80 * batch.len());
        for line in batch.lines().skip(which.start).take(which.len()) {
            let id = (batch.id(), line.number());
            writeln!(plain, r#"{{"create":{{"_id":"{:032x}-{}"}}}}"#, id.0, id.1)?;
            plain.extend_from_slice(line.text());
            plain.push(b'\n');
        }
        if !self.gzip {
            return Ok(plain);
        }
        let mut packed = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
        packed.write_all(&plain)?;
        packed.finish()
    }

    /// Sends a request of so many lines; `None` if it is too large.
    fn send(
        &self,
        agent: &ureq::Agent,
        target: &BulkTarget,
        body: &[u8],
        lines: usize,
    ) -> Result<Option<Delivery>, Refusal> {
        let mut request = agent
            .post(&target.url)
            .header("content-type", "application/x-ndjson")
            .header("accept", "application/json");
        if self.gzip {
            request = request.header("content-encoding", "gzip");
        }
        if let Some(authorization) = self.authorization.as_ref().or(target.user.as_ref()) {
            request = request.header("authorization", authorization);
        }
        let answer = request.send(body).map_err(Refusal::new)?;
        let (parts, body) = answer.into_parts();
        let status = parts.status.as_u16();
        match status {
            200..=299 => {}
            // What an operator can mend, and what goes by: the lines are not to blame.
            300..=399 | 401 | 403 | 404 | 408 | 429 | 500..=599 => {
                let retry_after = retry_after(&parts.headers);
                let reason = format!("status {status}{}", answer::advice(status));
                return Err(Refusal { retry_after, reason });
            }
            413 if lines > 1 => return Ok(None),
            _ => return Ok(Some(Delivery::lost(format!("status {status}")))),
        }
        let body = body.into_with_config().limit(MAX_ANSWER).reader();
        answer::read(body, lines).map(Some).map_err(Refusal::new)
    }
}

impl Deliver for Bulk {
    fn deliver(&mut self, batch: &Batch) -> Delivery {
        let all = 0..batch.len();
        let Some(delivery) = self.send(batch, &all) else {
            let mut ends = Ends::default();
            let _away = self.send_halves(batch, all, &mut ends);
            let Ends { lines, retry_after, refused, lost } = ends;
            return Delivery::Lines { lines, retry_after, refused, lost };
        };
        delivery
    }
}

impl Bulk {
    /// Sends some of a batch's lines; `None` if they are too many for one request.
    fn send(&mut self, batch: &Batch, which: &Range<usize>) -> Option<Delivery> {
        let Self { config, nodes, agent } = self;
        let body = match config.body(batch, which) {
            Ok(body) => body,
            Err(error) => return Some(Delivery::lost(format!("no request can be made: {error}"))),
        };
        let sent = nodes.first(|node| config.send(agent, node, &body, which.len()));
        sent.unwrap_or_else(|refusal| Some(Delivery::from(refusal)))
    }

    /// Sends lines that are too many for one request in two, and each half so again if need be; adds
    /// what became of each line. `false` if a part was refused: those behind it are not tried then.
    fn send_halves(&mut self, batch: &Batch, which: Range<usize>, ends: &mut Ends) -> bool {
        let mut there = true;
        let middle = which.start + which.len() / 2;
        for half in [which.start..middle, middle..which.end] {
            if !there {
                ends.lines.extend(std::iter::repeat_n(LineDelivery::Refused, half.len()));
                continue;
            }
            match self.send(batch, &half) {
                None => there = self.send_halves(batch, half, ends),
                Some(delivery) => {
                    there = !matches!(delivery, Delivery::Refused { .. });
                    ends.add(delivery, half.len());
                }
            }
        }
        there
    }
}

/// What became of the lines of several requests.
#[derive(Default)]
struct Ends {
    lines: Vec<LineDelivery>,
    retry_after: Option<Duration>,
    /// The first reasons.
    refused: String,
    lost: String,
}

impl Ends {
    fn add(&mut self, delivery: Delivery, lines: usize) {
        let same = |end| vec![end; lines];
        let none = String::new;
        let (lines, retry_after, refused, lost) = match delivery {
            Delivery::Accepted => (same(LineDelivery::Accepted), None, none(), none()),
            Delivery::Lost { reason } => (same(LineDelivery::Lost), None, none(), reason),
            Delivery::Refused { retry_after, reason } => {
                (same(LineDelivery::Refused), retry_after, reason, none())
            }
            Delivery::Lines { lines, retry_after, refused, lost } => {
                (lines, retry_after, refused, lost)
            }
        };
        self.lines.extend(lines);
        self.retry_after = self.retry_after.max(retry_after);
        for (told, more) in [(&mut self.refused, refused), (&mut self.lost, lost)] {
            if told.is_empty() {
                *told = more;
            }
        }
    }
}

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk").field("config", &self.config).finish_non_exhaustive()
    }
}
