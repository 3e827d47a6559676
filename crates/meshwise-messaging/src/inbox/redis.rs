//! An inbox in Redis, with a lease.

use super::begun::Begun;
use meshwise_core::internal::random;
use std::{error::Error, time::Duration};

/// Sends one command to Redis, through the user's own client.
pub trait Redis: Send + Sync {
    /// The client's error.
    type Error: Error + Send + Sync + 'static;

    /// Sends a command (its name and arguments), and returns what Redis says.
    fn command(
        &self,
        parts: &[&str],
    ) -> impl Future<Output = Result<RedisReply, Self::Error>> + Send;
}

impl<R: Redis> Redis for &R {
    type Error = R::Error;

    fn command(&self, parts: &[&str]) -> impl Future<Output = Result<RedisReply, R::Error>> + Send {
        (**self).command(parts)
    }
}

/// Holds what Redis said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisReply {
    /// Nothing is there.
    Nil,
    /// A number.
    Integer(i64),
    /// A text, `OK` among them.
    Text(String),
}

/// What stands there once a message was handled.
const DONE: &str = "done";
/// Does something only for the one whose token stands there.
const DONE_IF_OURS: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then \
    redis.call('set', KEYS[1], 'done', 'PX', ARGV[2]) return 1 else return 0 end";
const DELETE_IF_OURS: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
const RENEW_IF_OURS: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then \
    return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";

/// Remembers in Redis which messages were handled.
///
/// A message in hand is leased (`SET NX PX`). A consumer that dies lets the lease run out, and another
/// takes over; one that takes longer than its lease without [renewing](RedisGuard::renew) it may see the
/// effect come about twice. Redis is no part of the effect's transaction: a consumer that dies between
/// effect and [`done`](RedisGuard::done) makes it come about again. Where that must not be, use
/// [`SqlInbox`](crate::SqlInbox).
#[derive(Clone, Debug)]
pub struct RedisInbox<R> {
    redis: R,
    prefix: String,
    lease: Duration,
    remember: Duration,
}

impl<R: Redis + Clone> RedisInbox<R> {
    /// Keeps the messages of the consumer called `consumer` under `inbox:{consumer}:` (colons in its name
    /// are written `%3A`), with a lease of 60 s, and remembers those that were handled for 7 days.
    pub fn new(redis: R, consumer: &str) -> Self {
        Self {
            redis,
            // Two consumers never share a key.
            prefix: format!("inbox:{}:", consumer.replace('%', "%25").replace(':', "%3A")),
            lease: Duration::from_secs(60),
            remember: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }

    /// Sets how long a message may be in hand, at least 1 ms: longer than any handler takes.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long a message that was handled is remembered, at least 1 ms: longer than the broker
    /// could deliver it again.
    #[must_use]
    pub fn with_remember(mut self, remember: Duration) -> Self {
        self.remember = remember;
        self
    }

    /// Begins to handle the message of this key.
    ///
    /// # Errors
    /// The client's own.
    pub async fn begin(&self, key: &str) -> Result<Begun<RedisGuard<R>>, R::Error> {
        let name = format!("{}{key}", self.prefix);
        let token = format!("{:032x}", random::u128());
        let lease = millis(self.lease);
        let set = self.redis.command(&["SET", &name, &token, "NX", "PX", &lease]).await?;
        if set != RedisReply::Nil {
            return Ok(Begun::New(RedisGuard { inbox: self.clone(), name, token }));
        }
        Ok(match self.redis.command(&["GET", &name]).await? {
            RedisReply::Text(text) if text == DONE => Begun::Done,
            // Another's; or its lease has just run out, and the next delivery finds it so.
            _ => Begun::InFlight,
        })
    }
}

/// Holds a message in hand for as long as its lease; dropping it leaves the lease to run out.
#[derive(Debug)]
#[must_use = "the message is leased until the guard is told"]
pub struct RedisGuard<R> {
    inbox: RedisInbox<R>,
    name: String,
    token: String,
}

impl<R: Redis + Clone> RedisGuard<R> {
    /// The message was handled. Returns `false` if the lease had run out before: another consumer may
    /// have handled it too.
    ///
    /// # Errors
    /// The client's own.
    pub async fn done(self) -> Result<bool, R::Error> {
        self.ours(DONE_IF_OURS, Some(self.inbox.remember)).await
    }

    /// Lets the message be handled again at once.
    ///
    /// # Errors
    /// The client's own.
    pub async fn release(self) -> Result<bool, R::Error> {
        self.ours(DELETE_IF_OURS, None).await
    }

    /// Begins the lease anew. Returns `false` if it had run out: stop handling.
    ///
    /// # Errors
    /// The client's own.
    pub async fn renew(&self) -> Result<bool, R::Error> {
        self.ours(RENEW_IF_OURS, Some(self.inbox.lease)).await
    }

    async fn ours(&self, script: &str, time: Option<Duration>) -> Result<bool, R::Error> {
        let time = time.map(millis).unwrap_or_default();
        let parts = ["EVAL", script, "1", &self.name, &self.token, &time];
        let said = self.inbox.redis.command(&parts).await?;
        Ok(matches!(said, RedisReply::Integer(n) if n > 0))
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().clamp(1, 1 << 50).to_string()
}
