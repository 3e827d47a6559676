use super::*;

const STABLE: &str = r#"
/**
 * The matched route template.
 *
 * @example /users/:id
 */
declare const ATTR_HTTP_ROUTE: "http.route";
declare const METRIC_HTTP_SERVER_REQUEST_DURATION: "http.server.request.duration";
declare const HTTP_ROUTE_VALUE_X: "not.a.name";
"#;
const EXPERIMENTAL: &str = r#"
/**
 * @experimental This attribute is experimental.
 */
declare const ATTR_HTTP_ROUTE: "http.route";
/**
 * @experimental This attribute is experimental.
 */
declare const ATTR_URL_TEMPLATE: "url.template";
/**
 * @experimental This attribute is experimental.
 *
 * @deprecated Use `server.service.name`.
 */
declare const ATTR_SERVICE_PEER_NAME: "service.peer.name";
declare const METRIC_HTTP_SERVER_ACTIVE_REQUESTS: "http.server.active_requests";
declare const ATTR_STATE: "state";
"#;
const LIST: &str = r#"
[experimental]
"url.template" = "names calls whose paths vary"
[others]
"worker" = "label of our own"
[ecs]
"error.message" = "as Elastic has it"
"#;
const GOOD: &[&str] = &[
    r#"pub const A: &str = "http.route";"#,
    r#"pub(crate) const B: &str =
        "url_template";"#,
    r#"pub(super) const C: &str = "worker";"#,
    r#"const D: &str = "meshwise_calls_total";
       // const X: &str = "no name";"#,
    r#"const E: &str = "OTEL_SERVICE_NAME";"#,
    r#"const F: &str = "http_server_request_duration_seconds";"#,
    r#"const ECS_G: &str = "error.message";"#,
];

fn judged(constants: &[&str], code: &str, list: &str) -> Result<String, String> {
    let mut tables = Tables::default();
    tables.add(EXPERIMENTAL, &Status::Experimental);
    tables.add(STABLE, &Status::Stable);
    let text = constants.join("\n");
    let constants = source::constants("crates/a/src/names.rs", &text);
    let literals = source::literals("crates/a/src/b.rs", code);
    let list = List::parse(list).map_err(|error| format!("{error:#}"))?;
    judge(&constants, &literals, &tables, &list).map_err(|error| error.to_string())
}

/// Judges one constant more than the good ones.
fn with(constant: &str) -> Result<String, String> {
    judged(&[GOOD, &[constant]].concat(), "", LIST)
}

#[test]
fn what_is_right_is_counted() {
    let said = judged(GOOD, "let x = \"plain text\";", LIST).unwrap();
    assert_eq!(said, "2 stable names, 1 experimental, 0 deprecated, 4 others");
}

#[test]
fn what_is_deprecated_unlisted_or_unknown_is_refused() {
    for (constant, why) in [
        (r#"const X: &str = "service.peer.name";"#, "X = \"service.peer.name\" is deprecated"),
        (
            r#"const X: &str = "service_peer_name";"#,
            "(service.peer.name: Use `server.service.name`.)",
        ),
        (
            r#"const X: &str = "http_server_active_requests";"#,
            "[experimental] why `http.server.active_requests`",
        ),
        (r#"const X: &str = "http.rout";"#, "say under [others]"),
        (r#"const X: &str = "http_server_request_duration_minutes";"#, "say under [others]"),
        // A single word is no convention's, but it has to be listed.
        (r#"const X: &str = "state";"#, "say under [others]"),
        (r#"const ECS_X: &str = "http.route";"#, "is not in [ecs]"),
        (r#"const GCP_X: &str = "http.route";"#, "is not in [gcp]"),
    ] {
        let error = with(constant).unwrap_err();
        assert!(error.contains(why), "{constant}: {error}");
        assert_eq!(error.lines().count(), 2, "{error}");
    }
}

#[test]
fn a_row_that_nothing_uses_is_refused() {
    for row in [r#""x.y" = "a reason why""#, r#""http.route" = "stable needs none""#] {
        for section in ["experimental", "others", "elsewhere", "ecs", "gcp"] {
            let list = match LIST.contains(&format!("[{section}]")) {
                true => LIST.replace(&format!("[{section}]"), &format!("[{section}]\n{row}")),
                false => format!("{LIST}\n[{section}]\n{row}"),
            };
            let error = judged(GOOD, "", &list).unwrap_err();
            assert!(error.contains("which nothing uses"), "{error}");
        }
    }
    for bad in ["[experimental]\n\"url.template\" = \"\"", "[strange]", "what"] {
        judged(GOOD, "", bad).unwrap_err();
    }
}

#[test]
fn names_stand_in_names_rs() {
    for code in [
        "span.set(\"http.route\", x);",
        "info!(\n    http.route = route,\n    \"x\"\n);",
        "info!(\n    \"http.route\" = route,\n    \"x\"\n);",
        "    #[cfg(test)]\n    fn of_test() {}\n    let x = \"url.template\";",
    ] {
        let error = judged(GOOD, code, LIST).unwrap_err();
        assert!(error.contains("belongs into the crate's names.rs"), "{code}: {error}");
        let list = format!("{LIST}[elsewhere]\n\"crates/a/src/\" = \"for this test only\"");
        judged(GOOD, code, &list).unwrap();
    }
    for code in [
        "/// The route, `http.route`, \"http.route\".",
        "let file = \"memory.stat\";",
        "#[cfg(test)]\nmod tests {\n    let x = \"http.route\";\n}",
    ] {
        judged(GOOD, code, LIST).unwrap();
    }
}
