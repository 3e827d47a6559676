//! `grpc.health.v1`, answered by the checks behind `/readyz`.

use meshwise_http::Health;
use std::{collections::BTreeSet, fmt, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

/// How often a watched service is checked.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// Answers `grpc.health.v1.Health` by running the checks of [`Health`], at most as often as asked;
/// however many watch, the checks run once an interval.
///
/// The server as a whole is the service `""`; the names given to
/// [`with_services`](Self::with_services) share its answer, and any other is `NOT_FOUND`
/// (`SERVICE_UNKNOWN` for a watch). A watch is told each change. Once the service shuts down it is
/// told `NOT_SERVING`, unless its service is unknown, and ends, so that it does not hold up the
/// server's end.
#[derive(Clone)]
pub struct HealthService {
    health: Health,
    services: Arc<BTreeSet<String>>,
    interval: Duration,
}

impl HealthService {
    /// Answers for the server as a whole.
    #[must_use]
    pub fn new(health: Health) -> Self {
        Self { health, services: Arc::default(), interval: DEFAULT_INTERVAL }
    }

    /// Answers for these services too, such as `auth.v1.Auth`.
    #[must_use]
    pub fn with_services(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Arc::make_mut(&mut self.services).extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets how often the checks run while a client watches; 1 s by default.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Makes the tonic service.
    #[must_use]
    pub fn into_server(self) -> health_server::HealthServer<Self> {
        health_server::HealthServer::new(self)
    }

    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(service)
    }

    /// Asks the checks, or takes an answer of theirs that is no older than this.
    async fn status(&self, age: Duration) -> ServingStatus {
        tokio::select! {
            biased;
            // What the checks say makes no difference then.
            () = self.health.drained() => ServingStatus::NotServing,
            report = self.health.check_within_age(age) => match report.is_ready() {
                true => ServingStatus::Serving,
                false => ServingStatus::NotServing,
            },
        }
    }

    /// Tells each change until the client leaves or the service shuts down.
    async fn tell_changes(self, tell: mpsc::Sender<Result<HealthCheckResponse, Status>>) {
        let mut last = None;
        loop {
            let status = self.status(self.interval).await;
            if last.replace(status) != Some(status) && tell.send(Ok(answer(status))).await.is_err()
            {
                return;
            }
            if self.health.is_draining() {
                return;
            }
            tokio::select! {
                () = tell.closed() => return,
                () = self.health.drained() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }

    /// Tells that there is no such service. One may come, as the protocol has it; here none can, so
    /// this waits like any other watch, and ends like it.
    async fn tell_unknown(self, tell: mpsc::Sender<Result<HealthCheckResponse, Status>>) {
        if tell.send(Ok(answer(ServingStatus::ServiceUnknown))).await.is_ok() {
            tokio::select! {
                () = tell.closed() => {}
                () = self.health.drained() => {}
            }
        }
    }
}

impl fmt::Debug for HealthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthService")
            .field("health", &self.health)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl health_server::Health for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !self.knows(&service) {
            return Err(Status::not_found("no such service here"));
        }
        Ok(Response::new(answer(self.status(Duration::ZERO).await)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (tell, told) = mpsc::channel(1);
        let this = self.clone();
        let known = self.knows(&request.into_inner().service);
        match known {
            true => tokio::spawn(this.tell_changes(tell)),
            false => tokio::spawn(this.tell_unknown(tell)),
        };
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }
}
