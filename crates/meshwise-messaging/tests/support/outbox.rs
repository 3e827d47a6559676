//! An outbox whose rows are looked at.

use meshwise_messaging::{OutboxMessage, OutboxStore};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

/// An outbox in memory.
#[derive(Clone, Default)]
pub(crate) struct Table(pub(crate) Arc<Mutex<Vec<OutboxMessage>>>);

impl Table {
    pub(crate) fn put(&self, id: i64, key: Option<&str>) {
        let mut message = OutboxMessage::new("mails", vec![]);
        (message.id, message.key) = (id, key.map(ToOwned::to_owned));
        let mut messages = self.0.lock().unwrap();
        let at = messages.partition_point(|other| other.id < id);
        messages.insert(at, message);
    }

    pub(crate) fn ids(&self) -> Vec<i64> {
        self.0.lock().unwrap().iter().map(|message| message.id).collect()
    }
}

impl OutboxStore for Table {
    type Error = Infallible;

    async fn waiting(
        &mut self,
        after: i64,
        without: &[String],
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, Infallible> {
        let messages = self.0.lock().unwrap();
        let wanted = messages.iter().filter(|message| {
            message.id > after && !message.key.as_ref().is_some_and(|key| without.contains(key))
        });
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn sent(&mut self, id: i64) -> Result<(), Infallible> {
        self.0.lock().unwrap().retain(|message| message.id != id);
        Ok(())
    }

    async fn failed(&mut self, id: i64) -> Result<(), Infallible> {
        let mut messages = self.0.lock().unwrap();
        messages.iter_mut().filter(|m| m.id == id).for_each(|message| message.attempts += 1);
        Ok(())
    }
}
