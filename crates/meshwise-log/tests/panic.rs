//! A panic is logged and flushed before the hook that was there before runs.

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogFormat, LogOutput, flush_on_panic};
use std::{
    io::{self, Write},
    panic,
    sync::{Arc, Mutex},
};
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_last_words_of_a_panicking_thread_are_written() {
    let kept = Kept::default();
    let seen_by_the_hook_before = Arc::new(Mutex::new(String::new()));
    panic::set_hook(Box::new({
        let (kept, seen) = (kept.clone(), Arc::clone(&seen_by_the_hook_before));
        move |_| {
            let text = String::from_utf8_lossy(&kept.0.lock().expect("not poisoned")).into_owned();
            *seen.lock().expect("not poisoned") = text;
        }
    }));
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let (layer, logs) = config.with_output(LogOutput::writer(kept)).build().expect("logs");
    flush_on_panic(&logs);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).expect("the first");

    let thread = std::thread::Builder::new().name("worker-7".to_owned());
    let thread = thread.spawn(|| {
        tracing::info!("just before");
        panic!("the disk is on fire");
    });
    thread.expect("a thread").join().expect_err("it panicked");

    let seen = seen_by_the_hook_before.lock().expect("not poisoned");
    assert!(seen.contains("just before"), "{seen}");
    let line = seen.lines().find(|line| line.contains("panicked: ")).expect("the panic's line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["message"], "panicked: the disk is on fire");
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["panic.thread"], "worker-7");
    assert!(line["panic.location"].as_str().is_some_and(|place| place.contains("panic.rs")));
}
