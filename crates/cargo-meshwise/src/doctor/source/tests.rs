use super::{Part, Source};

fn source(text: &str) -> Source {
    Source::new("src/main.rs", text)
}

#[test]
fn comments_strings_and_tests_hold_no_calls() {
    let text = r####"
//! tracing_subscriber::fmt::init();
/* env_logger::init(); /* nested */ env_logger::init(); */
fn main() {
    let _ = "env_logger::init();";
    let _ = r#"env_logger::init(); "quoted" "#;
    let _ = b"env_logger::init()";
    let _quote = '"';
    let _escaped = '\'';
    let _lifetime: &'static str = "x";
    // env_logger::init();
}
#[cfg(test)]
mod tests {
    fn f() { env_logger::init(); }
}
#[tokio::test]
async fn t() { env_logger::init(); }
#[cfg(test)]
mod more;
fn last() { env_logger::init(); }
"####;
    let source = source(text);
    let found: Vec<_> = source.find("env_logger::init(").map(|at| source.place(at).line).collect();
    assert_eq!(found, [text.lines().count()], "{}", source.code());
    assert_eq!(source.find("tracing_subscriber").count(), 0);
}

#[test]
fn calls_are_found_across_lines_and_not_inside_names() {
    let source =
        source("fn f() { tracing_subscriber :: fmt\n  ::init( ); reinit(); xenv_logger::init(); }");
    assert_eq!(source.find("tracing_subscriber::fmt::init(").count(), 1);
    assert_eq!(source.find("init()").count(), 2);
    assert_eq!(source.find("env_logger::init(").count(), 0);
}

#[test]
fn a_statement_reaches_back_over_closures_and_brackets() {
    let text = "fn f() { g(); tracing_subscriber::registry()\n.with(h(|x| { x; }))\n.init(); }";
    let source = source(text);
    let at = source.find(".init()").next().expect("found");
    let statement = source.statement(at);
    assert!(statement.trim_start().starts_with("tracing_subscriber::registry()"), "{statement}");
    assert!(!statement.contains("g()"));
    assert_eq!(source.place(at).line, 3);
}

#[test]
fn literals_are_listed() {
    let source = source("fn f() { a(\"one two\"); // \"no\"\n b(r\"three\", 'c'); }");
    let found: Vec<_> = source.strings().collect();
    assert_eq!(found, ["\"one two\"", "r\"three\"", "'c'"]);
    assert!(source.says("two") && !source.says("no"));
}

#[test]
fn binaries_are_processes_of_their_own() {
    let main = source("");
    let lib = Source::new("src/telemetry.rs", "");
    let (one, two) = (Source::new("src/bin/one.rs", ""), Source::new("src/bin/two/main.rs", ""));
    assert_eq!(two.part(), Part::Binary("two"));
    assert!(!one.part().meets(two.part()) && !one.part().meets(main.part()));
    assert!(lib.part().meets(one.part()) && main.part().meets(lib.part()));
    assert!(one.part().meets(one.part()));
}

#[test]
fn broken_source_is_read_as_far_as_it_goes() {
    for text in
        ["\"", "'", "r#\"", "/*", "/* /*", "#[cfg(test)]", "b'\\", "é'é'", "r#", "}}}", "'\\"]
    {
        let source = source(text);
        for at in 0..text.len() {
            let _ = source.statement(at);
            let _ = source.place(at);
        }
        assert!(source.strings().count() <= 2);
    }
}

#[test]
fn any_order_of_tokens_is_read_without_losing_positions() {
    let words = r##"" ' \ /* */ // r#" "# r" br#" é 日 🦀 { } ( ) [ ] ; #[cfg(test)] #[test] fn a _
        'a b'x' .init() tracing_subscriber::fmt with_endpoint("##;
    let tokens: Vec<&str> = words.split_whitespace().chain([" ", "\n"]).collect();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..3_000 {
        let text: String =
            (0..random.usize(0..40)).map(|_| *random.choice(&tokens).expect("one")).collect();
        let source = source(&text);
        assert_eq!(source.code().len(), text.len(), "{text:?}");
        for needle in [".init()", "with_endpoint(", "tracing_subscriber::fmt"] {
            for at in source.find(needle) {
                let _ = (source.statement(at), source.literal_after(at));
                // What is found is there: nothing moved.
                assert!(text.get(at..).is_some_and(|rest| rest.starts_with(&needle[..2])));
                assert!(source.place(at).line <= text.lines().count().max(1));
            }
        }
        assert!(source.strings().count() <= text.len());
    }
}
