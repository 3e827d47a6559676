//! The map's edges, found by pairing both sides' spans of a call.
//!
//! A half waits for its other half for [`PATIENCE`]; a client's that finds none is a call to a peer
//! that sends nothing, which is named as the span names it. A server's has a caller that sends
//! nothing. A message is delivered to several, and more than once: its producer's half goes on waiting.

use super::{
    ids::USER,
    red::{Call, Red},
};
use foldhash::fast::FixedState;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// How long a half waits, in milliseconds. Batches of spans leave a service every 5 s by default.
pub(crate) const PATIENCE: u64 = 12_000;
/// So many halves wait; past that the oldest is settled alone.
const WAITING: usize = 50_000;
/// So many further deliveries of a message wait for its producer's half.
const DELIVERIES: usize = 16;
/// So many edges are kept; a further one takes the place of one that has been silent for a minute.
pub(crate) const EDGES: usize = 500;
/// How long an edge is silent before another may take its place, in milliseconds.
const SILENT: u64 = 60_000;

/// Says what an edge's far end is, or how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Call,
    Messaging,
    Database,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Messaging => "messaging",
            Self::Database => "database",
        }
    }
}

/// Is one side of a call.
#[derive(Clone, Debug)]
pub(crate) struct Half {
    pub(crate) service: Arc<str>,
    /// How this side names the other one.
    pub(crate) other: Option<Arc<str>>,
    pub(crate) kind: Kind,
    pub(crate) call: Call,
}

#[derive(Debug)]
struct Waiting {
    half: Half,
    is_client: bool,
    /// Whether another half was found already.
    paired: bool,
    /// Further deliveries of a message whose producer's half is not here yet.
    others: Vec<Half>,
}

/// Names an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EdgeName {
    pub(crate) client: Arc<str>,
    pub(crate) server: Arc<str>,
    pub(crate) kind: Kind,
}

/// Counts the calls of an edge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    pub(crate) red: Red,
    /// How often both sides were seen.
    pub(crate) paired: u64,
}

/// Pairs halves, and keeps edges.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    waiting: HashMap<(u128, u64), Waiting, FixedState>,
    order: VecDeque<(u64, (u128, u64))>,
    /// Deliveries that wait beside another of their message.
    others: usize,
    pub(crate) edges: HashMap<EdgeName, Edge, FixedState>,
    /// Calls that belong to no edge, for there are too many.
    pub(crate) refused: u64,
}

impl Edges {
    /// Takes a client's or producer's half; `key` is its trace and span.
    pub(crate) fn client(&mut self, now: u64, key: (u128, u64), half: Half) {
        let mut waiting = Waiting { half, is_client: true, paired: false, others: Vec::new() };
        // A span that is sent twice waits once.
        if let Some(servers) = self.waiting.remove(&key).filter(|waiting| !waiting.is_client) {
            waiting.paired = true;
            self.others -= servers.others.len();
            for server in std::iter::once(&servers.half).chain(&servers.others) {
                self.pair(now, &waiting.half, server);
            }
        }
        if !waiting.paired || waiting.half.kind == Kind::Messaging {
            self.wait(now, key, waiting);
        }
    }

    /// Takes a server's or consumer's half; `key` is its trace and parent, or what it links to.
    pub(crate) fn server(&mut self, now: u64, key: (u128, u64), half: Half) {
        // What goes on waiting has its place in the order already.
        match self.waiting.remove(&key) {
            Some(mut client) if client.is_client => {
                self.pair(now, &client.half, &half);
                client.paired = true;
                if client.half.kind == Kind::Messaging {
                    self.waiting.insert(key, client);
                }
            }
            Some(mut first) if half.kind == Kind::Messaging => {
                if first.others.len() < DELIVERIES {
                    first.others.push(half);
                    self.others += 1;
                } else {
                    // What has no place to wait is counted without its sender.
                    self.entry(now, &half);
                }
                self.waiting.insert(key, first);
            }
            _ => {
                let waiting = Waiting { half, is_client: false, paired: false, others: Vec::new() };
                self.wait(now, key, waiting);
            }
        }
    }

