//! `cargo meshwise validate`.

use clap::Args;

use super::Context;
use crate::{
    exit::{Exit, Failure},
    judge,
    select::Select,
};

/// The options of `validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateOptions {
    /// Which services
    #[command(flatten)]
    pub select: Select,
}

/// Reads the declaration and says whether it is valid by itself.
///
/// # Errors
/// `Usage` when it is not.
pub(crate) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let declaration = context.declaration()?;
    let found = judge::declaration(&declaration, context.today()?, None, None, None);
    judge::enforce(found, Exit::Usage, &mut context.out)?;
    let file = context.global.declaration.display().to_string();
    let (service, provides, requires) =
        (&declaration.service.name, declaration.provides.len(), declaration.requires.len());
    context.out.either(
        &serde_json::json!({
            "file": file,
            "valid": true,
            "service": service,
            "provides": provides,
            "requires": requires,
        }),
        |out| {
            out.line(format_args!(
                "{file} is valid: {service} provides {provides} and requires {requires} APIs"
            ))
        },
    )?;
    Ok(Exit::Ok)
}
