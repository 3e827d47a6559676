//! What is shown of calls.

use super::{
    ended::EndedCalls,
    facts::{KeptEnd, KeptFacts, ListedFacts},
    register::{CallId, CallRegister, ListedCall},
};
use crate::rpc::{full_method, is_wildcard};
use meshwise_core::{
    ErrorType, GrpcCode, Protocol, RequestId, SpanId, TraceId,
    internal::{clock, queued::QueuedCall},
    outcome::{EndedBy, Side},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// The longest gRPC method that is shown, in characters.
const MAX_METHOD: usize = 256;

/// Shows the calls in flight and some of those that have ended; made by
/// [`Telemetry::calls`](crate::Telemetry::calls).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallsSnapshot {
    /// The calls in flight, the oldest first.
    pub in_flight: Vec<CallInFlight>,
    /// The calls that wait in a guard's queue and so are not in flight yet, the oldest first.
    pub queued: Vec<CallInQueue>,
    /// How many calls were never listed, because 16,384 others were, since the start.
    pub unlisted: u64,
    /// The last calls that failed, 100 at most, the last one first.
    pub failed: Vec<EndedCall>,
    /// The slowest calls of the last five to ten minutes, 32 at most, the slowest first. Responses that
    /// stream are none of them.
    pub slowest: Vec<EndedCall>,
}

/// Describes a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallFacts {
    /// Which side this service is.
    pub side: Side,
    /// HTTP or gRPC.
    pub protocol: Protocol,
    /// The HTTP method, `_OTHER` for those that HTTP does not know.
    pub method: &'static str,
    /// The route's template of a served call, or of the URL of one that was made, if it was told; the path
    /// of a gRPC method.
    pub route: Option<Arc<str>>,
    /// `package.Service/Method` of a gRPC call, as its caller says it.
    pub rpc_method: Option<String>,
    /// The name of the calling service, if it told.
    pub caller: Option<Arc<str>>,
    /// The name of the peer that is called.
    pub peer: Option<Arc<str>>,
    /// The host and port that is called.
    pub address: Option<String>,
    /// The trace, if there is one: log lines say the same.
    pub trace_id: Option<TraceId>,
    /// The span in it.
    pub span_id: Option<SpanId>,
    /// The id that log lines say too.
    pub request_id: Option<RequestId>,
    /// How often the caller had tried before.
    pub attempt: u32,
    /// When it began.
    pub started: SystemTime,
}

/// Shows a call in flight.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallInFlight {
    /// What it is.
    pub call: CallFacts,
    /// How long it has lasted.
    pub age: Duration,
    /// What is left of its limits, if it has any; 0 once they have passed.
    pub left: Option<Duration>,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// The status of its answer, if the head is there.
    pub status: Option<u16>,
}

/// Shows a call that waits in the queue of a guard.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallInQueue {
    /// The peer that it goes to; this service, for a guard of its own.
    pub peer: Arc<str>,
    /// What it waits for: `bulkhead` (a place), `rate` (its turn).
    pub guard: &'static str,
    /// Which side the guard is on.
    pub side: Side,
    /// How long it has waited.
    pub age: Duration,
    /// The served call that it belongs to, if that is known: not of what a spawned task does.
    pub within: Option<CallFacts>,
}

/// Says what a call in flight waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitsFor {
    /// A call that this service makes: for the peer's answer.
    Peer,
    /// A served call: for calls that its handler makes to these peers, sorted.
    Peers(Vec<Arc<str>>),
    /// A served call: in the queues of guards, for these peers, sorted.
    Queue(Vec<Arc<str>>),
    /// A served call: for its handler, which makes no calls right now.
    Handler,
    /// The rest of the body, whose head is there.
    Body,
}

/// Shows a call that has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedCall {
    /// What it was.
    pub call: CallFacts,
    /// How long it lasted.
    pub duration: Duration,
    /// The status of its answer, if there was one.
    pub status: Option<u16>,
    /// The code of a gRPC call.
    pub code: Option<GrpcCode>,
    /// The kind of error, if it failed.
    pub error_type: Option<ErrorType>,
    /// Who ended it.
    pub ended_by: EndedBy,
}

