//! What all parts of the console share.

use crate::{
    clock::{self, Clock},
    config::ConsoleConfig,
    ingest::{body::InFlight, replay::Replayed},
    save::Saver,
    store::Store,
    watch::Watched,
};
use parking_lot::{Mutex, RwLock};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::{Semaphore, watch};

/// So many requests are decoded at a time; the others wait.
const DECODING: usize = 2;
/// So many queries run at a time; the others wait.
const QUERIES: usize = 4;

/// Is shared by all parts of the console.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: RwLock<Store>,
    pub(crate) watched: Mutex<Watched>,
    pub(crate) token: Option<String>,
    /// Hosts, besides addresses and localhost, by which the console may be called.
    pub(crate) hosts: Vec<String>,
    pub(crate) in_flight: InFlight,
    pub(crate) decoding: Semaphore,
    pub(crate) querying: Semaphore,
    pub(crate) saver: Option<Saver>,
    pub(crate) clock: Clock,
    /// What a session file held, if one is replayed.
    pub(crate) replayed: Option<Replayed>,
    /// When the console started, in milliseconds of Unix time.
    pub(crate) started: u64,
    /// Where senders reach it: gRPC and HTTP.
    pub(crate) otlp: [SocketAddr; 2],
    /// Counts changes; a live page looks again when it moves.
    pub(crate) changes: watch::Sender<u64>,
    /// Requests that were refused, and connections and requests that were closed.
    refused: AtomicU64,
    closed: AtomicU64,
}

impl Shared {
    pub(crate) fn new(config: &ConsoleConfig, otlp: [SocketAddr; 2], saver: Option<Saver>) -> Self {
        Self {
            store: RwLock::new(Store::new(config.memory)),
            watched: Mutex::new(Watched::new(&config.targets)),
            token: config.token.clone(),
            hosts: config.hosts.clone(),
            in_flight: InFlight::default(),
            decoding: Semaphore::new(DECODING),
            querying: Semaphore::new(QUERIES),
            saver,
            clock: Clock::new(config.replay.is_some()),
            replayed: config.replay.is_some().then(Replayed::default),
            started: clock::machine(),
            otlp,
            changes: watch::Sender::new(0),
            refused: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        }
    }

    /// Says that there is something new to see.
    pub(crate) fn note_changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    pub(crate) fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many requests were refused, and how many were closed out.
    pub(crate) fn turned_away(&self) -> [u64; 2] {
        [self.refused.load(Ordering::Relaxed), self.closed.load(Ordering::Relaxed)]
    }
}
