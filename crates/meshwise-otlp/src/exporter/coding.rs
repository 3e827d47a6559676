//! Answers that are compressed, asked for or not. A server that is not told what a client reads may choose
//! (RFC 9110, section 12.5.3), and grpc-go, which the OpenTelemetry Collector serves with, answers in what
//! the request was compressed with, whatever `grpc-accept-encoding` says.

use super::answer::{ANSWER_LIMIT, printable};
use http::HeaderValue;
use std::borrow::Cow;

/// How a body is compressed, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Unknown,
}

impl Coding {
    fn new(said: Option<&HeaderValue>) -> Self {
        let said = said.map_or(&b""[..], |value| value.as_bytes().trim_ascii());
        let is = |name: &str| said.eq_ignore_ascii_case(name.as_bytes());
        if said.is_empty() || is("identity") {
            Self::Identity
        } else if is("gzip") || is("x-gzip") {
            Self::Gzip
        } else {
            Self::Unknown
        }
    }
}

/// Returns what a whole body says; what is wrong with it is told in words for a log line.
pub(super) fn decoded<'a>(
    body: &'a [u8],
    said: Option<&HeaderValue>,
) -> Result<Cow<'a, [u8]>, String> {
    let coding = Coding::new(said);
    if coding == Coding::Identity || body.is_empty() {
        return Ok(body.into());
    }
    let name = said
        .map_or_else(String::new, |value| printable(&String::from_utf8_lossy(value.as_bytes())));
    let inflated = if coding == Coding::Gzip { inflate(body, ANSWER_LIMIT + 1) } else { None };
    match inflated {
        Some(Inflated { bytes, .. }) if bytes.len() > ANSWER_LIMIT => {
            Err("the endpoint's answer is larger than 1 MiB".to_owned())
        }
        Some(Inflated { bytes, whole: true }) => Ok(bytes.into()),
        Some(_) => Err(format!("the endpoint's answer is said to be {name}, and is not")),
        None => Err(format!(
            "the endpoint's answer is compressed ({name}), which was not asked for and is not read \
             here; whether it accepted what it was sent is not known"
        )),
    }
}

/// Returns what can be read of a body that may be cut, `limit` bytes at most.
#[cfg(feature = "otlp-http")]
pub(super) fn prefix(body: Vec<u8>, said: Option<&HeaderValue>, limit: usize) -> Vec<u8> {
    match Coding::new(said) {
        Coding::Identity => body,
        Coding::Gzip => inflate(&body, limit).map(|inflated| inflated.bytes).unwrap_or_default(),
        Coding::Unknown => Vec::new(),
    }
}

struct Inflated {
    bytes: Vec<u8>,
    /// It ended where it should.
    whole: bool,
}

/// Inflates `limit` bytes at most; `None` if that is not compiled in.
#[cfg(feature = "gzip")]
fn inflate(body: &[u8], limit: usize) -> Option<Inflated> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let reader = flate2::read::MultiGzDecoder::new(body).take(limit as u64);
    let whole = { reader }.read_to_end(&mut bytes).is_ok();
    Some(Inflated { bytes, whole })
}

#[cfg(not(feature = "gzip"))]
fn inflate(_body: &[u8], _limit: usize) -> Option<Inflated> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], coding: &'static str) -> Result<Vec<u8>, String> {
        decoded(body, Some(&HeaderValue::from_static(coding))).map(Cow::into_owned)
    }

    #[test]
    fn what_is_not_compressed_is_as_it_is() {
        assert_eq!(decoded(b"abc", None).as_deref(), Ok(&b"abc"[..]));
        for coding in ["", " ", "identity", "Identity"] {
            assert_eq!(read(b"abc", coding).as_deref(), Ok(&b"abc"[..]), "{coding:?}");
        }
        assert_eq!(read(b"", "gzip").as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for coding in ["br", "zstd", "deflate", "gzip, br"] {
            let error = read(b"abc", coding).expect_err(coding);
            assert!(error.contains(&format!("({coding})")), "{error}");
        }
    }

    #[cfg(not(feature = "gzip"))]
    #[test]
    fn gzip_is_named_where_it_is_not_compiled_in() {
        assert!(read(b"abc", "gzip").is_err_and(|error| error.contains("(gzip)")));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn gzip_is_read_within_the_limit() {
        use std::io::Write as _;
        let gzip = |bytes: &[u8]| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut body = gzip(b"abc");
        for coding in ["gzip", "x-gzip", " GZIP "] {
            assert_eq!(read(&body, coding).as_deref(), Ok(&b"abc"[..]), "{coding:?}");
        }
        assert_eq!(prefix(body.clone(), Some(&HeaderValue::from_static("gzip")), 2), b"ab");
        body.truncate(body.len() - 1);
        for body in [&body[..], b"abc", b"\x1f\x8b"] {
            assert!(read(body, "gzip").is_err_and(|error| error.ends_with("and is not")));
        }
        // A bomb is not inflated beyond what is read of any answer.
        let zeros = gzip(&vec![0; 64 << 20]);
        assert!(read(&zeros, "gzip").is_err_and(|error| error.contains("1 MiB")));
        assert!(read(&gzip(&vec![0; ANSWER_LIMIT]), "gzip").is_ok());
    }
}
