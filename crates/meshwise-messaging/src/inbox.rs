//! Taking effect once, however often a message comes.

mod begun;
mod memory;
mod redis;
mod sql;

pub use begun::Begun;
pub use memory::{MemoryGuard, MemoryInbox};
pub use redis::{Redis, RedisGuard, RedisInbox, RedisReply};
pub use sql::SqlInbox;
