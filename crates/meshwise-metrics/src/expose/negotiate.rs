//! Reading `Accept` and `Accept-Encoding` (RFC 9110 sections 12.4 and 12.5).

use super::Format;
use http::{HeaderMap, HeaderName, header};

/// Longest header line that is read, in bytes.
const MAX_LINE: usize = 4096;

/// Weights are in thousandths: q-values have three digits.
const FULL: u16 = 1000;

/// Picks the format that the scraper likes best; text if it does not say.
///
/// `OpenMetrics` is only sent to those who name it, and wins a tie then, for it carries more.
pub(crate) fn choose_format(request: &HeaderMap, writes: impl Fn(Format) -> bool) -> Format {
    if !writes(Format::OpenMetrics) {
        return Format::Text;
    }
    let mut open_metrics = None;
    // How well the best match so far fits `text/plain`, and its weight.
    let mut text = (0, 0);
    each(request, &header::ACCEPT, |range, params, weight| {
        if range.eq_ignore_ascii_case("application/openmetrics-text") {
            if version(params).is_none_or(|version| version == "1.0.0") {
                open_metrics = open_metrics.max(Some(weight));
            }
            return;
        }
        let fit = match range {
            "*/*" => 1,
            range if range.eq_ignore_ascii_case("text/*") => 2,
            range if range.eq_ignore_ascii_case("text/plain") => match version(params) {
                None => 3,
                Some("0.0.4") => 4,
                Some(_) => return,
            },
            _ => return,
        };
        text = text.max((fit, weight));
    });
    match open_metrics {
        Some(weight) if weight > 0 && weight >= text.1 => Format::OpenMetrics,
        _ => Format::Text,
    }
}

/// Tells whether the answer may be compressed, and should be.
pub(crate) fn accepts_gzip(request: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    each(request, &header::ACCEPT_ENCODING, |coding, _, weight| {
        let slot = if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            &mut gzip
        } else if coding.eq_ignore_ascii_case("identity") {
            &mut identity
        } else if coding == "*" {
            &mut any
        } else {
            return;
        };
        *slot = (*slot).max(Some(weight));
    });
    // A bare `*` does not ask for gzip in particular; only what is asked for is worth the time.
    gzip.is_some_and(|weight| weight > 0 && weight >= identity.or(any).unwrap_or(0))
}

fn version(params: &str) -> Option<&str> {
    params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("version").then(|| value.trim().trim_matches('"'))
    })
}

/// Calls `item` with the name, the parameters and the weight of each element of a list header.
fn each<'a>(
    request: &'a HeaderMap,
    name: &HeaderName,
    mut item: impl FnMut(&'a str, &'a str, u16),
) {
    let lines = request.get_all(name).iter().filter_map(|value| value.to_str().ok());
    for element in lines.filter(|line| line.len() <= MAX_LINE).flat_map(|line| line.split(',')) {
        let (name, params) = element.split_once(';').unwrap_or((element, ""));
        let name = name.trim();
        if !name.is_empty()
            && let Some(weight) = weight(params)
        {
            item(name, params, weight);
        }
    }
}

/// Reads `q`: 1 if there is none, `None` if it is no weight.
fn weight(params: &str) -> Option<u16> {
    for param in params.split(';') {
        if let Some((name, value)) = param.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            return thousandths(value.trim());
        }
    }
    Some(FULL)
}

/// Parses `0`, `0.5`, `1.000` and the like.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<3}").parse().ok()?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), line.parse().unwrap())).collect()
    }

    #[test]
    fn open_metrics_goes_to_those_who_ask_for_it() {
        use Format::{OpenMetrics, Text};
        for (accept, expected) in [
            (&[][..], Text),
            (&["*/*"], Text),
            (&["application/*"], Text),
            (&["text/html,application/xml;q=0.9,*/*;q=0.8"], Text),
            (&["application/openmetrics-text"], OpenMetrics),
            (&["APPLICATION/OPENMETRICS-TEXT; Version=1.0.0 ; charset=utf-8"], OpenMetrics),
            (&["application/openmetrics-text;version=2.0.0"], Text),
            (&["application/openmetrics-text;q=0"], Text),
            (&["application/openmetrics-text;q=0.5,text/plain;q=0.6"], Text),
            (&["application/openmetrics-text;q=0.6,text/plain;q=0.5"], OpenMetrics),
            (&["text/plain;q=0.5", "application/openmetrics-text;q=0.5"], OpenMetrics),
            // The most specific range decides, not the heaviest.
            (&["*/*,text/plain;q=0.1,application/openmetrics-text;q=0.5"], OpenMetrics),
            // Prometheus 2.42.
            (
                &["application/openmetrics-text;version=1.0.0,\
                   application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1"],
                OpenMetrics,
            ),
            // Prometheus 3.
            (
                &["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                   application/openmetrics-text;version=0.0.1;q=0.5,\
                   text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                   text/plain;version=0.0.4;q=0.3,*/*;q=0.2"],
                OpenMetrics,
            ),
            // Prometheus 3 with the text format first.
            (
                &["text/plain;version=0.0.4;q=0.6,\
                   application/openmetrics-text;version=1.0.0;q=0.5"],
                Text,
            ),
        ] {
            let request = headers(&header::ACCEPT, accept);
            assert_eq!(choose_format(&request, |_| true), expected, "{accept:?}");
            assert_eq!(choose_format(&request, |format| format == Text), Text);
        }
    }

    #[test]
    fn gzip_goes_to_those_who_prefer_it() {
        for (accept, expected) in [
            (&[][..], false),
            (&[""], false),
            (&["*"], false),
            (&["identity"], false),
            (&["gzip"], true),
            (&["x-gzip"], true),
            (&["GZip"], true),
            (&["deflate, gzip ;q=0.5"], true),
            (&["br", "gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000"], false),
            (&["gzip;q=0.5,identity"], false),
            (&["gzip;q=0.5,identity;q=0.5"], true),
            (&["gzip;q=0.5,*"], false),
            (&["gzip;q=1,*;q=0"], true),
            (&["gzip;q=2"], false),
            (&["gzip;q=-1"], false),
            (&["gzip;q="], false),
            (&["gzip;q=0.1234"], false),
        ] {
            let request = headers(&header::ACCEPT_ENCODING, accept);
            assert_eq!(accepts_gzip(&request), expected, "{accept:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_and_endless_lines_ask_for_nothing() {
        let mut request = HeaderMap::new();
        request
            .insert(header::ACCEPT_ENCODING, http::HeaderValue::from_bytes(b"gzip,\xff").unwrap());
        assert!(!accepts_gzip(&request));
        let long = format!("gzip,{}", "a,".repeat(MAX_LINE));
        assert!(!accepts_gzip(&headers(&header::ACCEPT_ENCODING, &[&long])));
    }
}
