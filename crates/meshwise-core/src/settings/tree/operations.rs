//! Operating a service: ops routes, and its end.

use crate::settings::{
    forms::{BOOL, OPS_ADDR, WAIT},
    kind::SettingKind,
    part::{Spec, section},
    value::Setting,
};
use std::time::Duration;

section! {
    /// The routes for those who operate the service.
    OpsSettings {
        /// Where they are: an IP address and a port, `same-port`, or `off`. `127.0.0.1:9464` unless
        /// set, and `0.0.0.0:9464` where `KUBERNETES_SERVICE_HOST` is.
        addr: Setting<String> = Spec::of(OPS_ADDR);
        /// Whether `PUT /log-level` changes the log filter.
        log_level: Setting<bool> = Spec::of(BOOL).or("false");
        /// Whether `PUT /resilience/{peer}/breaker` forces a breaker.
        breaker_control: Setting<bool> = Spec::of(BOOL).or("false");
        /// Who may read `GET /debug/calls` and `GET /debug/bundle`: no one (`off`), who calls from the
        /// same machine and through no proxy (`local`), or all who reach the ops routes (`on`).
        debug: Setting<String> = Spec::of(SettingKind::Word(&["off", "local", "on"])).or("local");
        /// Whether `GET /config` shows the settings in force, without secrets.
        config: Setting<bool> = Spec::of(BOOL).or("true");
    }
}

section! {
    /// How the service ends.
    DrainSettings {
        /// How long calls are still taken once `/readyz` answers 503. None unless set, and 5 s where
        /// `KUBERNETES_SERVICE_HOST` is.
        delay: Setting<Duration> = Spec::of(WAIT);
        /// How long calls in flight may go on after that.
        timeout: Setting<Duration> = Spec::of(WAIT).or("20s");
        /// How long telemetry may take to be sent, at last.
        flush: Setting<Duration> = Spec::of(WAIT).or("3s");
    }
}
