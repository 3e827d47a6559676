//! The console: what the services say, in a browser.

use meshwise::trace::OtlpConfig;
#[cfg(feature = "console")]
use meshwise_console::{Console, ConsoleConfig, ConsoleError};
use std::net::SocketAddr;

/// What the shop's console may keep, in bytes.
#[cfg(feature = "console")]
const MEMORY: usize = 100_000_000;

/// A console in this process, if one is wanted; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Beside {
    /// Where it takes OTLP, over gRPC.
    otlp: Option<SocketAddr>,
    #[cfg(feature = "console")]
    _console: Option<Console>,
}

impl Beside {
    /// Starts it and prints where it is, unless the environment names a collector: telemetry goes there
    /// then, and that may be a console of its own process.
    #[cfg(feature = "console")]
    pub(crate) async fn start(wanted: bool) -> Result<Self, ConsoleError> {
        let console = match wanted && !collector_is_named() {
            true => Some(start().await?),
            false => None,
        };
        if let Some(console) = &console {
            say!("See it in a browser: {}\n", console.url());
        }
        Ok(Self { otlp: console.as_ref().map(Console::grpc), _console: console })
    }

    #[cfg(not(feature = "console"))]
    pub(crate) async fn start(_wanted: bool) -> Result<Self, std::convert::Infallible> {
        Ok(Self { otlp: None })
    }

    /// Returns where services send what they say, if anywhere.
    pub(crate) fn otlp(&self) -> Option<OtlpConfig> {
        match collector_is_named() {
            true => Some(OtlpConfig::new()),
            false => self.otlp.map(|at| OtlpConfig::new().with_endpoint(format!("http://{at}"))),
        }
    }
}

/// Starts a console where consoles are, or on free ports if another one is there.
#[cfg(feature = "console")]
async fn start() -> Result<Console, ConsoleError> {
    let config = ConsoleConfig::new().with_memory(MEMORY);
    match Console::start(config.clone()).await {
        Err(ConsoleError::Listen { .. }) => {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            Console::start(config.with_page(any).with_otlp(any, any)).await
        }
        started => started,
    }
}

/// Tells whether the environment says where a collector is. An exporter named in code, as our
/// memory is, takes the place of the environment's, so both are named then.
fn collector_is_named() -> bool {
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
