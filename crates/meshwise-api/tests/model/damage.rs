//! The properties of each format, on fixtures that were cut, doubled and overwritten.

use std::{fs, path::Path};

use meshwise_api::{Declaration, Draft, Finding};
use proptest::prelude::*;

use crate::{
    fixture::{folder, today},
    properties::{FORMATS, check},
};

/// Gathers what a format's files look like.
fn seeds(format: &str) -> Vec<Vec<u8>> {
    let files = |name: &str| {
        let cases = Finding::ALL
            .iter()
            .flat_map(|finding| ["pass", "fail"].map(|case| folder(finding.id(), case)));
        cases.filter_map(|folder| fs::read(Path::new(&folder).join(name)).ok()).collect::<Vec<_>>()
    };
    match format {
        "declaration" => files("api.toml"),
        "lock" => files("api.lock"),
        "document" => files("api.toml")
            .iter()
            .filter_map(|bytes| Declaration::from_bytes("api.toml", bytes).ok())
            .map(|declaration| {
                Draft::new(declaration, today().into(), "ci").seal(None).expect("sealed")
            })
            .map(|document| document.to_json().as_bytes().to_vec())
            .collect(),
        _ => [
            "1.2\n1.10",
            "v1_20171001-2\nv1_20171001-10",
            "201610\n2016.10.1",
            "2.0.0-rc.1+b\n2.0.0",
            "geo-tiles-201610",
            "auth@1.1",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
    }
}

#[test]
fn whole_and_cut_files_keep_the_properties() {
    for format in FORMATS {
        let seeds = seeds(format);
        assert!(seeds.len() > 5, "{format}");
        for seed in seeds {
            check(format, &seed);
            for end in (0..seed.len()).step_by(23) {
                check(format, &seed[..end]);
                check(format, &seed[end..]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_files_keep_the_properties(
        format in prop::sample::select(&FORMATS[..]),
        seed in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        (start, end) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        slipped_in in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let seeds = seeds(format);
        let (seed, other) = (seed.get(&seeds), other.get(&seeds));
        let (start, end) = (start.index(seed.len()), end.index(other.len()));
        let bytes = [&seed[..start], &slipped_in[..], &other[end..]].concat();
        check(format, &bytes);
    }
}
