//! What is set about serving, and where it is read from.

use meshwise_core::{Env, EnvError};
use std::{net::SocketAddr, str::FromStr, time::Duration};

const OPS_ADDR: &str = "MESHWISE_OPS_ADDR";
const DRAIN_DELAY: &str = "MESHWISE_DRAIN_DELAY";
const DRAIN_TIMEOUT: &str = "MESHWISE_DRAIN_TIMEOUT";
const KUBERNETES: &str = "KUBERNETES_SERVICE_HOST";

/// The port that OpenTelemetry's exporter for Prometheus has by default.
const PORT: u16 = 9464;
const DELAY_IN_KUBERNETES: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);

/// Says where [`Mesh::serve`](crate::Mesh::serve) serves the ops routes (complete by nature).
///
/// `MESHWISE_OPS_ADDR` says it by `off`, `same-port`, or an IP address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpsAddr {
    /// On an address of their own, which strangers should not reach. If its port is taken, on a
    /// free one of the same IP address; port 0 takes a free one from the start.
    At(SocketAddr),
    /// On the service's own address, beside its routes: whoever can call the service can read its
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

/// What the environment says; it has the last word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServeEnv {
    ops: Option<OpsAddr>,
    drain_delay: Option<Duration>,
    drain_timeout: Option<Duration>,
    in_kubernetes: bool,
}

impl ServeEnv {
    pub(crate) fn read(env: &Env) -> Result<Self, EnvError> {
        Ok(Self {
            ops: env.get(OPS_ADDR).map(|text| text.parse()).transpose()?,
            drain_delay: env.millis(DRAIN_DELAY)?,
            drain_timeout: env.millis(DRAIN_TIMEOUT)?,
            in_kubernetes: env.get(KUBERNETES).is_some(),
        })
    }

    pub(crate) fn ops(&self, code: Option<OpsAddr>) -> OpsAddr {
        let ip = if self.in_kubernetes { [0, 0, 0, 0] } else { [127, 0, 0, 1] };
        self.ops.or(code).unwrap_or(OpsAddr::At((ip, PORT).into()))
    }

    pub(crate) fn drain_delay(&self, code: Option<Duration>) -> Duration {
        let default = if self.in_kubernetes { DELAY_IN_KUBERNETES } else { Duration::ZERO };
        self.drain_delay.or(code).unwrap_or(default)
    }

    pub(crate) fn drain_timeout(&self, code: Option<Duration>) -> Duration {
        self.drain_timeout.or(code).unwrap_or(TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<ServeEnv, EnvError> {
        ServeEnv::read(&Env::from_pairs(pairs.iter().copied()))
    }

    fn at(text: &str) -> OpsAddr {
        OpsAddr::At(text.parse().unwrap())
    }

    #[test]
    fn defaults_know_kubernetes() {
        let laptop = read(&[]).unwrap();
        assert_eq!(laptop.ops(None), at("127.0.0.1:9464"));
        assert_eq!(laptop.drain_delay(None), Duration::ZERO);
        assert_eq!(laptop.drain_timeout(None), Duration::from_secs(20));
        let pod = read(&[(KUBERNETES, "10.0.0.1")]).unwrap();
        assert_eq!(pod.ops(None), at("0.0.0.0:9464"));
        assert_eq!(pod.drain_delay(None), Duration::from_secs(5));
        assert_eq!(pod.drain_timeout(None), Duration::from_secs(20));
    }

    #[test]
    fn the_end_fits_into_what_kubernetes_gives_a_pod() {
        let pod = read(&[(KUBERNETES, "10.0.0.1")]).unwrap();
        let breaking_off = crate::serve::connections::BREAKING_OFF;
        let flush = crate::builder::SHUTDOWN_TIMEOUT;
        let all = pod.drain_delay(None) + pod.drain_timeout(None) + breaking_off + flush;
        // `terminationGracePeriodSeconds` is 30 by default.
        assert!(all < Duration::from_secs(30), "{all:?}");
        assert_eq!(all, Duration::from_secs(29), "the guide says so");
    }

    #[test]
    fn the_environment_beats_code() {
        let env = read(&[
            (OPS_ADDR, "[::1]:9000"),
            (DRAIN_DELAY, "1500"),
            (DRAIN_TIMEOUT, "0"),
            (KUBERNETES, "10.0.0.1"),
        ])
        .unwrap();
        let second = Some(Duration::from_secs(1));
        assert_eq!(env.ops(Some(OpsAddr::Off)), at("[::1]:9000"));
        assert_eq!(env.drain_delay(second), Duration::from_millis(1500));
        assert_eq!(env.drain_timeout(second), Duration::ZERO);
        let silent = read(&[]).unwrap();
        assert_eq!(silent.ops(Some(OpsAddr::SamePort)), OpsAddr::SamePort);
        assert_eq!((silent.drain_delay(second), silent.drain_timeout(second)), {
            (Duration::from_secs(1), Duration::from_secs(1))
        });
    }

    #[test]
    fn addresses_are_read_strictly() {
        for (text, address) in [
            ("off", OpsAddr::Off),
            ("same-port", OpsAddr::SamePort),
            ("0.0.0.0:0", at("0.0.0.0:0")),
        ] {
            assert_eq!(read(&[(OPS_ADDR, text)]).unwrap().ops(None), address, "{text}");
        }
        for text in ["9464", ":9464", "localhost:9464", "127.0.0.1", "OFF", "127.0.0.1:99999"] {
            let error = read(&[(OPS_ADDR, text)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{OPS_ADDR} is `{text}`; allowed: ")), "{error}");
        }
        for name in [DRAIN_DELAY, DRAIN_TIMEOUT] {
            assert!(read(&[(name, "5s")]).is_err(), "{name}");
            assert!(read(&[(name, "-1")]).is_err(), "{name}");
        }
    }
}
