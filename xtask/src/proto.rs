//! Generated code is checked in, so that no one needs a protobuf compiler to build the workspace.

use anyhow::{Context as _, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file that services are declared in, and the folder that its code goes to.
struct Proto {
    file: &'static str,
    to: &'static str,
    /// Whether the descriptors are kept too, for reflection.
    descriptors: bool,
}

const PROTOS: [Proto; 2] = [
    Proto {
        file: "examples/shop/proto/auth.proto",
        to: "examples/shop/src/proto",
        descriptors: true,
    },
    Proto { file: "tests/proto/echo.proto", to: "tests/src/echo", descriptors: true },
];

/// Writes the code, or, if `check` is set, only tells whether what is there is fresh.
pub(crate) fn generate(check: bool) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for proto in &PROTOS {
        let fresh = compile(&root, proto)?;
        let to = root.join(proto.to);
        for (name, content) in &fresh {
            let file = to.join(name);
            if check {
                let there = fs::read(&file).with_context(|| format!("{}", file.display()))?;
                ensure!(
                    there == *content,
                    "{} is stale; run `cargo xtask proto` and check it in",
                    file.display()
                );
            } else {
                fs::create_dir_all(&to)?;
                fs::write(&file, content).with_context(|| format!("{}", file.display()))?;
            }
        }
    }
    Ok(())
}

/// Returns the generated files, by name.
fn compile(root: &Path, proto: &Proto) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let file = root.join(proto.file);
    let folder = file.parent().context("a proto lies in a folder")?;
    let compiler = protox::Compiler::new([folder])?
        .include_source_info(true)
        .include_imports(true)
        .open_file(&file)?
        .file_descriptor_set();
    let out = tempfile::tempdir()?;
    tonic_prost_build::configure().out_dir(out.path()).compile_fds(compiler.clone())?;
    let mut files = Vec::new();
    for entry in fs::read_dir(out.path())? {
        let entry = entry?;
        files.push((PathBuf::from(entry.file_name()), fs::read(entry.path())?));
    }
    if proto.descriptors {
        // Without comments: tools that ask by reflection do not show them.
        let mut set = compiler;
        set.file.iter_mut().for_each(|file| file.source_code_info = None);
        let name = Path::new(proto.file).with_extension("bin");
        let name = name.file_name().context("a proto has a name")?;
        files.push((PathBuf::from(name), prost::Message::encode_to_vec(&set)));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_code_is_fresh() {
        super::generate(true).unwrap();
    }
}
