//! Turning a breaker by hand, and what it tells the world.

use super::{config, layer, open, succeed};
use meshwise_resilience::{BreakerMode, BreakerState};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::advance;
use tower::{BoxError, Layer, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn modes_and_settings_change_at_run_time() {
    let (layer, breaker) = layer(config());
    assert!(breaker.set_mode(BreakerMode::ForcedClosed));
    assert!(!breaker.set_mode(BreakerMode::ForcedClosed), "it is already");
    let fails = service_fn(async |(): ()| Err::<&str, BoxError>("no".into()));
    for _ in 0..30 {
        layer.layer(fails).oneshot(()).await.unwrap_err();
    }
    assert_eq!(breaker.snapshot().calls, 0, "forced closed counts nothing");
    breaker.set_mode("disabled".parse().unwrap());
    for _ in 0..30 {
        layer.layer(fails).oneshot(()).await.unwrap_err();
    }
    let now = breaker.snapshot();
    assert_eq!((now.state, now.failed, now.failure_rate), (BreakerState::Disabled, 30, 1.0));
    breaker.set_mode(BreakerMode::Automatic);
    assert_eq!((breaker.state(), breaker.snapshot().failed), (BreakerState::Closed, 0));

    let wrong = breaker.config().with_failure_rate(2.0);
    assert_eq!(breaker.set_config(wrong).unwrap_err().setting(), "breaker.failure_rate");
    assert_eq!(breaker.config(), config());
    breaker.set_config(config().with_consecutive_failures(5, Duration::ZERO)).unwrap();
    for failures in 1..=5 {
        assert_eq!(breaker.state(), BreakerState::Closed, "{failures}");
        layer.layer(fails).oneshot(()).await.unwrap_err();
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker.reset();
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert!("open".parse::<BreakerMode>().is_err());
}

/// Notes the messages and fields of events at `meshwise::resilience`.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!(" {}={value:?}", field.name());
            }
        }
        if event.metadata().target() == "meshwise::resilience" {
            let mut text = Text(event.metadata().level().to_string());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_once_and_in_order() {
    use tracing_subscriber::layer::SubscriberExt;
    let events = Events::default();
    let subscriber = tracing_subscriber::registry().with(events.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    // With one dispatcher alone, `tracing` asks only that of the thread that first comes by an
    // event; and here other tests may come by first, on threads without one.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let recorder = DebuggingRecorder::new();
    let (layer, breaker) = metrics::with_local_recorder(&recorder, || layer(config()));
    let metrics = || {
        let mut values: Vec<_> = recorder
            .snapshotter()
            .snapshot()
            .into_vec()
            .into_iter()
            .map(|(key, _, _, value)| {
                let key = key.key();
                let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
                let value = match value {
                    DebugValue::Counter(value) => value as f64,
                    DebugValue::Gauge(value) => value.into_inner(),
                    DebugValue::Histogram(_) => unreachable!(),
                };
                format!("{} {} {value}", key.name(), labels.join(","))
            })
            .filter(|line| !line.ends_with(" 0") || line.contains("_state"))
            .collect();
        values.sort();
        values
    };
    assert_eq!(metrics(), ["meshwise_breaker_state stock 0"]);
    open(&layer).await;
    assert_eq!(
        metrics(),
        ["meshwise_breaker_state stock 2", "meshwise_breaker_transitions_total stock,open 1"]
    );
    succeed(&layer).await.unwrap_err();
    advance(Duration::from_secs(1)).await;
    for _ in 0..3 {
        succeed(&layer).await.unwrap();
    }
    breaker.set_mode(BreakerMode::ForcedOpen);
    assert_eq!(
        metrics(),
        [
            "meshwise_breaker_state stock 2",
            "meshwise_breaker_transitions_total stock,closed 1",
            "meshwise_breaker_transitions_total stock,forced_open 1",
            "meshwise_breaker_transitions_total stock,half_open 1",
            "meshwise_calls_refused_total stock,breaker_open 1",
        ]
    );
    let told: Vec<_> = events
        .0
        .lock()
        .unwrap()
        .iter()
        .filter(|line| !line.starts_with("DEBUG"))
        .cloned()
        .collect();
    assert_eq!(
        told,
        [
            "WARN message=circuit breaker opened peer=\"stock\" from=\"closed\" \
             reason=\"consecutive_failures\" calls=2 failed=2 slow=0 open_ms=1000 \
             error.type=\"breaker_open\"",
            "INFO message=circuit breaker half-opened peer=\"stock\" from=\"open\" \
             reason=\"open_time_over\"",
            "INFO message=circuit breaker closed peer=\"stock\" from=\"half_open\" \
             reason=\"trials_succeeded\"",
            "WARN message=circuit breaker forced open peer=\"stock\" from=\"closed\" \
             reason=\"by_hand\"",
        ]
    );
}
