//! What observing a message adds to its headers.

use crate::stacks;
use benches::{Bench, Contestant};
use meshwise::messaging::{CarrierMut as _, Messaging, Recording, System};
use std::{hint::black_box, pin::pin, task};

type Headers = Vec<(String, String)>;

fn messaging(sampled: bool) -> (Messaging, impl FnMut()) {
    let mesh = stacks::mesh(sampled);
    let recording = Recording::new(mesh.service().clone())
        .with_tracing(mesh.tracing().clone())
        .with_metrics(mesh.metrics().clone());
    (Messaging::builder(recording).build(), stacks::settle(mesh))
}

/// What a message carries that was sent by a service of ours.
fn written(messaging: &Messaging) -> Headers {
    let mut headers = Headers::new();
    let sending = messaging.producer(System::KAFKA, "order.placed").send();
    sending.inject(&mut headers);
    sending.confirmed();
    headers
}

pub(crate) fn run(bench: &mut Bench) {
    for (sampled, word) in [(true, "sampled"), (false, "unsampled")] {
        bench.contest(&format!("messages, send, {word}"), |contest| {
            // Two headers, of a name and a value each.
            contest.bare("its headers", move || {
                let (messaging, _) = messaging(sampled);
                let written = written(&messaging);
                let mut headers = Headers::with_capacity(4);
                Contestant::new(move || {
                    headers.clear();
                    for (name, value) in black_box(&written) {
                        headers.add(name, value);
                    }
                })
            });
            contest.ours("meshwise-messaging", move || {
                let (messaging, settle) = messaging(sampled);
                let producer = messaging.producer(System::KAFKA, "order.placed");
                let mut headers = Headers::with_capacity(4);
                Contestant::new(move || {
                    headers.clear();
                    let sending = producer.send();
                    sending.inject(black_box(&mut headers));
                    sending.confirmed();
                })
                .with_settle(settle)
            });
        });
        bench.contest(&format!("messages, process, {word}"), |contest| {
            contest.ours("meshwise-messaging", move || {
                let (messaging, settle) = messaging(sampled);
                let consumer =
                    messaging.consumer(System::KAFKA, "order.placed").with_group("mailer");
                let headers = written(&messaging);
                Contestant::new(move || consumer.receive(black_box(&headers)).ack())
                    .with_settle(settle)
            });
        });
        // The message's context is made once it is run, or asked for.
        bench.contest(&format!("messages, process with a handler, {word}"), |contest| {
            contest.ours("meshwise-messaging", move || {
                let (messaging, settle) = messaging(sampled);
                let consumer =
                    messaging.consumer(System::KAFKA, "order.placed").with_group("mailer");
                let headers = written(&messaging);
                let mut task = task::Context::from_waker(task::Waker::noop());
                Contestant::new(move || {
                    let processing = consumer.receive(black_box(&headers));
                    let handled = pin!(processing.run(async { black_box(()) })).poll(&mut task);
                    assert!(handled.is_ready());
                    processing.ack();
                })
                .with_settle(settle)
            });
        });
    }
}
