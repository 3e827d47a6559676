use super::*;
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof, proptest},
    sample::select,
};

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
fn protobuf_goes_to_those_who_ask_for_just_ours() {
    use Format::{OpenMetrics, Protobuf, Text};
    let ours = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                encoding=delimited";
    for (accept, expected) in [
        (ours.to_owned(), Protobuf),
        (format!("text/plain,application/openmetrics-text,{ours}"), Protobuf),
        (format!("{ours};q=0"), Text),
        (format!("{ours};q=0.4,text/plain;q=0.5"), Text),
        (format!("{ours};q=0.4,application/openmetrics-text;q=0.5"), OpenMetrics),
        (ours.to_uppercase().replace("IO.PROMETHEUS.CLIENT.METRICFAMILY", "x"), Text),
        (
            "Application/Vnd.Google.Protobuf; Encoding=\"Delimited\" ; \
          Proto=\"io.prometheus.client.MetricFamily\""
                .to_owned(),
            Protobuf,
        ),
        ("application/vnd.google.protobuf".to_owned(), Text),
        (ours.replace("delimited", "text"), Text),
        (ours.replace("delimited", "compact-text"), Text),
        (ours.replace("MetricFamily", "Metric"), Text),
        // Prometheus 2.42 with native histograms.
        (
            format!(
                "{ours},application/openmetrics-text;version=1.0.0;q=0.8,\
                 application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
            ),
            Protobuf,
        ),
        // Prometheus 3 with native histograms.
        (
            format!(
                "{ours};q=0.6,application/openmetrics-text;version=1.0.0;\
                 escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
            ),
            Protobuf,
        ),
    ] {
        let request = headers(&header::ACCEPT, &[&accept]);
        assert_eq!(choose_format(&request, |_| true), expected, "{accept:?}");
        // Who cannot write it does the next best.
        let next = choose_format(&request, |format| format != Protobuf);
        assert_ne!(next, Protobuf);
        assert_eq!(next == OpenMetrics, accept.contains("openmetrics-text"), "{accept:?}");
    }
}

/// A weight in thousandths, as text.
fn q(weight: u16) -> String {
    format!("{}.{:03}", weight / 1000, weight % 1000)
}

proptest! {
    #[test]
    fn the_heaviest_format_is_sent(
        weights in vec(0..=1000_u16, 3),
        order in Just(vec![0, 1, 2]).prop_shuffle(),
        lines in 1..3_usize,
    ) {
        const RANGES: [&str; 3] = [
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited",
            "application/openmetrics-text;version=1.0.0",
            "text/plain;version=0.0.4",
        ];
        let elements: Vec<String> =
            order.iter().map(|i| format!("{};q={}", RANGES[*i], q(weights[*i]))).collect();
        let lines: Vec<String> = elements.chunks(lines).map(|line| line.join(" , ")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let formats = [Format::Protobuf, Format::OpenMetrics, Format::Text];
        // `max_by_key` takes the last of equals: the one that carries most.
        let best = (0..3).rev().max_by_key(|i| weights[*i]).unwrap();
        let expected = if weights[best] == 0 { Format::Text } else { formats[best] };
        assert_eq!(choose_format(&headers(&header::ACCEPT, &lines), |_| true), expected);
    }

    #[test]
    fn whatever_is_asked_for_there_is_an_answer(lines in vec(prop_oneof![
        vec(any::<u8>(), 0..80),
        vec(select(&[
            "application/vnd.google.protobuf", "application/openmetrics-text", "text/plain",
            "*/*", ";", ",", "=", "q", "q=0.5", "q=1", "proto", "encoding", "delimited",
            "io.prometheus.client.MetricFamily", "version=1.0.0", "\"", " ", "\t",
        ][..]), 0..30).prop_map(|parts| parts.concat().into_bytes()),
    ], 0..4)) {
        let mut request = HeaderMap::new();
        for line in &lines {
            if let Ok(value) = http::HeaderValue::from_bytes(line) {
                request.append(header::ACCEPT, value.clone());
                request.append(header::ACCEPT_ENCODING, value);
            }
        }
        let chosen = choose_format(&request, |_| true);
        let named = lines.iter().any(|line| {
            line.windows(3).any(|word| word.eq_ignore_ascii_case(b"app"))
        });
        assert!(chosen == Format::Text || named);
        assert_eq!(choose_format(&request, |format| format == Format::Text), Format::Text);
        let _ = accepts_gzip(&request);
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
    request.insert(header::ACCEPT_ENCODING, http::HeaderValue::from_bytes(b"gzip,\xff").unwrap());
    assert!(!accepts_gzip(&request));
    let long = format!("gzip,{}", "a,".repeat(MAX_LINE));
    assert!(!accepts_gzip(&headers(&header::ACCEPT_ENCODING, &[&long])));
}
