//! Joining the parts, and setting what is process-wide.

use crate::{
    builder::Plan,
    environment::{self, Gathered},
    error::InstallError,
    mesh::{Mesh, Parts},
    settings::{InForce, NamedPeers},
    traces,
};
use meshwise_http::{Health, Recording, Telemetry};
use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

/// How long `shutdown` may take unless set otherwise.
/// With the drain before it, less than what Kubernetes gives a pod to end in (a test).
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Is set in every pod.
#[cfg(feature = "axum")]
const KUBERNETES: &str = "KUBERNETES_SERVICE_HOST";

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Holds the right to install; gives it back unless kept.
struct Claim {
    kept: bool,
}

impl Claim {
    fn take() -> Result<Self, InstallError> {
        match INSTALLED.swap(true, SeqCst) {
            true => Err(InstallError::InstalledAlready),
            false => Ok(Self { kept: false }),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            INSTALLED.store(false, SeqCst);
        }
    }
}

pub(crate) fn install(plan: Plan, gathered: &mut Gathered) -> Result<Mesh, InstallError> {
    let mut claim = Claim::take()?;
    // Asked before anything is set, as nothing that is process-wide can be taken back.
    if has_global_subscriber() {
        return Err(InstallError::SubscriberTaken);
    }
    let (parts, notices) = join(plan, gathered, Scope::Process)?;
    let dispatch = parts.dispatch.clone();
    metrics::set_global_recorder(parts.metrics.recorder())
        .map_err(|_| InstallError::RecorderTaken)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| InstallError::SubscriberTaken)?;
    claim.kept = true;
    // Another logger may be there for a reason; records of the `log` facade then stay its.
    let _ = tracing_log::LogTracer::init();
    // Its line, at each start, that a provider is set, tells no one anything.
    #[cfg(feature = "traces")]
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), || {
        opentelemetry::global::set_tracer_provider(parts.tracing.clone());
    });
    meshwise_log::flush_on_panic(&parts.logs);
    environment::announce(&notices, &parts.dispatch);
    Ok(Mesh::new(parts))
}

pub(crate) fn build(plan: Plan, gathered: &mut Gathered) -> Result<Mesh, InstallError> {
    let (parts, notices) = join(plan, gathered, Scope::Own)?;
    environment::announce(&notices, &parts.dispatch);
    Ok(Mesh::new(parts))
}

/// Tells whether there is a subscriber for the whole process. `dispatcher::has_been_set` says so too
/// once there was one for a thread; a thread of which no one knows has none but the process's.
fn has_global_subscriber() -> bool {
    let is_there = || {
        tracing::dispatcher::get_default(|current| {
            !current.is::<tracing::subscriber::NoSubscriber>()
        })
    };
    if !tracing::dispatcher::has_been_set() {
        return false;
    }
    let thread = std::thread::Builder::new().name("meshwise-install".to_owned());
    // If the system has no thread for us, setting the subscriber will tell.
    thread.spawn(is_there).is_ok_and(|thread| thread.join().unwrap_or(false))
}

/// Whose log events the layers write to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Process,
    Own,
}

/// Joins the parts; returns what is to be said of the environment, too.
fn join(
    plan: Plan,
    gathered: &mut Gathered,
    scope: Scope,
) -> Result<(Parts, Vec<String>), InstallError> {
    if let Err(wrong) = gathered.check() {
        // Of settings some of which are wrong, nothing is made but what opens no file and no connection: so the
        // collector's address is judged, too.
        let _judged = plan.traces.build();
        return Err(wrong.into());
    }
    let (log_layer, logs) = plan.logs.build()?;
    let tracing = plan.traces.build()?;
    let metrics = plan.metrics.build()?;
    let notices = gathered.end(&logs, &metrics, &tracing)?;
    let set = &plan.settings;
    let dispatch = traces::subscriber(&tracing, log_layer, set, scope == Scope::Process)?;

    let health = Health::redacted(plan.redaction.clone());
    let mut recording = Recording::new(plan.resource.service().clone())
        .with_tracing(tracing.clone())
        .with_metrics(metrics.clone())
        .with_propagators(plan.propagators)
        .with_redaction(plan.redaction)
        .with_tracing_span(cfg!(feature = "traces") && set.traces.tracing_span.or(true));
    if scope == Scope::Own {
        recording = recording.with_dispatch(dispatch.clone()).with_local_recorder(true);
    }
    metrics.track_losses({
        let logs = logs.clone();
        move || logs.report()
    });
    metrics.track_losses({
        let tracing = tracing.clone();
        move || tracing.report()
    });
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        metrics.watch_runtime(runtime);
    }
    let parts = Parts {
        resource: plan.resource,
        #[cfg(feature = "messaging")]
        messaging: {
            let messaging = meshwise_messaging::Messaging::builder(recording.clone());
            #[cfg(feature = "api")]
            let messaging = crate::message_counter::counted(messaging, plan.apis, &metrics)?;
            messaging.build()
        },
        logs,
        tracing,
        metrics,
        telemetry: Telemetry::new(recording),
        health,
        #[cfg(feature = "resilience")]
        guards: meshwise_resilience::Guards::new(),
        #[cfg(feature = "api")]
        apis: plan.apis,
        dispatch,
        shutdown_timeout: set.drain.flush.or(SHUTDOWN_TIMEOUT),
        code: plan.code,
        operator: plan.operator,
        named_peers: NamedPeers::default(),
        flushed: tokio::sync::OnceCell::new(),
        #[cfg(feature = "axum")]
        serving: crate::serve::Serving::new(plan.env.get(KUBERNETES).is_some()),
        in_force: InForce::new(plan.settings),
    };
    Ok((parts, notices))
}
