//! What the tests share: a declaration, a clock to turn, counts and log lines to look at.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion, RequiredApi};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

pub const ORDERS: ProvidedApi = ProvidedApi {
    api: "orders",
    scheme: "main-date-bugfix",
    transport: "http",
    description: Some("/openapi.json"),
    versions: &[
        ProvidedVersion {
            released: Date::new(2015, 1, 1),
            sunset: Date::new(2018, 1, 1),
            ..ProvidedVersion::new("v0_20150101-1")
        },
        ProvidedVersion {
            released: Date::new(2017, 10, 1),
            deprecated: Date::new(2026, 9, 1),
            sunset: Date::new(2027, 3, 1),
            successor: Some("v2_20260901-1"),
            migration: Some("https://docs.example/v1-to-v2"),
            notes: Some("<script>alert('old')</script>"),
            ..ProvidedVersion::new("v1_20171001-2")
        },
        ProvidedVersion {
            released: Date::new(2026, 9, 1),
            ..ProvidedVersion::new("v2_20260901-1")
        },
        ProvidedVersion {
            released: Date::new(2027, 1, 1),
            ..ProvidedVersion::new("v3_20270101-1")
        },
    ],
};

pub const AUTH: ProvidedApi = ProvidedApi {
    api: "auth",
    scheme: "main-minor",
    transport: "grpc",
    description: None,
    versions: &[
        ProvidedVersion {
            released: Date::new(2020, 1, 1),
            deprecated: Date::new(2026, 1, 1),
            ..ProvidedVersion::new("1.9")
        },
        ProvidedVersion {
            released: Date::new(2021, 1, 1),
            deprecated: Date::new(2026, 1, 1),
            sunset: Date::new(2027, 1, 1),
            successor: Some("2.0"),
            ..ProvidedVersion::new("1.10")
        },
        ProvidedVersion { released: Date::new(2026, 1, 1), ..ProvidedVersion::new("2.0") },
    ],
};

pub const DECLARED: Declared = Declared {
    owner: Some("team-checkout"),
    contacts: &["mailto:checkout@example.com"],
    provides: &[ORDERS, AUTH],
    requires: &[RequiredApi::new("auth", "1.1"), RequiredApi::new("stock", "3.0")],
    checked_on: Date::new(2026, 11, 20),
    dictionary_head: Some("sha256:abc"),
    ..Declared::new("orders")
};

/// A clock that stands still until it is turned.
#[derive(Clone)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    pub fn at(year: i32, month: u8, day: u8) -> Self {
        let clock = Self(Arc::default());
        clock.turn_to(year, month, day);
        clock
    }

    pub fn turn_to(&self, year: i32, month: u8, day: u8) {
        let seconds = Date::new(year, month, day).unwrap().to_unix_seconds();
        self.0.store(seconds.try_into().unwrap(), SeqCst);
    }

    pub fn turn_back_one_second(&self) {
        self.0.fetch_sub(1, SeqCst);
    }

    pub fn now(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let seconds = Arc::clone(&self.0);
        move || UNIX_EPOCH + Duration::from_secs(seconds.load(SeqCst))
    }
}

/// Looks at what was counted.
pub struct Counts(Snapshotter);

pub fn recorder() -> (DebuggingRecorder, Counts) {
    let recorder = DebuggingRecorder::new();
    let counts = Counts(recorder.snapshotter());
    (recorder, counts)
}

impl Counts {
    /// Returns what was counted or set since the last look, as `name{label=value,...}`, without
    /// what is zero.
    pub fn new_ones(&self) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        for (key, _, _, value) in self.0.snapshot().into_vec() {
            let key = key.key();
            let labels: Vec<String> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let value = match value {
                DebugValue::Counter(value) => value as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(_) => continue,
            };
            if value != 0.0 {
                found.insert(format!("{}{{{}}}", key.name(), labels.join(",")), value);
            }
        }
        found
    }

    /// Returns the series of one metric, its name left out.
    pub fn of(&self, name: &str) -> Vec<(String, f64)> {
        let found = self.new_ones().into_iter();
        found.filter_map(|(key, value)| Some((key.strip_prefix(name)?.to_owned(), value))).collect()
    }
}

/// Log events, as maps of their fields.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl Events {
    pub fn take(&self) -> Vec<BTreeMap<String, String>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Fields(BTreeMap<String, String>);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name().to_owned(), value.to_owned());
            }
        }
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        fields.0.insert("target".to_owned(), event.metadata().target().to_owned());
        fields.0.insert("level".to_owned(), event.metadata().level().to_string());
        self.0.lock().unwrap().push(fields.0);
    }
}

pub type Body = Full<Bytes>;

pub fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

pub fn ok() -> Response<Body> {
    Response::new(Full::from("ok"))
}
