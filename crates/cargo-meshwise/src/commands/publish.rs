//! `cargo meshwise publish`.

use clap::Args;
use meshwise_api::{Date, Declaration, Diagnostic, Dictionary, Document, Draft, Level};
use serde_json::{Value, json};

use super::{Context, note_uncommitted};
use crate::{
    contract,
    dictionary::{self, Loaded},
    exit::{Exit, Failure},
    impact::impact,
    judge,
    publish::{OnRace, PublishError, Published as How, Retries, publish},
    reindex,
    select::Select,
    store::{
        Need, OpenOptions, Store, StoreError,
        checkout::{Checkout, Pushed},
        git,
    },
};

/// The options of `publish`.
#[derive(Debug, Default, Args)]
pub(crate) struct PublishOptions {
    /// Say what would be published, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Move a published sunset to an earlier day; callers lose time that was promised to them
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// Why, for those who lose it
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub reason: Option<String>,
    /// Publish on top of what another run published for this service at the same time
    ///
    /// Without it that is a conflict (exit code 4).
    #[arg(long)]
    pub last_wins: bool,
    /// Commit what is written to the dictionary's git checkout and push it: pulls first, and again if
    /// others were faster
    #[arg(long)]
    pub git: bool,
    /// Which services
    #[command(flatten)]
    pub select: Select,
    /// Compare descriptions with another tool: "oasdiff breaking {old} {new}"
    ///
    /// Default: `contract-command` of the API, else meshwise's own comparison.
    #[arg(long, value_name = "COMMAND", env = "MESHWISE_CONTRACT_COMMAND")]
    pub contract_command: Option<String>,
    /// The commit that is published; default: the one that is checked out
    #[arg(long, value_name = "ID")]
    pub commit: Option<String>,
    /// The service's own version, such as 1.4.2: deployments name by it what they deploy
    #[arg(long, value_name = "VERSION")]
    pub release: Option<String>,
    /// Who publishes
    #[arg(long = "by", value_name = "NAME", env = "MESHWISE_PUBLISHED_BY")]
    pub published_by: Option<String>,
}

/// Publishes the declaration, unless the newest document says the same.
///
/// # Errors
/// `Usage` for a declaration that is not valid, `Violation` for one that breaks what was published,
/// `Conflict` when this service was published differently at the same time, `Undetermined` when the
/// dictionary is out of reach or this service's part of it is damaged.
pub(crate) fn run(options: &PublishOptions, context: &mut Context) -> Result<Exit, Failure> {
    let declaration = context.declaration()?;
    let report = declared(options, context, &declaration)?;
    context
        .out
        .either(&report.value, |out| report.lines.iter().try_for_each(|line| out.line(line)))?;
    Ok(Exit::Ok)
}

/// What a publication came to, for machines and for people.
#[derive(Debug)]
pub(crate) struct PublishStep {
    pub value: Value,
    pub lines: Vec<String>,
}

/// Publishes a declaration, wherever it comes from.
///
/// # Errors
/// As [`run`].
pub(crate) fn declared(
    options: &PublishOptions,
    context: &mut Context,
    declaration: &Declaration,
) -> Result<PublishStep, Failure> {
    let store = context.store(&OpenOptions::default())?.store;
    if !options.git || options.dry_run {
        return once(options, context, declaration, &store).map(|(_, published)| published);
    }
    let checkout = Checkout::of(&store)?;
    loop {
        checkout.pull()?;
        let (document, published) = once(options, context, declaration, &store)?;
        let message = format!("Publish {} {}", document.service(), document.seq());
        match checkout.push(&message)? {
            Pushed::Yes | Pushed::Nothing => return Ok(published),
            Pushed::Conflict if options.last_wins => {}
            Pushed::Conflict => {
                return Err(Failure::message(
                    Exit::Conflict,
                    format!(
                        "{} was published differently at the same time; nothing of this is left in the \
                         checkout: bring both declarations together and publish again, or publish on top \
                         with --last-wins",
                        document.service()
                    ),
                ));
            }
        }
    }
}