    /// Counts a call whose caller sends nothing.
    pub(crate) fn entry(&mut self, now: u64, half: &Half) {
        let client = half.other.clone().unwrap_or_else(|| Arc::from(USER));
        self.count(now, name(client, Arc::clone(&half.service), half.kind), half.call, false);
    }

    /// Settles halves that have waited long enough.
    pub(crate) fn tick(&mut self, now: u64) {
        while let Some(&(since, key)) = self.order.front()
            && (now.saturating_sub(since) >= PATIENCE || self.order.len() > WAITING)
        {
            self.order.pop_front();
            self.settle(now, key);
        }
    }

    /// Settles all that waits: nothing more comes.
    pub(crate) fn settle_all(&mut self, now: u64) {
        while let Some((_, key)) = self.order.pop_front() {
            self.settle(now, key);
        }
    }

    fn wait(&mut self, now: u64, key: (u128, u64), waiting: Waiting) {
        self.waiting.insert(key, waiting);
        self.order.push_back((now, key));
        if self.order.len() > WAITING {
            self.tick(now);
        }
    }

    fn settle(&mut self, now: u64, key: (u128, u64)) {
        let Some(Waiting { half, is_client, paired, others }) = self.waiting.remove(&key) else {
            return;
        };
        self.others -= others.len();
        if paired {
            return;
        }
        if !is_client {
            return std::iter::once(&half).chain(&others).for_each(|half| self.entry(now, half));
        }
        // A call that says nothing of its peer has no edge.
        if let Some(server) = half.other {
            self.count(now, name(half.service, server, half.kind), half.call, false);
        }
    }

    fn pair(&mut self, now: u64, client: &Half, server: &Half) {
        let kind = client.kind.max(server.kind);
        // As the caller saw it; a message's delivery is as long as its processing.
        let seen = if kind == Kind::Messaging { server.call } else { client.call };
        let failed = client.call.failed || server.call.failed;
        let name = name(Arc::clone(&client.service), Arc::clone(&server.service), kind);
        self.count(now, name, Call { failed, ..seen }, true);
    }

    fn count(&mut self, now: u64, name: EdgeName, call: Call, paired: bool) {
        if !self.edges.contains_key(&name) && !self.has_place(now) {
            self.refused += 1;
            return;
        }
        let edge = self.edges.entry(name).or_default();
        edge.red.count(now, call);
        edge.paired += u64::from(paired);
    }

    fn has_place(&mut self, now: u64) -> bool {
        if self.edges.len() < EDGES {
            return true;
        }
        let silent = self.edges.iter().min_by_key(|(_, edge)| edge.red.last);
        let Some((name, edge)) = silent else { return true };
        if now.saturating_sub(edge.red.last) < SILENT {
            return false;
        }
        let name = name.clone();
        self.edges.remove(&name);
        true
    }

    /// Returns the memory used, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let edges: usize = self.edges.values().map(|edge| edge.red.memory() + 96).sum();
        let waiting = self.waiting.capacity() * 180 + self.others * 2 * size_of::<Half>();
        edges + waiting + self.order.capacity() * 40
    }
}

