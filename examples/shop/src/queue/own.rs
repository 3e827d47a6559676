//! A queue in this process, so that the shop needs no broker: bounded, at least once, in order. It is
//! also what a carrier for a transport looks like that meshwise does not know.

use super::{ASK_EVERY, Answer, Broker, Message, Taken};
use anyhow::Context as _;
use meshwise::messaging::{
    Carrier, Consumer, Delivery, Lag, LagProbe, LagTask, Position, ProbeError, System,
};
use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many messages it holds, those in hand included.
const CAPACITY: usize = 1000;

/// What the shop calls its own queue.
const SHOP: System = System::new("shop");

/// A message in the queue.
#[derive(Debug)]
struct Kept {
    message: Message,
    offset: u64,
    published: SystemTime,
    deliveries: u32,
    /// Its place in the queue, which it leaves when it is acknowledged.
    _place: OwnedSemaphorePermit,
}

/// A queue of messages. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    places: Arc<Semaphore>,
    state: Mutex<State>,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Kept>,
    published: u64,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let places = Arc::new(Semaphore::new(CAPACITY));
        Self(Arc::new(Shared { places, state: Mutex::default(), came: Notify::new() }))
    }

    /// Puts a message into the queue, once there is a place.
    async fn put(&self, message: Message) -> anyhow::Result<()> {
        let place = Arc::clone(&self.0.places).acquire_owned().await;
        let _place = place.context("the queue is closed")?;
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = state.published;
        state.published += 1;
        let published = SystemTime::now();
        state.waiting.push_back(Kept { message, offset, published, deliveries: 0, _place });
        drop(state);
        self.0.came.notify_one();
        Ok(())
    }

    /// Waits for the next message.
    async fn take(&self) -> Delivered {
        loop {
            let next =
                self.0.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front();
            if let Some(kept) = next {
                return Delivered { queue: self.clone(), kept: Some(kept) };
            }
            self.0.came.notified().await;
        }
    }

    fn put_back(&self, mut kept: Kept) {
        kept.deliveries += 1;
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.push_front(kept);
        drop(state);
        self.0.came.notify_one();
    }
}

impl Broker for Queue {
    fn system(&self) -> System {
        SHOP
    }

    fn publish(&self, message: Message) -> Answer<'_, ()> {
        Box::pin(self.put(message))
    }

    fn receive(&self) -> Answer<'_, Box<dyn Taken>> {
        Box::pin(async { Ok(Box::new(self.take().await) as Box<dyn Taken>) })
    }

    fn watch_lag(&self, consumer: &Consumer) -> LagTask {
        consumer.watch_lag(ASK_EVERY, self.clone())
    }
}

impl LagProbe for Queue {
    async fn probe(&self, _timeout: Duration) -> Result<Vec<Lag>, ProbeError> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(vec![Lag::new(None, state.waiting.len() as u64)])
    }
}

/// A message in hand. Unless it is acknowledged, it is delivered again.
#[derive(Debug)]
pub(crate) struct Delivered {
    queue: Queue,
    kept: Option<Kept>,
}

impl Taken for Delivered {
    fn body(&self) -> Cow<'_, str> {
        self.kept.as_ref().map_or("", |kept| &kept.message.body).into()
    }

    fn ack(mut self: Box<Self>) -> Answer<'static, ()> {
        self.kept = None;
        Box::pin(std::future::ready(Ok(())))
    }

    fn again(self: Box<Self>) -> Answer<'static, ()> {
        drop(self);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Drop for Delivered {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.queue.put_back(kept);
        }
    }
}

impl Carrier for Delivered {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        if let Some(kept) = &self.kept {
            kept.message.headers.each(see);
        }
    }
}

impl Delivery for Delivered {
    fn message_id(&self) -> Option<Cow<'_, str>> {
        self.kept.as_ref().map(|kept| Cow::Borrowed(&*kept.message.id))
    }

    fn position(&self) -> Option<Position<'_>> {
        self.kept.as_ref().map(|kept| Position::new("shop", None, kept.offset))
    }

    fn deliveries_before(&self) -> u32 {
        self.kept.as_ref().map_or(0, |kept| kept.deliveries)
    }

    fn published_at(&self) -> Option<SystemTime> {
        self.kept.as_ref().map(|kept| kept.published)
    }

    fn body_size(&self) -> Option<usize> {
        Some(self.kept.as_ref()?.message.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str) -> Message {
        Message { id: id.to_owned(), headers: Vec::new(), body: String::new() }
    }

    #[tokio::test]
    async fn what_is_not_acknowledged_comes_again_and_first() {
        let queue = Queue::new();
        queue.put(message("a")).await.unwrap();
        queue.put(message("b")).await.unwrap();
        let first = queue.take().await;
        assert_eq!((first.message_id().as_deref(), first.deliveries_before()), (Some("a"), 0));
        drop(first);
        let again = queue.take().await;
        assert_eq!((again.message_id().as_deref(), again.deliveries_before()), (Some("a"), 1));
        Box::new(again).ack().await.unwrap();
        Box::new(queue.take().await).ack().await.unwrap();
        assert_eq!(queue.0.places.available_permits(), CAPACITY, "nothing waits or is in hand");
    }

    #[tokio::test]
    async fn a_full_queue_makes_its_producers_wait() {
        let queue = Queue::new();
        for i in 0..CAPACITY {
            queue.put(message(&i.to_string())).await.unwrap();
        }
        let held = queue.take().await;
        let mut late = Box::pin(queue.put(message("late")));
        assert!(futures_util::poll!(&mut late).is_pending());
        Box::new(held).ack().await.unwrap();
        late.await.unwrap();
    }
}
