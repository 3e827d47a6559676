//! What threads share in the queue. `tests/queue_model` puts loom's in its place.

pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
