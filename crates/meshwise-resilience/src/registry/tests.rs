use super::*;
use crate::{
    BreakerConfig, BreakerLayer, BreakerMode, BreakerState, BulkheadConfig, BulkheadLayer,
    PeerConfig, PeerLayer, RateConfig, RateLimitLayer, ShedConfig, ShedLayer,
};
use std::time::Duration;

#[test]
fn guards_of_a_peer_are_put_together() {
    let guards = Guards::new();
    assert!(guards.snapshot().is_empty() && guards.breaker("stock").is_none());
    let breaker = BreakerLayer::new("stock", BreakerConfig::new()).unwrap();
    guards.add(breaker.handle());
    guards.add(BulkheadLayer::new("stock", BulkheadConfig::new().with_limit(7)).unwrap().handle());
    let rate = RateConfig::new(50, Duration::from_secs(2));
    guards.clone().add(RateLimitLayer::new("auth", rate).unwrap().handle());
    // A newer one of a kind takes the older one's place, the others stay.
    guards.add(BulkheadLayer::new("stock", BulkheadConfig::new().with_limit(9)).unwrap().handle());

    let shown = guards.snapshot();
    let [auth, stock] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!((auth.peer.as_str(), stock.peer.as_str()), ("auth", "stock"));
    assert_eq!(auth.rate_limit, Some(RateSnapshot { per_second: 25.0 }));
    assert_eq!((auth.breaker, auth.retry), (None, None));
    assert_eq!(stock.bulkhead.map(|bulkhead| bulkhead.limit), Some(9));
    assert_eq!(stock.breaker.map(|breaker| breaker.state), Some(BreakerState::Closed));

    guards.breaker("stock").unwrap().set_mode(BreakerMode::ForcedOpen);
    assert_eq!(breaker.handle().state(), BreakerState::ForcedOpen);
}

#[test]
fn a_composed_peer_and_the_server_are_shown() {
    let guards = Guards::new();
    guards.add(PeerLayer::new("stock", PeerConfig::new()).unwrap().handle());
    let stock = guards.snapshot().remove(0);
    assert!(stock.breaker.is_some() && stock.bulkhead.is_some() && stock.retry.is_some());
    assert!(guards.server().is_none());
    let shed = ShedLayer::new("orders", ShedConfig::new().with_limit(5)).unwrap();
    guards.set_server(shed.handle());
    assert_eq!(guards.server().unwrap().snapshot().limit, 5);
}

#[cfg(feature = "serde")]
#[test]
fn what_is_shown_serializes_with_durations_in_seconds() {
    let guards = Guards::new();
    let config = BreakerConfig::new().with_open_jitter(0.0);
    guards.add(BreakerLayer::new("stock", config).unwrap().handle());
    let mut shown = guards.snapshot();
    shown[0].timeout = Some(Duration::from_millis(1500));
    assert_eq!(
        serde_json::to_string(&shown).unwrap(),
        r#"[{"peer":"stock","deadline":null,"timeout":1.5,"breaker":{"state":"closed","calls":0,"failed":0,"slow":0,"failure_rate":0.0,"slow_rate":0.0,"trials_in_flight":0,"open_for":null},"bulkhead":null,"retry":null,"rate_limit":null}]"#
    );
}
