//! An answer to a scrape, piece by piece.

use super::{Format, gzip::Gzip};
use crate::backend::Pages;
use bytes::Bytes;
use std::fmt;

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

impl ExpositionStream {
    pub(crate) fn new(pages: Box<dyn Pages>, format: Format, gzip: bool) -> Self {
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
