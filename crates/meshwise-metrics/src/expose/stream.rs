//! The answer to a scrape: all is collected, then written piece by piece.

use super::{Exposition, Format, accepts_gzip, choose_format, gzip::Gzip};
use crate::{backend::Pages, hub::Metrics};
use bytes::Bytes;
use http::HeaderMap;
use std::{fmt, io};

/// How large a piece should be, in bytes; pieces are not much larger.
const PIECE: usize = 32 * 1024;

/// Yields the body of an answer to a scrape in pieces of about 32 KiB.
///
/// However many series there are, only one piece and the list of one metric's series are in memory
/// at a time. (`metrics-exporter-prometheus` writes all of it at once.)
#[doc(hidden)]
pub struct ExpositionStream {
    format: Format,
    pages: Box<dyn Pages>,
    gzip: Option<Gzip>,
    page: Vec<u8>,
    ended: bool,
}

impl Metrics {
    /// Answers a scrape, in the format and encoding that its `Accept` and `Accept-Encoding`
    /// headers ask for.
    ///
    /// It reads files of `/proc` and walks over all series: run it where blocking for some
    /// milliseconds is fine.
    #[must_use]
    pub fn render(&self, request: &HeaderMap) -> Exposition {
        let stream = self.stream(request);
        Exposition {
            content_type: stream.content_type(),
            content_encoding: stream.content_encoding(),
            body: join(stream).into(),
        }
    }

    /// Answers a scrape as [`Metrics::render`] does, in pieces: however many series there are, they
    /// are never all written out in memory.
    #[doc(hidden)]
    #[must_use]
    pub fn stream(&self, request: &HeaderMap) -> ExpositionStream {
        let format = choose_format(request, |format| self.backend().writes(format));
        self.open(format, accepts_gzip(request))
    }

    /// Returns all metrics as Prometheus text.
    #[must_use]
    pub fn render_text(&self) -> String {
        String::from_utf8(join(self.open(Format::Text, false))).unwrap_or_default()
    }

    /// Writes all metrics to `out`; as text if they cannot be written in `format`.
    ///
    /// # Errors
    /// If writing to `out` fails.
    pub fn write_to(&self, format: Format, out: &mut dyn io::Write) -> io::Result<()> {
        let format = if self.backend().writes(format) { format } else { Format::Text };
        self.open(format, false).try_for_each(|piece| out.write_all(&piece))
    }

    fn open(&self, format: Format, gzip: bool) -> ExpositionStream {
        self.collect();
        ExpositionStream::new(self.backend().pages(format), format, gzip)
    }
}

impl ExpositionStream {
    fn new(pages: Box<dyn Pages>, format: Format, gzip: bool) -> Self {
        let gzip = if gzip { Gzip::new() } else { None };
        Self { format, pages, gzip, page: Vec::new(), ended: false }
    }

    /// Returns the `Content-Type` header.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        self.format.content_type()
    }

    /// Returns the `Content-Encoding` header, if the body is compressed.
    #[must_use]
    pub fn content_encoding(&self) -> Option<&'static str> {
        self.gzip.is_some().then_some("gzip")
    }
}

impl Iterator for ExpositionStream {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut piece = Vec::new();
        while !self.ended && piece.len() < PIECE {
            self.page.clear();
            self.ended = !self.pages.next(&mut self.page);
            match &mut self.gzip {
                None => piece.append(&mut self.page),
                Some(gzip) => gzip.write(&self.page, self.ended, &mut piece),
            }
        }
        (!piece.is_empty()).then(|| Bytes::from(piece))
    }
}

impl fmt::Debug for ExpositionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpositionStream")
            .field("format", &self.format)
            .field("gzip", &self.gzip.is_some())
            .finish_non_exhaustive()
    }
}

fn join(stream: ExpositionStream) -> Vec<u8> {
    let mut body = Vec::new();
    stream.for_each(|piece| body.extend_from_slice(&piece));
    body
}
