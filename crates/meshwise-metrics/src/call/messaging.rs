//! Messages, sent and processed.

use super::{
    ends::Ends,
    label_sets::{CallLabels, LabelSets, is_same, mark},
};
use crate::{
    backend::Backend,
    catalogue,
    guard::LabelGuard,
    hub::Metrics,
    key::{METADATA, label},
    names,
};
use meshwise_core::ErrorType;
use metrics::{Counter, Gauge, Histogram, Key, Label};
use std::{
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
    time::Duration,
};

const MAX_DESTINATIONS: usize = 200;
const MAX_GROUPS: usize = 200;
/// How many ends of operations of one channel have a place of their own; others are looked up.
const ENDS: usize = 8;
const PROCESS: &str = "process";

/// Counts and times messages, as producers and consumers see them. Cheap to clone.
///
/// Handles are resolved once per label set and kept; what is recorded to a known label set takes
/// no lock and allocates nothing.
#[derive(Clone, Debug)]
pub struct MessagingMetrics(Arc<MessagingInner>);

#[derive(Debug)]
struct MessagingInner {
    sent: LabelSets<OwnedOperation, Arc<OperationHandles>>,
    processed: LabelSets<OwnedOperation, Arc<OperationHandles>>,
    channels: LabelSets<OwnedChannel, Arc<ChannelHandles>>,
    lag: LabelSets<OwnedLag, Gauge>,
    destinations: LabelGuard,
    groups: LabelGuard,
}

#[derive(Debug)]
struct OperationHandles {
    duration: Histogram,
    messages: Counter,
}

#[derive(Debug)]
struct ChannelHandles {
    consumed: Counter,
    duplicates: Counter,
    age: Gauge,
}

/// Counts the messages of one channel: what is looked up by labels is found here again.
#[derive(Debug)]
pub struct MessagingSeries {
    metrics: MessagingMetrics,
    channel: OwnedChannel,
    handles: OnceLock<Arc<ChannelHandles>>,
    ended: Ends<OperationEnd, OperationHandles, ENDS>,
}

/// Tells one finished operation of a channel from another.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct OperationEnd {
    /// What is done: `send`, `request`, `process`.
    pub operation: &'static str,
    /// What became of a message that was processed: `ack`, `nack`, ...; empty for producers.
    pub settled: &'static str,
    /// The kind of error, if it failed or was cancelled.
    pub error_type: Option<ErrorType>,
}

/// Says where messages flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct MessagingChannel<'a> {
    /// The messaging system: `kafka`, `rabbitmq`, `nats`, `mqtt`.
    pub system: &'static str,
    /// The topic, queue or subject; for unbounded ones their template.
    pub destination: &'a str,
    /// The consumer group, queue group or durable consumer; `None` for producers.
    pub group: Option<&'a str>,
}

/// Tells one finished operation from all others.
#[derive(Clone, Copy)]
struct OperationLabels<'a> {
    channel: MessagingChannel<'a>,
    end: OperationEnd,
}

#[derive(Debug)]
pub(super) struct OwnedChannel {
    system: &'static str,
    destination: Arc<str>,
    group: Option<Arc<str>>,
}

#[derive(Debug)]
pub(super) struct OwnedOperation {
    channel: OwnedChannel,
    end: OperationEnd,
}

#[derive(Debug)]
pub(super) struct OwnedLag {
    channel: OwnedChannel,
    partition: Option<u32>,
}

#[derive(Clone, Copy, Hash)]
struct LagLabels<'a> {
    channel: MessagingChannel<'a>,
    partition: Option<u32>,
}

const CHANNEL: [&str; 3] = [
    names::LABEL_MESSAGING_SYSTEM,
    names::LABEL_MESSAGING_DESTINATION_NAME,
    names::LABEL_MESSAGING_CONSUMER_GROUP_NAME,
];
const OPERATION: [&str; 6] = [
    CHANNEL[0],
    CHANNEL[1],
    CHANNEL[2],
    names::LABEL_MESSAGING_OPERATION_NAME,
    names::LABEL_MESSAGING_OPERATION_TYPE,
    names::LABEL_ERROR_TYPE,
];
const LAG: [&str; 4] =
    [CHANNEL[0], CHANNEL[1], CHANNEL[2], names::LABEL_MESSAGING_DESTINATION_PARTITION_ID];

