#![no_main]

#[path = "../../crates/meshwise-messaging/tests/support/message.rs"]
mod message;

use meshwise_core::{
    Service,
    propagation::{Format, Propagators},
};
use meshwise_messaging::{Messaging, Recording};
use std::sync::LazyLock;

static MESSAGING: LazyLock<Messaging> = LazyLock::new(|| {
    let propagators = Propagators::new(Format::ALL.iter().copied());
    let recording = Recording::new(Service::new("mailer", "1")).with_propagators(propagators);
    Messaging::builder(recording).build()
});

// Headers, one a line as `name: value`; the first byte says how often it was delivered before.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let headers = rest.split(|byte| *byte == b'\n').map(|line| {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        (name, parts.next().unwrap_or_default().trim_ascii().to_vec())
    });
    let id = Some(String::from_utf8_lossy(rest).into_owned());
    let message =
        message::Message { headers: headers.collect(), id, deliveries: u32::from(*first), published: None };
    message::check(&MESSAGING, &message);
});
