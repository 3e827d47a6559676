//! Checks what each service declares of its APIs against the example's dictionary: files only, no
//! network. A service of your own says `meshwise_build::check()?` and no more.

use meshwise_build::Check;
use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let apis = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("apis");
    let out = env::var("OUT_DIR")?;
    for service in ["gateway", "orders", "auth", "stock", "mailer"] {
        let out = Path::new(&out).join(service);
        fs::create_dir_all(&out)?;
        Check::new(apis.join(service), out).with_dictionary("../dictionary").run()?;
    }
    Ok(())
}