impl MessagingMetrics {
    /// Resolves the instruments in `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        catalogue::describe(&**metrics.backend(), catalogue::MESSAGING);
        let duration = names::MESSAGING_CLIENT_OPERATION_DURATION;
        let process = names::MESSAGING_PROCESS_DURATION;
        let consumed = names::MESSAGING_CLIENT_CONSUMED_MESSAGES;
        let lag = names::CONSUMER_LAG;
        let guard = |label, limit| LabelGuard::new(metrics, process, label, limit);
        Self(Arc::new(MessagingInner {
            sent: LabelSets::new(metrics, duration, &OPERATION),
            processed: LabelSets::new(metrics, process, &OPERATION),
            channels: LabelSets::new(metrics, consumed, &CHANNEL),
            lag: LabelSets::new(metrics, lag, &LAG),
            destinations: guard(names::LABEL_MESSAGING_DESTINATION_NAME, MAX_DESTINATIONS),
            groups: guard(names::LABEL_MESSAGING_CONSUMER_GROUP_NAME, MAX_GROUPS),
        }))
    }

    /// Finds the series of one channel.
    #[must_use]
    pub fn series(&self, channel: &MessagingChannel<'_>) -> MessagingSeries {
        MessagingSeries {
            metrics: self.clone(),
            channel: channel.keep(),
            handles: OnceLock::new(),
            ended: Ends::default(),
        }
    }

    /// Sets how many messages a consumer is behind; of one partition, where there are such.
    pub fn lag(&self, channel: &MessagingChannel<'_>, partition: Option<u32>, messages: u64) {
        let inner = &*self.0;
        let labels = LagLabels { channel: *channel, partition };
        let gauge = inner.lag.get(&labels).unwrap_or_else(|| {
            let bounded = inner.bounded(*channel);
            let labels = LagLabels { channel: bounded.borrow(), partition };
            inner.lag.get_or_make(&labels, |recorder, labels| {
                recorder.register_gauge(
                    &Key::from_parts(names::CONSUMER_LAG, labels.to_vec()),
                    &METADATA,
                )
            })
        });
        // Beyond 2^53 messages the last digits are rounded.
        #[allow(clippy::cast_precision_loss)]
        gauge.set(messages as f64);
    }
}

impl MessagingSeries {
    /// Records messages that were sent, or processed and settled: `count` of them in one operation.
    pub fn ended(&self, end: &OperationEnd, duration: Duration, count: u64) {
        match self.ended.find(|ended| end.is(ended)) {
            Some(handles) => handles.record(duration, count),
            None => self.find(end).record(duration, count),
        }
    }

    /// Counts messages that have come to a consumer.
    #[inline]
    pub fn consumed(&self, count: u64) {
        self.handles().consumed.increment(count);
    }

    /// Counts a message that had been processed before.
    pub fn duplicate(&self) {
        self.handles().duplicates.increment(1);
    }

    /// Sets the age of the oldest message in hand, in seconds; 0 if there is none.
    pub fn age(&self, age: Duration) {
        self.handles().age.set(age.as_secs_f64());
    }

    /// Finds the handles of the whole label set, or has them registered.
    fn find(&self, end: &OperationEnd) -> Arc<OperationHandles> {
        let inner = &*self.metrics.0;
        let processes = end.operation == PROCESS;
        let sets = if processes { &inner.processed } else { &inner.sent };
        let labels = OperationLabels { channel: self.channel.borrow(), end: *end };
        if let Some(known) = sets.get(&labels) {
            self.ended.keep(*end, known);
            return Arc::clone(known);
        }
        let bounded = inner.bounded(labels.channel);
        let labels = OperationLabels { channel: bounded.borrow(), ..labels };
        // What is made may be of one set too many, each use of which is counted.
        Arc::clone(sets.get_or_make(&labels, |recorder, labels| {
            Arc::new(match processes {
                true => OperationHandles::processed(recorder, labels),
                false => OperationHandles::sent(recorder, labels),
            })
        }))
    }

    #[inline]
    fn handles(&self) -> &ChannelHandles {
        match self.handles.get() {
            Some(handles) => handles,
            None => self.find_handles(),
        }
    }

    fn find_handles(&self) -> &ChannelHandles {
        let inner = &*self.metrics.0;
        let channel = self.channel.borrow();
        match inner.channels.get(&channel) {
            Some(known) => self.handles.get_or_init(|| Arc::clone(known)),
            None => inner.channels.get_or_make(&inner.bounded(channel).borrow(), |to, labels| {
                Arc::new(ChannelHandles::register(to, labels))
            }),
        }
    }
}

impl OperationEnd {
    #[inline]
    fn is(&self, other: &Self) -> bool {
        is_same(self.operation, other.operation)
            && is_same(self.settled, other.settled)
            && self.error_type == other.error_type
    }
}

impl OperationHandles {
    fn sent(recorder: &dyn Backend, labels: &[Label]) -> Self {
        let duration = Key::from_parts(names::MESSAGING_CLIENT_OPERATION_DURATION, labels.to_vec());
        let messages = Key::from_parts(names::MESSAGING_CLIENT_SENT_MESSAGES, labels.to_vec());
        Self {
            duration: recorder.register_histogram(&duration, &METADATA),
            messages: recorder.register_counter(&messages, &METADATA),
        }
    }

