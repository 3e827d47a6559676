//! The guide's tables of settings: each variable that they name is known, and what they print works.

use super::run;
use std::path::Path;

/// Returns the code of each cell of each row of the guide's tables.
fn rows() -> Vec<Vec<Vec<String>>> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    let rows = guide.lines().filter(|line| line.starts_with('|'));
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    rows.map(|row| row.trim_matches('|').split('|').map(code).collect()).collect()
}

/// Splits `NAME=value`, or a bare name, of a variable; a name with a place in it gets one.
fn variable(code: &str) -> Option<(String, Option<String>)> {
    let (name, value) = match code.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (code, None),
    };
    let name = name.replace("{PEER}", "AUTH");
    let ours = ["MESHWISE_", "OTEL_", "RUST_LOG"].iter().any(|start| name.starts_with(start));
    (ours && !name.ends_with('*')).then_some((name, value))
}

/// Tells whether a service knows a variable, by what it says of nonsense in it.
fn is_known(name: &str) -> bool {
    let ran = run(&[(name, "\u{1}nonsense"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1")]);
    let said = format!("{}{}", ran.out, ran.err);
    !said.contains(&format!("{name} is not known"))
        && !said.contains("environment variables are set and not used")
}

#[test]
fn each_variable_in_the_guide_s_tables_is_known() {
    for misspelt in ["MESHWISE_LOG_FILE_ROTAET", "OTEL_TRACES_EXPORTR"] {
        assert!(!is_known(misspelt), "{misspelt}");
    }
    let code = rows().into_iter().flatten().flatten();
    let mut names: Vec<String> = code.filter_map(|code| Some(variable(&code)?.0)).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 15, "{names:?}");
    for name in ["MESHWISE_LOG_FILE_ROTATE", "MESHWISE_LOG_BULK_API_KEY", "MESHWISE_DRAIN_FLUSH"] {
        assert!(names.iter().any(|named| named == name), "{name}: {names:?}");
    }
    for name in names {
        assert!(is_known(&name), "{name}");
    }
}

/// An output with all that its row has, on its own.
#[test]
fn the_outputs_of_the_guide_s_table_start_as_they_are_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lines.log");
    let file = file.to_str().expect("a path");
    let mut tried = 0;
    for row in rows().iter().filter(|row| row.len() == 2) {
        let outputs = ["stdout", "stderr", "file", "fluent", "bulk"];
        for output in row[0].iter().filter(|output| outputs.contains(&output.as_str())) {
            let mut variables: Vec<(String, String)> = Vec::new();
            for (name, value) in row[1].iter().filter_map(|code| variable(code)) {
                let value = value.unwrap_or_else(|| match name.as_str() {
                    "MESHWISE_LOG_FILE_PATH" => file.to_owned(),
                    _ => "s3cret".to_owned(),
                });
                // Their hosts are not here.
                let value = value.replace("logs:24224", "127.0.0.1:1");
                variables.push((name, value.replace("search:9200", "127.0.0.1:1")));
            }
            variables.push(("MESHWISE_LOG_OUTPUTS".to_owned(), format!("{output},stdout")));
            if output == "stdout" {
                variables.pop();
            }
            let given: Vec<(&str, &str)> =
                variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let ran = run(&given);
            assert!(ran.success && ran.warnings().is_empty(), "{given:?}: {ran:#?}");
            assert!(ran.out.contains("at info"), "{given:?}: {ran:#?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 5);
    let lines = std::fs::read_to_string(file).expect("the file of the output `file`");
    assert!(lines.contains("at info"), "{lines}");
}

/// Values that stand beside a variable: of exporters, of addresses, of durations.
#[test]
fn values_in_the_guide_s_tables_are_taken() {
    let mut tried = Vec::new();
    for row in rows() {
        let Some((name, None)) = row[0].first().and_then(|code| variable(code)) else { continue };
        let said = row.iter().take(2).flatten().filter(|code| {
            code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
        for value in said {
            let variables = [
                (name.as_str(), value.as_str()),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
                ("OTEL_BSP_EXPORT_TIMEOUT", "1"),
                ("OTEL_BLRP_EXPORT_TIMEOUT", "1"),
            ];
            let ran = run(&variables);
            let warnings = ran.warnings();
            assert!(ran.success && warnings.is_empty(), "{name}={value}: {ran:#?}");
            tried.push(format!("{name}={value}"));
        }
    }
    for setting in [
        "OTEL_TRACES_EXPORTER=console",
        "OTEL_METRICS_EXPORTER=prometheus",
        "OTEL_LOGS_EXPORTER=otlp",
        "MESHWISE_OPS_ADDR=same-port",
        "MESHWISE_DRAIN_DELAY=5s",
    ] {
        assert!(tried.iter().any(|tried| tried == setting), "{setting}: {tried:?}");
    }
}
