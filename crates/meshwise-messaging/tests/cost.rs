//! What a message costs that no one samples, counted.

mod support;

use meshwise_messaging::{CarrierMut, System};
use meshwise_trace::SamplerConfig;
use support::Mesh;

type Headers = Vec<(String, String)>;

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn an_unsampled_message_allocates_its_headers_and_nothing_else() {
    let mesh = Mesh::sampled("orders", SamplerConfig::always_off());
    let producer = mesh.messaging.producer(System::KAFKA, "order.placed");
    let consumer = mesh.messaging.consumer(System::KAFKA, "order.placed").with_group("mailer");
    let mut headers = Headers::with_capacity(4);
    // Handles are resolved once.
    let sending = producer.send();
    sending.inject(&mut headers);
    sending.confirmed();
    consumer.receive(&headers).ack();
    consumer.receive_batch([&headers]).ack();

    let mut bare = Headers::with_capacity(4);
    let theirs = allocations(|| {
        for (name, value) in &headers {
            bare.add(name, value);
        }
    });
    assert_eq!(theirs, 4, "traceparent and tracestate, each a name and a value");
    bare.clear();
    let sent = allocations(|| {
        let sending = producer.send();
        sending.inject(&mut bare);
        sending.confirmed();
    });
    assert_eq!(sent, theirs);
    assert_eq!(allocations(|| consumer.receive(&headers).ack()), 0);
    assert_eq!(
        allocations(|| consumer.receive_batch([&headers, &headers]).ack()),
        2,
        "links, senders"
    );
    // The ids in the context that a handler runs in, which OpenTelemetry keeps in a box of their own.
    let ran = allocations(|| {
        let processing = consumer.receive(&headers);
        drop(processing.enter());
        processing.ack();
    });
    assert_eq!(ran, 1);
}
