//! Every crate that is published has a front door: a README whose code is compiled, and metadata that
//! leads to it.

use cargo_metadata::MetadataCommand;
use std::fs;

#[test]
fn every_crate_has_a_readme_that_is_compiled_and_metadata() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata =
        MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata");
    let mut found = 0;
    for package in metadata.workspace_packages() {
        let name = &package.name;
        if package.publish.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        found += 1;
        let docs = format!("https://docs.rs/{name}");
        assert_eq!(package.documentation.as_deref(), Some(&*docs), "{name}");
        assert!(package.repository.is_some(), "{name} has no repository");
        assert!(package.description.is_some(), "{name} has no description");
        let all = &package.metadata["docs"]["rs"]["all-features"];
        assert_eq!(all, true, "{name}: docs.rs must show all features");
        let folder = package.manifest_path.parent().expect("a folder");
        let readme = fs::read_to_string(folder.join("README.md")).expect("a README");
        assert!(readme.starts_with(&format!("# {name}\n")), "{name}: the README's title");
        let relative = readme.split("](").skip(1).find(|to| !to.starts_with("https://"));
        let relative = relative.map(|to| to.split(')').next());
        assert_eq!(relative, None, "{name}: crates.io and docs.rs know only whole addresses");
        for feature in package.features.keys() {
            let internal = feature == "default" || feature.starts_with('_');
            // The front door's features are listed in its library's documentation.
            assert!(
                internal || **name == *"meshwise" || readme.contains(&format!("`{feature}`")),
                "{name}: the README does not tell of the feature `{feature}`"
            );
        }
        let library = fs::read_to_string(folder.join("src/lib.rs")).expect("a library");
        assert!(library.contains("feature(doc_cfg)"), "{name}: items do not show their features");
        let compiled = library.contains("include_str!(\"../README.md\")");
        assert!(compiled || !readme.contains("```rust"), "{name}: the README is not compiled");
    }
    assert!(found >= 15, "{found} crates are few");
}
