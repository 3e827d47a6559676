//! Tests of the queue on its own. `tests/queue_model` goes through what threads can do to it.

mod bytes;
mod items;