fn name(client: Arc<str>, server: Arc<str>, kind: Kind) -> EdgeName {
    EdgeName { client, server, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(service: &str, other: Option<&str>, failed: bool) -> Half {
        let call = Call { trace: 1, duration: 1_000_000, failed };
        Half { service: service.into(), other: other.map(Into::into), kind: Kind::Call, call }
    }

    fn listed(edges: &Edges) -> Vec<(String, u64, u64, u64)> {
        let mut list: Vec<_> = edges
            .edges
            .iter()
            .map(|(name, edge)| {
                let ends = format!("{} {}", name.client, name.server);
                (ends, edge.red.calls, edge.red.failed, edge.paired)
            })
            .collect();
        list.sort();
        list
    }

    #[test]
    fn both_orders_make_one_call_and_either_sides_failure_is_one() {
        let mut edges = Edges::default();
        edges.client(0, (1, 7), half("orders", Some("stock"), false));
        edges.server(0, (1, 7), half("stock", None, true));
        edges.server(0, (1, 8), half("stock", None, false));
        edges.client(0, (1, 8), half("orders", None, true));
        edges.tick(PATIENCE);
        assert_eq!(listed(&edges), [("orders stock".to_owned(), 2, 2, 2)]);
    }

    #[test]
    fn every_delivery_of_a_message_is_a_call() {
        let sent = Half { kind: Kind::Messaging, ..half("orders", Some("order.placed"), false) };
        let taken = |service| Half { kind: Kind::Messaging, ..half(service, None, false) };
        let mut edges = Edges::default();
        edges.client(0, (1, 7), sent.clone());
        for service in ["mailer", "mailer", "billing"] {
            edges.server(0, (1, 7), taken(service));
        }
        edges.server(0, (1, 8), taken("mailer"));
        edges.server(0, (1, 8), taken("mailer"));
        edges.client(0, (1, 8), sent);
        edges.server(0, (1, 8), taken("mailer"));
        // Both halves of the second message wait twice in the order, and are settled once.
        edges.tick(PATIENCE);
        let wanted = [("orders billing", 1), ("orders mailer", 5)];
        assert_eq!(listed(&edges), wanted.map(|(ends, n)| (ends.to_owned(), n, 0, n)));
        assert!(edges.waiting.is_empty() && edges.order.is_empty());
    }

    #[test]
    fn deliveries_beyond_those_that_may_wait_are_counted_and_hide_no_other() {
        let taken = Half { kind: Kind::Messaging, ..half("mailer", None, false) };
        let sent = Half { kind: Kind::Messaging, ..half("orders", Some("order.placed"), false) };
        let mut edges = Edges::default();
        let alone = edges.memory();
        for _ in 0..DELIVERIES + 4 {
            edges.server(0, (1, 7), taken.clone());
        }
        assert!(edges.memory() > alone && edges.others == DELIVERIES);
        edges.client(0, (1, 7), sent);
        edges.tick(PATIENCE);
        let (paired, beyond) = (DELIVERIES as u64 + 1, 3);
        let wanted = [("orders mailer", paired, paired), ("user mailer", beyond, 0)];
        assert_eq!(listed(&edges), wanted.map(|(ends, n, both)| (ends.to_owned(), n, 0, both)));
        assert_eq!(edges.others, 0);
    }

    #[test]
    fn a_half_alone_is_an_edge_to_or_from_who_sends_nothing() {
        let mut edges = Edges::default();
        edges.client(0, (1, 7), half("orders", Some("postgresql"), false));
        edges.client(0, (1, 9), half("orders", None, false));
        edges.server(0, (1, 8), half("gateway", None, false));
        edges.tick(PATIENCE - 1);
        assert_eq!(listed(&edges), []);
        edges.tick(PATIENCE);
        assert_eq!(
            listed(&edges),
            [("orders postgresql".to_owned(), 1, 0, 0), ("user gateway".to_owned(), 1, 0, 0)]
        );
    }

    #[test]
    fn edges_and_waiting_halves_are_bounded() {
        let mut edges = Edges::default();
        for at in 0..200_000_u64 {
            edges.client(at / 1000, (1, at), half(&format!("s{at}"), Some("x"), false));
        }
        assert!(edges.waiting.len() <= WAITING && edges.order.len() <= WAITING);
        assert!(edges.edges.len() <= EDGES && edges.refused > 0);
        edges.tick(PATIENCE * 20);
        edges.entry(PATIENCE * 40, &half("new", None, false));
        assert!(edges.edges.keys().any(|name| &*name.server == "new"), "a silent one makes place");
    }
}
