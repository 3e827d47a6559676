//! Headers that are made up: whatever they are, the message is processed.

#[path = "support/message.rs"]
mod message;
mod support;

use meshwise_core::{
    Service,
    propagation::{Format, Propagators},
};
use meshwise_messaging::{Messaging, Recording};
use message::Message;
use std::time::{Duration, Instant, SystemTime};

/// How many messages are tried here; `MESHWISE_HOSTILE` sets another number.
const MESSAGES: u64 = 3_000;

const NAMES: [&str; 19] = [
    "traceparent",
    "Traceparent",
    "TRACESTATE",
    "tracestate",
    "baggage",
    "b3",
    "X-B3-TraceId",
    "x-b3-spanid",
    "x-b3-sampled",
    "uber-trace-id",
    "UberCtx-tier",
    "uberctx-",
    "x-amzn-trace-id",
    "x-datadog-trace-id",
    "x-datadog-tags",
    "x-request-timeout-ms",
    "x-idempotency-key",
    "X-Attempt",
    "",
];
const VALUES: [&[u8]; 14] = [
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"mw=p:00f067aa0ba902b7;s:orders;v:v1;a:3,congo=t61rcWkgMzE",
    b"tier=gold;ttl=60,user=Am%C3%A9lie",
    b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d",
    b"4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:3",
    b"Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1",
    b"_dd.p.tid=4bf92f3577b34da6,_dd.p.dm=-4",
    b"999999999",
    b"4294967295",
    b"-1",
    b"",
    b"\xff\xfe\x00",
    b"%",
    "\u{1F600}".as_bytes(),
];

/// How long one message may take, on a machine that does other things meanwhile.
const LONGEST: Duration = Duration::from_secs(5);

/// A small generator, so that a failure can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % n.max(1)
    }
}

impl Message {
    fn made_up(random: &mut Random) -> Self {
        let headers = (0..random.below(12)).map(|_| {
            let name = NAMES[random.below(NAMES.len())].to_owned();
            let mut value = VALUES[random.below(VALUES.len())].to_vec();
            match random.below(6) {
                0 if !value.is_empty() => {
                    let at = random.below(value.len());
                    value[at] = u8::try_from(random.below(256)).unwrap_or(0);
                }
                1 => value.truncate(random.below(value.len() + 1)),
                2 => value = value.iter().copied().cycle().take(64 * 1024).collect(),
                3 => value
                    .extend((0..random.below(40)).map(|i| u8::try_from(i * 7 % 256).unwrap_or(0))),
                _ => {}
            }
            (name, value)
        });
        let mut headers: Vec<_> = headers.collect();
        if random.below(50) == 0 {
            let repeated = headers.first().cloned().unwrap_or_default();
            headers.extend(std::iter::repeat_n(repeated, 600));
        }
        Self {
            headers,
            id: (random.below(2) == 0).then(|| "\u{7f}".repeat(random.below(300))),
            published: match random.below(4) {
                0 => SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(1 << 40)),
                1 => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1 << 40)),
                2 => Some(SystemTime::now()),
                _ => None,
            },
            deliveries: [0, 1, u32::MAX][random.below(3)],
        }
    }
}

#[test]
fn no_header_harms_a_consumer_or_who_sends_on() {
    let mesh = support::Mesh::new("mailer");
    let recording = Recording::new(Service::new("mailer", "1"))
        .with_metrics(mesh.metrics.clone())
        .with_propagators(Propagators::new(Format::ALL.iter().copied()));
    let everything = Messaging::builder(recording).build();
    let messages = std::env::var("MESHWISE_HOSTILE").ok().and_then(|n| n.parse().ok());
    let messages = messages.unwrap_or(MESSAGES);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut longest = Duration::ZERO;
    for i in 0..messages {
        let messaging = if i % 2 == 0 { &mesh.messaging } else { &everything };
        let message = Message::made_up(&mut random);
        let began = Instant::now();
        message::check(messaging, &message);
        longest = longest.max(began.elapsed());
        if i % 1000 == 0 {
            mesh.spans.clear();
        }
    }
    println!("{messages} messages; the longest needed {longest:?}");
    // Most are copied a few times over; what grew with the square of 40 MB would take hours.
    assert!(longest < LONGEST, "{longest:?}");
    let text = mesh.metrics.render_text();
    assert_eq!(support::value(&text, "meshwise_consumer_age_seconds", &[]), 0.0);
}
