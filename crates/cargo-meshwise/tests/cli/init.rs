//! `init` and `validate`.

use insta::assert_snapshot;

use crate::support::place::Place;

#[test]
fn init_writes_a_declaration_that_is_valid() {
    let place = Place::new();
    place.write("Cargo.toml", "[package]\nname = \"orders\"\nversion = \"0.1.0\"\n");
    assert_snapshot!(place.expect(0, &["init", "--owner", "team-checkout"]));
    assert_snapshot!(place.expect(0, &["validate"]));
    let text = place.read("api.toml");
    assert!(text.contains("name = \"orders\""), "{text}");

    // What stands in the comments is an example: it must be valid too, once uncommented.
    let example: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.contains(" = ") || rest.trim_start().starts_with('[') => {
                format!("{}\n", rest.trim_start().trim_start_matches("# "))
            }
            Some(_) => "\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    assert!(example.contains("\n[[provides.versions]]\n"), "{example}");
    place.write("api.toml", &example);
    place.expect(0, &["validate"]);
}

#[test]
fn init_never_writes_over_a_file() {
    let place = Place::new();
    place.write("api.toml", "mine");
    assert_snapshot!(place.expect(2, &["init", "--name", "orders"]));
    assert_eq!(place.read("api.toml"), "mine");
}

#[test]
fn init_refuses_what_is_no_name() {
    let place = Place::new();
    for name in ["", "a b", "orders\"\nx = \"", "../orders"] {
        place.expect(2, &["init", "--name", name]);
    }
    place.expect(2, &["init", "--name", "orders", "--owner", "a\"b"]);
    assert!(!place.path().join("api.toml").exists());
}

#[test]
fn init_takes_the_folder_s_name_where_there_is_no_package() {
    let place = Place::new();
    place.write("billing/Cargo.toml", "[workspace]\n");
    place.expect(0, &["init", "--declaration", "billing/api.toml"]);
    assert!(place.read("billing/api.toml").contains("name = \"billing\""));
}

#[test]
fn an_invalid_declaration_names_all_its_errors() {
    let place = Place::new();
    place.write(
        "api.toml",
        "schema = 1\n[service]\nnmae = \"orders\"\n\n[[requires]]\napi = \"auth\"\n",
    );
    assert_snapshot!(place.expect(2, &["validate"]));
    assert_snapshot!(place.expect(2, &["validate", "--format", "json"]));
}

#[test]
fn a_missing_declaration_says_how_to_write_one() {
    let place = Place::new();
    assert_snapshot!(place.expect(2, &["validate"]));
}

#[test]
fn a_command_line_that_makes_no_sense_is_usage() {
    let place = Place::new();
    place.expect(2, &["no-such-command"]);
    place.expect(2, &["validate", "--format", "dot"]);
    place.expect(2, &["validate", "--format", "yaml"]);
    for args in [&["validate", "--format", "json", "--no-such"][..], &["--format=json", "nope"]] {
        let json = place.expect(2, args).json();
        assert_eq!(json["error"]["kind"], "usage", "{json}");
    }
    place.expect(0, &["--help"]);
    place.expect(0, &["--version"]);
}
