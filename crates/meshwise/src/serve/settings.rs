//! What is set about serving, and where it is read from.

use crate::settings::beats;
use meshwise_core::{
    EnvError,
    settings::{DrainSettings, OpsSettings},
};
use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

const OPS_ADDR: &str = "MESHWISE_OPS_ADDR";

/// The port that OpenTelemetry's exporter for Prometheus has by default.
const PORT: u16 = 9464;
const DELAY_IN_KUBERNETES: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);

/// Says where [`Mesh::serve`](crate::Mesh::serve) serves the ops routes.
///
/// `MESHWISE_OPS_ADDR` says it by `off`, `same-port`, or an IP address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum OpsAddr {
    /// On an address of their own, which strangers should not reach. If its port is taken, on a
    /// free one of the same IP address; port 0 takes a free one from the start.
    At(SocketAddr),
    /// On the service's own address, beside its routes: all who can call the service can read its
    /// metrics and the state of its guards.
    SamePort,
    /// Not at all.
    Off,
}

impl FromStr for OpsAddr {
    type Err = EnvError;

    fn from_str(text: &str) -> Result<Self, EnvError> {
        match text {
            "off" => Ok(Self::Off),
            "same-port" => Ok(Self::SamePort),
            text => text.parse().map(Self::At).map_err(|_| {
                EnvError::new(
                    OPS_ADDR,
                    text,
                    "an IP address and a port such as `127.0.0.1:9464` or `[::1]:0`, `same-port`, \
                     or `off`",
                )
            }),
        }
    }
}

impl fmt::Display for OpsAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => write!(f, "{address}"),
            Self::SamePort => f.write_str("same-port"),
            Self::Off => f.write_str("off"),
        }
    }
}

/// The defaults that depend on where the service runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub(crate) in_kubernetes: bool,
}

impl Surroundings {
    pub(crate) fn ops(self, set: &OpsSettings) -> OpsAddr {
        let ip = if self.in_kubernetes { [0, 0, 0, 0] } else { [127, 0, 0, 1] };
        let set = set.addr.get().and_then(|text| text.parse().ok());
        set.unwrap_or(OpsAddr::At((ip, PORT).into()))
    }

    pub(crate) fn drain_delay(self, set: &DrainSettings, code: Option<Duration>) -> Duration {
        let default = if self.in_kubernetes { DELAY_IN_KUBERNETES } else { Duration::ZERO };
        beats(&set.delay, code).unwrap_or(default)
    }
}

/// Returns how long calls in flight may go on.
pub(crate) fn drain_timeout(set: &DrainSettings, code: Option<Duration>) -> Duration {
    beats(&set.timeout, code).unwrap_or(TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::{Env, settings::Settings};

    fn at(text: &str) -> OpsAddr {
        OpsAddr::At(text.parse().unwrap())
    }

    #[test]
    fn defaults_know_kubernetes() {
        let nothing = Settings::defaults();
        let laptop = Surroundings { in_kubernetes: false };
        assert_eq!(laptop.ops(&nothing.ops), at("127.0.0.1:9464"));
        assert_eq!(laptop.drain_delay(&nothing.drain, None), Duration::ZERO);
        assert_eq!(drain_timeout(&nothing.drain, None), Duration::from_secs(20));
        let pod = Surroundings { in_kubernetes: true };
        assert_eq!(pod.ops(&nothing.ops), at("0.0.0.0:9464"));
        assert_eq!(pod.drain_delay(&nothing.drain, None), Duration::from_secs(5));
        assert_eq!(drain_timeout(&nothing.drain, None), Duration::from_secs(20));
    }

    #[test]
    fn the_end_fits_into_what_kubernetes_gives_a_pod() {
        let (set, pod) = (Settings::defaults().drain, Surroundings { in_kubernetes: true });
        let breaking_off = crate::serve::connections::BREAKING_OFF;
        let flush = crate::install::SHUTDOWN_TIMEOUT;
        assert_eq!(set.flush.get(), Some(&flush), "the tree says so, too");
        let all = pod.drain_delay(&set, None) + drain_timeout(&set, None) + breaking_off + flush;
        // `terminationGracePeriodSeconds` is 30 by default.
        assert!(all < Duration::from_secs(30), "{all:?}");
        assert_eq!(all, Duration::from_secs(29), "the guide says so");
    }

    #[test]
    fn the_operator_beats_code_and_code_the_builder() {
        let pod = Surroundings { in_kubernetes: true };
        let second = Some(Duration::from_secs(1));
        let mut builder = Settings::defaults();
        builder.drain.timeout.set(Duration::from_secs(9));
        assert_eq!(drain_timeout(&builder.drain, None), Duration::from_secs(9));
        assert_eq!(drain_timeout(&builder.drain, second), Duration::from_secs(1));
        assert_eq!(pod.drain_delay(&builder.drain, second), Duration::from_secs(1));
        let env = Env::from_pairs([
            ("MESHWISE_OPS_ADDR", "[::1]:9000"),
            ("MESHWISE_DRAIN_DELAY", "1500ms"),
            ("MESHWISE_DRAIN_TIMEOUT", "0s"),
        ]);
        builder.overlay(&Settings::from_env(&env).unwrap());
        assert_eq!(pod.ops(&builder.ops), at("[::1]:9000"));
        assert_eq!(pod.drain_delay(&builder.drain, second), Duration::from_millis(1500));
        assert_eq!(drain_timeout(&builder.drain, second), Duration::ZERO);
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for address in [OpsAddr::Off, OpsAddr::SamePort, at("0.0.0.0:0"), at("[::1]:9464")] {
            assert_eq!(address.to_string().parse::<OpsAddr>().unwrap(), address);
        }
        for text in ["9464", ":9464", "localhost:9464", "127.0.0.1", "OFF", "127.0.0.1:99999"] {
            let error = text.parse::<OpsAddr>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("MESHWISE_OPS_ADDR is `{text}`; allowed: ")));
            let env = Env::from_pairs([("MESHWISE_OPS_ADDR", text)]);
            assert!(Settings::from_env(&env).is_err(), "{text}");
        }
    }
}
