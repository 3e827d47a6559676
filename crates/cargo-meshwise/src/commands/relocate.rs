//! `cargo meshwise rename`, `hand-over` and `retire`: what becomes of a service and its APIs, as
//! documents like all others, judged by the same rules.

use clap::Args;
use meshwise_api::Declaration;
use serde_json::json;

use super::{
    Context,
    publish::{self, PublishStep, declared},
};
use crate::{
    dictionary,
    edit::ApiToml,
    exit::{Exit, Failure},
    store::{Key, Need, OpenOptions, StoreError},
};

/// The options of `rename`.
#[derive(Debug, Args)]
pub(crate) struct RenameOptions {
    /// The new name
    #[arg(value_name = "NAME")]
    pub to: String,
    /// How it is published
    #[command(flatten)]
    pub how: How,
}

/// The options of `hand-over`.
#[derive(Debug, Args)]
pub(crate) struct HandOverOptions {
    /// The API
    #[arg(value_name = "API")]
    pub api: String,
    /// The service that is to provide it
    #[arg(long, value_name = "SERVICE")]
    pub to: String,
    /// How it is published
    #[command(flatten)]
    pub how: How,
}

/// The options of `retire`.
#[derive(Debug, Args)]
pub(crate) struct RetireOptions {
    /// A service whose repository is gone; default: the one of api.toml, which is changed
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// How it is published
    #[command(flatten)]
    pub how: How,
}

/// How what follows is published.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Commit and push it, as for `publish`
    #[arg(long)]
    pub git: bool,
    /// Who publishes
    #[arg(long = "by", value_name = "NAME", env = "MESHWISE_PUBLISHED_BY")]
    pub published_by: Option<String>,
}

impl How {
    fn options(&self) -> publish::PublishOptions {
        publish::PublishOptions {
            git: self.git,
            published_by: self.published_by.clone(),
            ..publish::PublishOptions::default()
        }
    }
}

/// Gives a service another name, in steps that can each be taken again: the old one shares its APIs
/// with the new one, the new one publishes, the old one ends.
///
/// # Errors
/// As `publish`; `Usage` when the new name cannot be one, or is another service's.
pub(crate) fn rename(options: &RenameOptions, context: &mut Context) -> Result<Exit, Failure> {
    let declaration = context.declaration()?;
    let (old, new) = (declaration.service.name.clone(), options.to.as_str());
    if !Key::is_service_name(new) || old == new {
        let message = format!("{new:?} cannot be the new name of {old}");
        return Err(Failure::message(Exit::Usage, message));
    }
    let opened = context.open_heads(&OpenOptions::default(), &Need::of(&declaration))?.judged()?;
    let head =
        |service: &str| dictionary::head(&opened.store, service).map_err(StoreError::into_failure);
    let Some(before) = head(&old)? else {
        let message = format!("{old} was never published: write the new name into api.toml");
        return Err(Failure::message(Exit::Usage, message));
    };
    let mut old_file = ApiToml::open(context)?;
    old_file.share(None, new);
    let mut new_file = ApiToml::open(context)?;
    new_file.set_service("name", new);
    new_file.note_since(|api, version| {
        let scheme = opened.dictionary.providers(api).next().map(|(_, provides)| provides.scheme);
        before.used_since(api, version, scheme)
    });
    let renamed = new_file.declaration()?;
    // A service of that name is this one, half way, or another.
    if let Some(there) = head(new)?
        && *there.declaration() != renamed
    {
        let message = format!("{new} is a service already: choose another name");
        return Err(Failure::message(Exit::Usage, message));
    }
    let how = options.how.options();
    let mut steps = Vec::new();
    if !declaration.provides.is_empty() && !before.declaration().service.retired {
        steps.push(declared(&how, context, &old_file.declaration()?)?);
    }
    steps.push(declared(&how, context, &renamed)?);
    steps.push(declared(&how, context, &ended(&declaration))?);
    new_file.save()?;
    let next = format!(
        "next: call it {new} in code (`meshwise::builder(\"{new}\", ..)`), and record its deployments \
         under that name"
    );
    answer(context, &steps, &next)
}

/// Lets another service provide an API.
///
/// # Errors
/// As `publish`; `Usage` when the API is not this service's.
pub(crate) fn hand_over(options: &HandOverOptions, context: &mut Context) -> Result<Exit, Failure> {
    let (api, to) = (options.api.as_str(), options.to.as_str());
    let declaration = context.declaration()?;
    let service = &declaration.service.name;
    if declaration.provided(api).is_none() {
        let message = format!("{service} does not provide {api}");
        return Err(Failure::message(Exit::Usage, message));
    }
    if !Key::is_service_name(to) || to == service {
        let message = format!("{to:?} cannot take {api} over from {service}");
        return Err(Failure::message(Exit::Usage, message));
    }
    let mut file = ApiToml::open(context)?;
    file.share(Some(api), to);
    let step = declared(&options.how.options(), context, &file.declaration()?)?;
    file.save()?;
    let next = format!(
        "next: declare {api} with all its versions in api.toml of {to} and publish that; then take it \
         out of this one and publish again"
    );
    answer(context, &[step], &next)
}

/// Ends a service.
///
/// # Errors
/// As `publish`: what can be called may not just vanish. `Usage` when there is no such service.
pub(crate) fn retire(options: &RetireOptions, context: &mut Context) -> Result<Exit, Failure> {
    let how = options.how.options();
    let Some(service) = &options.service else {
        let mut file = ApiToml::open(context)?;
        file.empty();
        file.set_service("retired", true);
        let step = declared(&how, context, &file.declaration()?)?;
        file.save()?;
        return answer(context, &[step], "");
    };
    let store = context.store(&OpenOptions::default())?.store;
    let head = dictionary::head(&store, service).map_err(StoreError::into_failure)?;
    let Some(head) = head else {
        let message = format!("the dictionary has no service {service}");
        return Err(Failure::message(Exit::Usage, message));
    };
    let step = declared(&how, context, &ended(head.declaration()))?;
    answer(context, &[step], "")
}

/// What a service says last.
fn ended(declaration: &Declaration) -> Declaration {
    let mut ended = Declaration::new(declaration.service.name.clone());
    ended.service.owner.clone_from(&declaration.service.owner);
    ended.service.contacts.clone_from(&declaration.service.contacts);
    ended.service.retired = true;
    ended
}

fn answer(context: &mut Context, steps: &[PublishStep], next: &str) -> Result<Exit, Failure> {
    let values: Vec<_> = steps.iter().map(|step| &step.value).collect();
    context.out.either(&json!({ "steps": values, "next": next }), |out| {
        steps.iter().flat_map(|step| &step.lines).try_for_each(|line| out.line(line))?;
        if next.is_empty() { Ok(()) } else { out.line(next) }
    })?;
    Ok(Exit::Ok)
}
