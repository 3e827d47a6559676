//! The bulk API of Elasticsearch and OpenSearch: one document for each line.
//!
//! Source: <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>. Documents are
//! *created*, under an id made of the batch's and the line's number: a batch that is sent again, because
//! the answer was lost, makes no document twice. Only what was refused with 429 or a status of 500 and
//! above is sent again. A request that is too large for what stands between (413) is halved.

mod answer;
mod target;

use super::{
    Batch, Deliver, Delivery, DeliveryError, LineDelivery,
    servers::{Refusal, Servers, ServersConfig},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use std::{fmt, io, io::Write as _, ops::Range, path::PathBuf, time::Duration};
use target::BulkTarget;
use ureq::http::{HeaderMap, header::RETRY_AFTER};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Answers name each document; what is larger is not read.
const MAX_ANSWER: u64 = 32 << 20;

/// Describes how lines are sent to Elasticsearch or OpenSearch.
///
/// Lines must be JSON: use [`LogFormat::Ecs`](crate::LogFormat::Ecs), whose names
/// [`template`](Self::template) maps.
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
    /// `_index_template/meshwise-logs` before the first line comes.
    #[must_use]
    pub const fn template() -> &'static str {
        include_str!("bulk/template.json")
    }

    /// Makes the transport. Nothing is connected yet.
    ///
    /// # Errors
    /// If there is no URL, one cannot be understood, or certificates cannot be read.
    pub fn build(self) -> Result<Bulk, DeliveryError> {
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
                return Err(Refusal { retry_after, reason: format!("status {status}") });
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
            let (mut lines, mut reason) = (Vec::with_capacity(all.len()), String::new());
            let _away = self.send_halves(batch, all, &mut lines, &mut reason);
            return Delivery::Lines { lines, reason };
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
    fn send_halves(
        &mut self,
        batch: &Batch,
        which: Range<usize>,
        ends: &mut Vec<LineDelivery>,
        said: &mut String,
    ) -> bool {
        let mut there = true;
        let middle = which.start + which.len() / 2;
        for half in [which.start..middle, middle..which.end] {
            let same = |end| std::iter::repeat_n(end, half.len());
            if !there {
                ends.extend(same(LineDelivery::Refused));
                continue;
            }
            match self.send(batch, &half) {
                None => there = self.send_halves(batch, half, ends, said),
                Some(Delivery::Accepted) => ends.extend(same(LineDelivery::Accepted)),
                Some(Delivery::Refused { reason, .. }) => {
                    ends.extend(same(LineDelivery::Refused));
                    *said = reason;
                    there = false;
                }
                Some(Delivery::Lost { reason }) => {
                    ends.extend(same(LineDelivery::Lost));
                    *said = reason;
                }
                Some(Delivery::Lines { lines, reason }) => {
                    ends.extend(lines);
                    *said = reason;
                }
            }
        }
        there
    }
}

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads how many seconds a node asks to be left alone (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds.min(3600)))
}
