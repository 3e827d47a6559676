//! Compressing an answer piece by piece, if that is built in.

#[cfg(feature = "gzip")]
mod encoder {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    pub(crate) struct Gzip(GzEncoder<Vec<u8>>);

    impl Gzip {
        pub(crate) fn new() -> Option<Self> {
            Some(Self(GzEncoder::new(Vec::new(), Compression::fast())))
        }

        /// Appends to `piece` what is ready once `page` is read; all of it if it is the last.
        pub(crate) fn write(&mut self, page: &[u8], last: bool, piece: &mut Vec<u8>) {
            // Writing to memory does not fail.
            let _ = self.0.write_all(page);
            if last {
                let _ = self.0.try_finish();
            }
            piece.append(self.0.get_mut());
        }
    }
}

#[cfg(not(feature = "gzip"))]
mod encoder {
    /// There is none.
    pub(crate) enum Gzip {}

    impl Gzip {
        pub(crate) fn new() -> Option<Self> {
            None
        }

        pub(crate) fn write(&mut self, _: &[u8], _: bool, _: &mut Vec<u8>) {
            match *self {}
        }
    }
}

pub(crate) use encoder::Gzip;
