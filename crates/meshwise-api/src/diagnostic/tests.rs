use super::*;

fn at(text: &str, words: &str) -> Diagnostic {
    let start = text.find(words).expect("in the text");
    let location = Source::new("api.toml", text).location(start..start + words.len());
    Diagnostic::new(Finding::DEPRECATED_VERSION, "auth 1.1 is deprecated")
        .with_location(Some(location))
}

#[test]
fn reads_like_the_compiler() {
    let text = "schema = 1\n\n[[requires]]\napi = \"auth\"\nversion = \"1.1\"\n";
    let diagnostic = at(text, "\"1.1\"")
        .with_level(Level::Warn)
        .with_label("deprecated since 2026-09-01")
        .with_note("its sunset is 2027-03-01")
        .with_help("require its successor:\nversion = \"2.0\"");
    insta::assert_snapshot!(diagnostic);
    let colored = diagnostic.colored().to_string();
    assert!(colored.contains("\x1b[1;33mwarning[deprecated-version]\x1b[0m"));
}

#[test]
fn json_is_flat() {
    let diagnostic =
        at("version = \"1.1\"", "\"1.1\"").with_help("go on").with_subject("auth", "1.1");
    let json = serde_json::to_string(&diagnostic).expect("json");
    assert_eq!(
        json,
        r#"{"finding":"deprecated-version","level":"warn","message":"auth 1.1 is deprecated","api":"auth","version":"1.1","file":"api.toml","line":1,"column":11,"end_column":16,"help":"go on"}"#
    );
}

#[test]
fn carets_stand_below_the_words() {
    for (text, words, caret_line) in [
        ("a = \"1\"", "\"1\"", "  |     ^^^"),
        ("\ta = \"1\"", "\"1\"", "  | \t    ^^^"),
        ("ä = \"ü\"\r\nb = 1", "\"ü\"", "  |     ^^^"),
        ("a = \"\"\"1\n2\"\"\"", "\"\"\"1\n2\"\"\"", "  |     ^^^^"),
    ] {
        let rendered = at(text, words).to_string();
        assert_eq!(rendered.lines().last(), Some(caret_line), "{rendered}");
    }
}

#[test]
fn a_place_past_the_end_is_the_end() {
    let source = Source::new("api.toml", "a = 1\nb =");
    let location = source.location(usize::MAX - 1..usize::MAX);
    assert_eq!((location.line, location.column), (2, 4));
    let location = Source::new("api.toml", "").location(0..0);
    assert_eq!((location.line, location.column, location.end_column), (1, 1, 2));
    // Within a character: its start.
    assert_eq!(Source::new("api.toml", "ü").location(1..2).column, 1);
}

#[test]
fn long_lines_are_cut_around_the_caret() {
    let text = format!("a = \"{}\" # here\n", "x".repeat(1_000_000));
    let rendered = at(&text, "here").to_string();
    assert!(rendered.len() < 1_000, "{}", rendered.len());
    let caret = rendered.lines().last().expect("a caret").find('^').expect("a caret");
    let line = rendered.lines().nth(3).expect("the line");
    let words: String = line.chars().skip(caret).collect();
    assert!(words.starts_with("here"), "{rendered}");
}

#[test]
fn a_file_cannot_command_the_terminal() {
    let rendered =
        at("a = \"\u{1b}[2J\u{202e}evil\u{7}\"", "evil").with_label("\u{1b}]0;x").to_string();
    assert!(!rendered.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{rendered:?}");
}
