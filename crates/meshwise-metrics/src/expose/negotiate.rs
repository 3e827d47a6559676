//! Reading `Accept` and `Accept-Encoding` (RFC 9110 sections 12.4 and 12.5).

use super::Format;
use http::{HeaderMap, HeaderName, header};

/// Longest header line that is read, in bytes.
const MAX_LINE: usize = 4096;

/// Weights are in thousandths: q-values have three digits.
const FULL: u16 = 1000;

/// Picks the format that the scraper likes best; text if it does not say.
///
/// Protobuf and `OpenMetrics` are only sent to those who name them. Of two that are liked as well
/// the one that carries more is sent: protobuf, then `OpenMetrics`, then text.
pub(crate) fn choose_format(request: &HeaderMap, writes: impl Fn(Format) -> bool) -> Format {
    let (mut protobuf, mut open_metrics) = (0, 0);
    // How well the best match so far fits `text/plain`, and its weight.
    let mut text = (0, 0);
    each(request, &header::ACCEPT, |range, params, weight| {
        if range.eq_ignore_ascii_case("application/vnd.google.protobuf") {
            if is_ours(params) {
                protobuf = protobuf.max(weight);
            }
            return;
        }
        if range.eq_ignore_ascii_case("application/openmetrics-text") {
            if version(params).is_none_or(|version| version == "1.0.0") {
                open_metrics = open_metrics.max(weight);
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
    let mut best = (Format::Text, text.1);
    for (format, weight) in [(Format::OpenMetrics, open_metrics), (Format::Protobuf, protobuf)] {
        if weight > 0 && weight >= best.1 && writes(format) {
            best = (format, weight);
        }
    }
    best.0
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
    param(params, "version")
}

/// Tells whether these are the messages that we write, in the way we do; there are others.
fn is_ours(params: &str) -> bool {
    param(params, "proto").is_some_and(|proto| proto == "io.prometheus.client.MetricFamily")
        && param(params, "encoding").is_some_and(|how| how.eq_ignore_ascii_case("delimited"))
}

fn param<'a>(params: &'a str, wanted: &str) -> Option<&'a str> {
    params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
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
mod tests;