    fn processed(recorder: &dyn Backend, labels: &[Label]) -> Self {
        let mut labels = labels.to_vec();
        let settled = labels.iter().position(|label| label.key() == names::LABEL_OUTCOME);
        let settled = settled.map(|at| labels.swap_remove(at));
        let kept = |label: &&Label| CHANNEL.contains(&label.key());
        let mut of_channel: Vec<Label> = labels.iter().filter(kept).cloned().collect();
        of_channel.push(settled.unwrap_or_else(|| label(names::LABEL_OUTCOME, names::OTHER)));
        let duration = Key::from_parts(names::MESSAGING_PROCESS_DURATION, labels);
        let settled = Key::from_parts(names::MESSAGES_SETTLED, of_channel);
        Self {
            duration: recorder.register_histogram(&duration, &METADATA),
            messages: recorder.register_counter(&settled, &METADATA),
        }
    }

    #[inline]
    fn record(&self, duration: Duration, count: u64) {
        self.duration.record(duration);
        self.messages.increment(count);
    }
}

impl ChannelHandles {
    fn register(recorder: &dyn Backend, labels: &[Label]) -> Self {
        let key = |name| Key::from_parts(name, labels.to_vec());
        let consumed = key(names::MESSAGING_CLIENT_CONSUMED_MESSAGES);
        Self {
            consumed: recorder.register_counter(&consumed, &METADATA),
            duplicates: recorder.register_counter(&key(names::MESSAGES_DUPLICATE), &METADATA),
            age: recorder.register_gauge(&key(names::CONSUMER_AGE), &METADATA),
        }
    }
}

impl MessagingInner {
    fn bounded(&self, channel: MessagingChannel<'_>) -> OwnedChannel {
        OwnedChannel {
            system: channel.system,
            destination: self.destinations.intern(channel.destination),
            group: channel.group.map(|group| self.groups.intern(group)),
        }
    }
}

impl OwnedChannel {
    fn borrow(&self) -> MessagingChannel<'_> {
        MessagingChannel {
            system: self.system,
            destination: &self.destination,
            group: self.group.as_deref(),
        }
    }
}

impl Hash for MessagingChannel<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.destination.as_bytes());
        state.write(self.group.unwrap_or_default().as_bytes());
    }
}

impl Hash for OperationLabels<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.channel.hash(state);
        state.write_u64(mark(self.end.operation) | mark(self.end.settled) << 16);
    }
}

impl CallLabels for MessagingChannel<'_> {
    type Owned = OwnedChannel;

    fn are(&self, kept: &OwnedChannel) -> bool {
        *self.destination == *kept.destination
            && self.group == kept.group.as_deref()
            && is_same(self.system, kept.system)
    }

    fn keep(&self) -> OwnedChannel {
        OwnedChannel {
            system: self.system,
            destination: self.destination.into(),
            group: self.group.map(Arc::from),
        }
    }

    fn list(&self) -> Vec<Label> {
        let mut labels = vec![
            label(names::LABEL_MESSAGING_SYSTEM, self.system),
            label(names::LABEL_MESSAGING_DESTINATION_NAME, Arc::from(self.destination)),
        ];
        if let Some(group) = self.group {
            labels.push(label(names::LABEL_MESSAGING_CONSUMER_GROUP_NAME, Arc::from(group)));
        }
        labels
    }
}

impl CallLabels for OperationLabels<'_> {
    type Owned = OwnedOperation;

    fn are(&self, kept: &OwnedOperation) -> bool {
        self.end.is(&kept.end) && self.channel.are(&kept.channel)
    }

    fn keep(&self) -> OwnedOperation {
        OwnedOperation { channel: self.channel.keep(), end: self.end }
    }

    fn list(&self) -> Vec<Label> {
        let OperationEnd { operation, settled, error_type } = self.end;
        let mut labels = self.channel.list();
        // A request is one that is sent, with an answer.
        let kind = if operation == PROCESS { PROCESS } else { "send" };
        labels.push(label(names::LABEL_MESSAGING_OPERATION_NAME, operation));
        labels.push(label(names::LABEL_MESSAGING_OPERATION_TYPE, kind));
        if let Some(error_type) = error_type {
            labels.push(label(names::LABEL_ERROR_TYPE, error_type.as_str()));
        }
        if !settled.is_empty() {
            labels.push(label(names::LABEL_OUTCOME, settled));
        }
        labels
    }
}

impl CallLabels for LagLabels<'_> {
    type Owned = OwnedLag;

    fn are(&self, kept: &OwnedLag) -> bool {
        self.partition == kept.partition && self.channel.are(&kept.channel)
    }

    fn keep(&self) -> OwnedLag {
        OwnedLag { channel: self.channel.keep(), partition: self.partition }
    }

    fn list(&self) -> Vec<Label> {
        let mut labels = self.channel.list();
        if let Some(partition) = self.partition {
            labels.push(label(
                names::LABEL_MESSAGING_DESTINATION_PARTITION_ID,
                partition.to_string(),
            ));
        }
        labels
    }
}
