//! The access log: one event for each finished call.

use crate::{finished::Finished, names};
use http::Version;
use meshwise_core::{ErrorType, GrpcCode};
use meshwise_trace::with_plain_values;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Says which finished calls are logged, as `INFO` events with the target `meshwise::access`.
///
/// The log filter has the last word: `RUST_LOG=info,meshwise::access=off` silences them too.
#[derive(Clone, Debug)]
pub struct AccessLog(Which);

#[derive(Clone, Debug)]
enum Which {
    All,
    Off,
    OneIn { n: u64, count: Arc<AtomicU64> },
}

impl AccessLog {
    /// Logs every call (the default).
    #[must_use]
    pub const fn all() -> Self {
        Self(Which::All)
    }

    /// Logs none.
    #[must_use]
    pub const fn off() -> Self {
        Self(Which::Off)
    }

    /// Logs the first of every `n` calls; 0 logs none.
    #[must_use]
    pub fn one_in(n: u64) -> Self {
        match n {
            0 => Self::off(),
            1 => Self::all(),
            _ => Self(Which::OneIn { n, count: Arc::new(AtomicU64::new(0)) }),
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        matches!(self.0, Which::Off)
    }

    pub(crate) fn wants(&self) -> bool {
        match &self.0 {
            Which::All => true,
            Which::Off => false,
            Which::OneIn { n, count } => count.fetch_add(1, Relaxed) % n == 0,
        }
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self::all()
    }
}

/// Holds what an access-log line says.
pub(crate) struct Line<'a> {
    pub(crate) method: &'static str,
    pub(crate) route: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) version: Version,
    pub(crate) caller: Option<&'a str>,
    pub(crate) rpc: Option<&'a str>,
    /// The client's `User-Agent`.
    pub(crate) agent: Option<&'a str>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) finished: &'a Finished,
}

/// Emits the event. The current context gives it its ids.
pub(crate) fn write(line: &Line<'_>) {
    let Line { method, route, path, version, caller, rpc, agent, address, finished } = *line;
    // `CONNECT` has none.
    let (path, blank) =
        (Some(path).filter(|path| !path.is_empty()), if path.is_empty() { "" } else { " " });
    // Milliseconds to the microsecond: what a person reads, and all that a log needs.
    let duration_ms = (finished.duration.as_secs_f64() * 1e6).round() / 1e3;
    with_plain_values(|| {
        tracing::event!(
            target: names::ACCESS_TARGET,
            tracing::Level::INFO,
            {
                { names::HTTP_REQUEST_METHOD } = method,
                { names::HTTP_ROUTE } = route,
                { names::URL_PATH } = path,
                { names::HTTP_RESPONSE_STATUS_CODE } = finished.status.map(i64::from),
                { names::RPC_METHOD } = rpc,
                { names::RPC_STATUS_CODE } = finished.code.map(GrpcCode::as_str),
                { names::NETWORK_PROTOCOL_VERSION } = crate::method::version(version),
                duration_ms = duration_ms,
                { names::HTTP_REQUEST_BODY_SIZE } = finished.request_size.map(u64::cast_signed),
                { names::HTTP_RESPONSE_BODY_SIZE } = finished.response_size.cast_signed(),
                { names::USER_AGENT_ORIGINAL } = agent,
                { names::CLIENT_ADDRESS } = address.map(tracing::field::display),
                caller = caller,
                outcome = finished.end.outcome.as_str(),
                { names::ERROR_TYPE } = finished.end.error_type().map(ErrorType::as_str),
                { names::MESHWISE_ENDED_BY } = finished.ended_by(),
                { names::ECS_ERROR_MESSAGE } = finished.message.as_deref(),
            },
            "{method}{blank}{}",
            path.unwrap_or_default()
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_n_takes_the_first_of_each_n() {
        let log = AccessLog::one_in(3);
        let wanted: Vec<bool> = (0..7).map(|_| log.wants()).collect();
        assert_eq!(wanted, [true, false, false, true, false, false, true]);
        assert!(!AccessLog::one_in(0).wants());
        assert!(AccessLog::one_in(1).wants());
    }
}