impl KeptFacts {
    pub(super) fn show(&self) -> CallFacts {
        let grpc = self.path.as_ref().filter(|_| self.protocol == Protocol::Grpc);
        let rpc_method: Option<String> =
            grpc.map(|path| full_method(path.path()).chars().take(MAX_METHOD).collect());
        // A gRPC service is mounted under a wildcard, which says less than its method. A stranger's word
        // that a call of another route is gRPC changes nothing about the route.
        let mounted = self.route.as_deref().is_none_or(is_wildcard);
        let method_path = rpc_method
            .as_ref()
            .filter(|_| mounted && self.side == Side::Server)
            .map(|method| Arc::from(format!("/{method}")));
        CallFacts {
            side: self.side,
            protocol: self.protocol,
            method: self.method,
            route: method_path
                .or_else(|| self.route.clone())
                .or_else(|| self.template.map(Arc::from)),
            rpc_method,
            caller: self.caller.clone(),
            peer: self.peer.clone(),
            address: self.address.as_deref().map(str::to_owned),
            trace_id: self.ids.map(|(trace, _)| trace),
            span_id: self.ids.map(|(_, span)| span),
            request_id: self.request_id.clone(),
            attempt: self.attempt,
            started: clock::wall_time_at(self.began),
        }
    }
}

impl KeptEnd {
    fn show(&self) -> EndedCall {
        EndedCall {
            call: self.facts.show(),
            duration: self.duration,
            status: self.status,
            code: self.code,
            error_type: self.error_type,
            ended_by: self.ended_by,
        }
    }
}

/// Puts together what is shown; `now` is the clock's that limits are held against.
pub(crate) fn snapshot(
    register: &CallRegister<ListedFacts>,
    ended: &EndedCalls<KeptEnd>,
    queued: &[QueuedCall],
    now: Instant,
) -> CallsSnapshot {
    let (calls, unlisted) = register.list();
    let kept = |(id, call): (CallId, ListedCall<ListedFacts>)| {
        let ListedCall { facts, within, began, ends, status } = call;
        (id, ListedCall { facts: facts.keep(began), within, began, ends, status })
    };
    shown(calls.into_iter().map(kept).collect(), unlisted, ended, queued, now)
}

fn shown(
    mut calls: Vec<(CallId, ListedCall<KeptFacts>)>,
    unlisted: u64,
    ended: &EndedCalls<KeptEnd>,
    queued: &[QueuedCall],
    now: Instant,
) -> CallsSnapshot {
    calls.sort_by_key(|(_, call)| call.began);
    let waits = Waits::of(&calls, queued);
    let in_flight = calls.iter().map(|(id, call)| CallInFlight {
        call: call.facts.show(),
        age: clock::since(call.began),
        left: (call.ends != u64::MAX)
            .then(|| clock::instant(call.ends).saturating_duration_since(now)),
        waits_for: waits.of_call(*id, call),
        status: call.status,
    });
    let in_flight = in_flight.collect();
    let queued = queued.iter().map(|queued| CallInQueue {
        peer: Arc::clone(&queued.peer),
        guard: queued.guard,
        side: queued.side,
        age: queued.since.elapsed(),
        within: find(&calls, queued).map(|(_, call)| call.facts.show()),
    });
    let queued = queued.collect();
    let (failed, slowest) = ended.list(clock::now());
    let show = |ended: Vec<KeptEnd>| ended.iter().map(KeptEnd::show).collect();
    CallsSnapshot { in_flight, queued, unlisted, failed: show(failed), slowest: show(slowest) }
}

/// Finds the served call that one in a queue belongs to.
fn find<'c>(
    calls: &'c [(CallId, ListedCall<KeptFacts>)],
    queued: &QueuedCall,
) -> Option<&'c (CallId, ListedCall<KeptFacts>)> {
    let within = queued.within?.call;
    calls.iter().find(|(id, _)| id.number() == within)
}

/// The peers that each served call waits for: their answers, or in a queue.
struct Waits {
    peers: HashMap<CallId, Vec<Arc<str>>>,
    queued: HashMap<CallId, Vec<Arc<str>>>,
}

impl Waits {
    fn of(calls: &[(CallId, ListedCall<KeptFacts>)], queued: &[QueuedCall]) -> Self {
        // A task that a handler has spawned is known by its trace, if only one call has it.
        let mut served: HashMap<TraceId, Option<CallId>> = HashMap::new();
        for (id, call) in calls.iter().filter(|(_, call)| call.facts.side == Side::Server) {
            if let Some((trace, _)) = call.facts.ids {
                served.entry(trace).and_modify(|only| *only = None).or_insert(Some(*id));
            }
        }
        let add = |waits: &mut HashMap<CallId, Vec<Arc<str>>>, within, peer: &Arc<str>| {
            let peers = waits.entry(within).or_default();
            if let Err(place) = peers.binary_search(peer) {
                peers.insert(place, Arc::clone(peer));
            }
        };
        let mut waits = Self { peers: HashMap::new(), queued: HashMap::new() };
        for (_, call) in calls {
            let Some(peer) = &call.facts.peer else { continue };
            let by_trace = || served.get(&call.facts.ids?.0).copied().flatten();
            if let Some(within) = call.within.or_else(by_trace) {
                add(&mut waits.peers, within, peer);
            }
        }
        for queued in queued {
            if let Some((id, _)) = find(calls, queued) {
                add(&mut waits.queued, *id, &queued.peer);
            }
        }
        waits
    }

