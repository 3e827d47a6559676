//! Makes functions of the guide's Rust blocks, so that `tests/documents.rs` compiles and runs them.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let guide = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../docs/guide.md");
    println!("cargo::rerun-if-changed={}", guide.display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("guide.rs"), functions(&fs::read_to_string(guide)?)?)?;
    // What the build script of the guide's service would find out.
    let declared = "meshwise_api::Declared { ..meshwise_api::Declared::new(\"orders\") }";
    fs::write(Path::new(&out).join("meshwise_api.rs"), declared)?;
    Ok(())
}

/// Makes a function of each Rust block; its name tells the heading it stands under, and which of that
/// heading's blocks it is.
fn functions(guide: &str) -> Result<String, Box<dyn Error>> {
    let (mut code, mut heading, mut nth) = (String::new(), String::new(), 0);
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.trim_start_matches('#').strip_prefix(' ')
            && line.starts_with('#')
        {
            let word =
                |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
            heading = text.chars().map(word).collect();
            nth = 0;
        }
        let Some(kind) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if !kind.starts_with("rust") {
            continue;
        }
        nth += 1;
        let name = format!("{heading}_{nth}");
        if kind != "rust" {
            return Err(format!("{name}: a block that is not compiled: {kind}").into());
        }
        let block = block.join("\n");
        // What a paragraph after the block adds to it.
        if let Some((before, after)) = block.split_once(".with_services([\"auth.v1.Auth\"])") {
            let block = format!("{before}.with_reflection(DESCRIPTORS){after}");
            function(&mut code, "with_reflection", &block)?;
        }
        if block.contains("fn main") {
            writeln!(code, "pub(crate) mod {name} {{\n{block}\n}}")?;
            continue;
        }
        function(&mut code, &name, &block)?;
    }
    Ok(code)
}

fn function(code: &mut String, name: &str, block: &str) -> std::fmt::Result {
    writeln!(
        code,
        "pub(crate) async fn {name}(given: Given) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {{
            let Given {{ mesh, listener, incoming, routes, http_routes, grpc, auth, pool }} = given;
            {block}
            Ok(())
        }}"
    )
}