/// Publishes once; returns the document too.
fn once(
    options: &PublishOptions,
    context: &mut Context,
    declaration: &Declaration,
    store: &Store,
) -> Result<(Document, PublishStep), Failure> {
    // The clock's, not --today: who looks for what is new is told by it.
    let now = context.clock()?;
    let alone = judge::declaration(declaration, now.date(), None, None, None);
    judge::enforce(alone, Exit::Usage, &mut context.out)?;
    let by = options.published_by.clone().unwrap_or_else(publisher);
    let mut draft = Draft::new(declaration.clone(), now, by);
    if let Some(commit) = options.commit.clone().or_else(|| git::commit(&context.folder())) {
        draft = draft.with_commit(commit);
    }
    if let Some(release) = &options.release {
        draft = draft.with_release(release);
    }
    if let Some(reason) = &options.reason {
        draft = draft.with_reason(reason);
    }
    let (described, missing) = contract::gather(&context.folder(), declaration, now.date());
    judge::enforce(missing, Exit::Usage, &mut context.out)?;
    draft = contract::into_draft(draft, &described);
    // Of the others only what provides or requires the same APIs; damage among them holds no one up.
    let before =
        dictionary::head(store, &declaration.service.name).map_err(StoreError::into_failure)?;
    let need = Need::of(declaration);
    let need = before.iter().fold(need, |need, before| need.and(before.declaration()));
    let around = dictionary::load_heads(store, &need, &context.out)
        .and_then(Loaded::judged)
        .map_err(StoreError::into_failure)?;
    let today = if options.dry_run { context.today()? } else { now.date() };
    let contracts = contract::Judge {
        store,
        declaration,
        today,
        ci: super::in_ci(),
        command: options.contract_command.as_deref(),
    };
    let judge = |parent: Option<&Document>| {
        let reason = options.reason.as_deref();
        let mut found = judge::declaration(declaration, today, parent, Some(&around), reason);
        found.extend(contracts.run(&described, parent, &around));
        found
    };
    if options.dry_run {
        return dry_run(context, store, declaration, draft, judge, &around, today);
    }
    let on_race = if options.last_wins { OnRace::LastWins } else { OnRace::Stop };
    // Before the document that names them: what it says is there must be.
    contract::store(store, &described).map_err(StoreError::into_failure)?;
    let mut found = Vec::new();
    let published = publish(store, declaration, &draft, on_race, Retries::default(), |parent| {
        found = judge(parent);
        let denied = found.iter().any(|diagnostic| diagnostic.level == Level::Deny);
        if denied { Err(()) } else { Ok(()) }
    });
    let published = match published {
        Err(PublishError::Refused(())) => {
            return Err(refusal(found, context));
        }
        Err(error) => return Err(failure(error)),
        Ok(published) => published,
    };
    context.out.diagnostics(&found);
    if let How::New(_) = &published {
        // The document is published; an index that is behind is mended by the next who writes it.
        if let Err(error) = reindex::refresh(store) {
            context.out.warning(format_args!(
                "published, but index.json is behind ({error}); run `cargo meshwise index`"
            ));
        }
    }
    let (document, new) = match &published {
        How::New(document) => (document, true),
        How::Unchanged(document) => (document, false),
    };
    let place = store.location().join(&document.path());
    let status = if new { "published" } else { "unchanged" };
    if !options.git {
        note_uncommitted(context, store);
    }
    let line = if new {
        format!("published {} as {place}", document.service())
    } else {
        format!("nothing new: {place} says the same")
    };
    let value = describe(document, status, &place, &found);
    Ok((document.clone(), PublishStep { value, lines: vec![line] }))
}

/// Tells what a publish would do now.
fn dry_run(
    context: &mut Context,
    store: &Store,
    declaration: &Declaration,
    draft: Draft,
    judge: impl Fn(Option<&Document>) -> Vec<Diagnostic>,
    around: &Dictionary,
    today: Date,
) -> Result<(Document, PublishStep), Failure> {
    let head =
        dictionary::head(store, &declaration.service.name).map_err(StoreError::into_failure)?;
    if let Some(head) = &head
        && draft.is_said_by(head)
    {
        let place = store.location().join(&head.path());
        let value = describe(head, "unchanged", &place, &[]);
        let lines = vec![format!("nothing new: {place} says the same")];
        return Ok((head.clone(), PublishStep { value, lines }));
    }
    let found = judge(head.as_ref());
    judge::enforce(found.clone(), Exit::Violation, &mut context.out)?;
    let document = draft.seal(head.as_ref())?;
    let place = store.location().join(&document.path());
    let impact = impact(around, &document, today);
    let mut value = describe(&document, "dry-run", &place, &found);
    value["impact"] = json!(impact);
    let mut lines = vec![format!("would publish {} as {place}", document.service())];
    lines.extend(impact.iter().map(|impact| format!("  {impact}")));
    Ok((document, PublishStep { value, lines }))
}

fn describe(document: &Document, status: &str, place: &str, found: &[Diagnostic]) -> Value {
    json!({
        "status": status,
        "service": document.service(),
        "seq": document.seq(),
        "digest": document.digest(),
        "place": place,
        "diagnostics": found,
    })
}

fn refusal(found: Vec<Diagnostic>, context: &mut Context) -> Failure {
    match judge::enforce(found, Exit::Violation, &mut context.out) {
        Err(failure) => failure,
        Ok(()) => Failure::message(Exit::Internal, "refused for no reason"),
    }
}

fn failure(error: PublishError<()>) -> Failure {
    let exit = match &error {
        PublishError::Conflict(_) => Exit::Conflict,
        PublishError::GaveUp { .. } => Exit::Undetermined,
        PublishError::Store(error) => error.exit(),
        PublishError::Draft(_) => Exit::Usage,
        PublishError::Refused(()) => Exit::Violation,
    };
    Failure::new(exit, error)
}

/// Names who publishes, by what CI systems and shells say.
pub(super) fn publisher() -> String {
    ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_REQUESTEDFOR", "USER", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}