    fn of_call(&self, id: CallId, call: &ListedCall<KeptFacts>) -> WaitsFor {
        // What waits on this side is the narrow place, whatever else is asked meanwhile.
        if let Some(peers) = self.queued.get(&id) {
            return WaitsFor::Queue(peers.clone());
        }
        match (call.facts.side, self.peers.get(&id)) {
            (Side::Server, Some(peers)) => WaitsFor::Peers(peers.clone()),
            _ if call.status.is_some() => WaitsFor::Body,
            (Side::Server, None) => WaitsFor::Handler,
            (Side::Client, _) => WaitsFor::Peer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::internal::{Limits, queued::ServedCall};

    fn facts(side: Side, peer: Option<&str>, trace: u8) -> KeptFacts {
        KeptFacts {
            side,
            protocol: Protocol::Http,
            method: "GET",
            route: None,
            template: Some("/orders/{id}"),
            path: None,
            caller: None,
            peer: peer.map(Arc::from),
            address: Some("stock:8080".into()),
            ids: Some((TraceId::from_bytes([trace; 16]), SpanId::from_bytes([trace; 8]))),
            request_id: None,
            attempt: 0,
            began: clock::now(),
        }
    }

    #[test]
    fn what_a_served_call_waits_for_is_found_by_the_call_and_by_its_trace() {
        let register = CallRegister::new();
        let begin = |facts: KeptFacts, within, status| {
            let began = clock::now();
            let limits = Limits::NONE;
            let served = (facts.side == Side::Server).then_some(0);
            let call = ListedCall::new(facts, within, began, limits);
            let listed = register.begin(served, || call, |_| ());
            if let Some(status) = status {
                register.answered(&listed, status);
            }
            listed
        };
        let first = begin(facts(Side::Server, None, 1), None, None);
        let _second = begin(facts(Side::Server, None, 2), None, None);
        let _third = begin(facts(Side::Server, None, 3), None, Some(200));
        // Two calls of one trace: none of them is known to make the spawned call.
        let _twin = begin(facts(Side::Server, None, 3), None, None);
        let _stock = begin(facts(Side::Client, Some("stock"), 9), first.id(), None);
        let _again = begin(facts(Side::Client, Some("stock"), 1), first.id(), Some(200));
        let _auth = begin(facts(Side::Client, Some("auth"), 1), first.id(), None);
        let _spawned = begin(facts(Side::Client, Some("mail"), 2), None, None);
        let _lost = begin(facts(Side::Client, Some("mail"), 3), None, None);
        let queued = |within: Option<CallId>| QueuedCall {
            peer: "stock".into(),
            guard: "bulkhead",
            side: Side::Client,
            since: Instant::now(),
            within: within.map(|id| ServedCall { telemetry: 1, call: id.number() }),
        };
        let waiting = begin(facts(Side::Server, None, 7), None, None);
        let queued = [queued(waiting.id()), queued(None)];
        let (calls, unlisted) = register.list();
        let shown = shown(calls, unlisted, &EndedCalls::new(), &queued, Instant::now());
        let within = shown.queued.iter().map(|queued| queued.within.as_ref()?.trace_id);
        assert_eq!(within.collect::<Vec<_>>(), [Some(TraceId::from_bytes([7; 16])), None]);
        let waits: Vec<_> = shown.in_flight.iter().map(|call| call.waits_for.clone()).collect();
        let peers = |names: &[&str]| WaitsFor::Peers(names.iter().map(|n| Arc::from(*n)).collect());
        let expected = [
            peers(&["auth", "stock"]),
            peers(&["mail"]),
            WaitsFor::Body,
            WaitsFor::Handler,
            WaitsFor::Peer,
            WaitsFor::Body,
            WaitsFor::Peer,
            WaitsFor::Peer,
            WaitsFor::Peer,
            WaitsFor::Queue(vec!["stock".into()]),
        ];
        assert_eq!(waits, expected);
        let call = &shown.in_flight[4].call;
        assert_eq!(call.address.as_deref(), Some("stock:8080"));
        assert_eq!(call.route.as_deref(), Some("/orders/{id}"));
    }
}
