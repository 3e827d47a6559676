//! The places of spans' data, used again: what exporters are done with goes back to the threads that record.
//!
//! ```text
//! a thread's own ──> record ──> queue ──> exporter's thread ─┐
//!       ^                                                    │ at most MAX_RETURNED
//!       └────────────── some at a time ──────────────────────┘
//! ```
//!
//! Otherwise each recorded span would cost its thread two allocations of memory that another thread frees,
//! the dearest kind for any allocator, and be moved some ten times on the way.

use crate::room::{LateText, Room};
use meshwise_core::internal::spares;
use opentelemetry::{
    InstrumentationScope,
    trace::{SpanContext, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::{
    cell::RefCell,
    mem,
    ops::{Deref, DerefMut},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::SystemTime,
};

/// How many a thread takes at a time, and so keeps at most.
const TAKEN: usize = 16;
/// How many wait to be taken at most: twice the usual batch.
const MAX_RETURNED: usize = 1024;
/// What has room for more is not kept, of attributes and of events.
const MAX_ROOM: usize = 64;

/// A place with its data, which stays where it is.
pub(crate) type SpanBox = Box<Place>;

/// A span's data, and a text of it that is still to be made an attribute's.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    data: SpanData,
    late: LateText,
}

impl Place {
    /// Lends what a span's first attributes are put into.
    #[inline]
    pub(crate) fn lend(&mut self) -> Room {
        let attributes = mem::take(&mut self.data.attributes);
        Room { attributes, late: mem::take(&mut self.late) }
    }

    /// Takes back what was lent.
    #[inline]
    pub(crate) fn take_back(&mut self, room: Room) {
        Room { attributes: self.data.attributes, late: self.late } = room;
    }

    /// Makes the data whole. Until then no attribute may change its place.
    #[inline]
    pub(crate) fn complete(&mut self) {
        self.late.put_into(&mut self.data.attributes);
    }

    /// Returns the data.
    pub(crate) fn into_data(mut self) -> SpanData {
        self.complete();
        self.data
    }
}

impl From<SpanData> for Place {
    fn from(data: SpanData) -> Self {
        Self { data, late: LateText::default() }
    }
}

impl Deref for Place {
    type Target = SpanData;

    fn deref(&self) -> &SpanData {
        &self.data
    }
}

impl DerefMut for Place {
    fn deref_mut(&mut self) -> &mut SpanData {
        &mut self.data
    }
}

thread_local! {
    static OWN: RefCell<Vec<SpanBox>> = const { RefCell::new(Vec::new()) };
}

static RETURNED: Mutex<Vec<SpanBox>> = Mutex::new(Vec::new());
/// How many are in [`RETURNED`], to be seen without its lock.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Returns a place, with room for attributes and events if it was used before.
#[inline]
pub(crate) fn take() -> SpanBox {
    spares::take(&OWN).or_else(refill).unwrap_or_else(|| Box::new(blank().into()))
}

/// Takes some of those that were returned.
#[inline(never)]
fn refill() -> Option<SpanBox> {
    // A thread that is about to end keeps nothing.
    let own = OWN.try_with(|own| {
        let mut own = own.borrow_mut();
        own.reserve(TAKEN);
        if WAITING.load(Relaxed) > 0 {
            let mut returned = returned();
            let left = returned.len().saturating_sub(TAKEN);
            own.extend(returned.drain(left..));
            WAITING.store(left, Relaxed);
        }
        own.pop()
    });
    own.ok().flatten()
}

fn returned() -> MutexGuard<'static, Vec<SpanBox>> {
    RETURNED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the places of exported spans to the threads that record.
pub(crate) fn put_back(mut batch: Vec<SpanBox>) {
    batch.iter_mut().for_each(|span| clear(span));
    let mut returned = returned();
    batch.truncate(MAX_RETURNED.saturating_sub(returned.len()));
    returned.append(&mut batch);
    WAITING.store(returned.len(), Relaxed);
}

/// Keeps the place of a span that goes nowhere for this thread's next.
#[inline(never)]
pub(crate) fn keep(mut span: SpanBox) {
    clear(&mut span);
    spares::keep(&OWN, TAKEN, span);
}

/// Takes the data out of a place, which keeps its room.
pub(crate) fn move_out(place: &mut SpanData) -> SpanData {
    let attributes = place.attributes.drain(..).collect();
    let room = mem::take(&mut place.attributes);
    let data = mem::replace(place, blank());
    place.attributes = room;
    place.instrumentation_scope = data.instrumentation_scope.clone();
    SpanData { attributes, ..data }
}

/// Forgets what a span held; its scope is likely to be that of the next.
fn clear(place: &mut Place) {
    fn empty<T>(list: &mut Vec<T>) {
        match list.capacity() <= MAX_ROOM {
            true => list.clear(),
            false => *list = Vec::new(),
        }
    }
    place.late.clear();
    empty(&mut place.attributes);
    empty(&mut place.events.events);
    place.events.dropped_count = 0;
    place.links = SpanLinks::default();
    place.name = "".into();
    place.status = Status::Unset;
    place.span_context = SpanContext::NONE;
}

/// Tells whether two scopes are one tracer's, which has its texts once.
pub(crate) fn has_texts_of(one: &InstrumentationScope, other: &InstrumentationScope) -> bool {
    let texts = |scope: &InstrumentationScope| {
        let address = |text: &str| (text.as_ptr(), text.len());
        (address(scope.name()), scope.version().map(address), scope.schema_url().map(address))
    };
    let plain = |scope: &InstrumentationScope| scope.attributes().next().is_none();
    texts(one) == texts(other) && plain(one) && plain(other)
}

/// Makes what says nothing.
pub(crate) fn blank() -> SpanData {
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "".into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::span_data;
    use opentelemetry::KeyValue;

    /// Other tests take and return places, too: what is looked for is found by its room.
    fn with_room(room: usize) -> SpanBox {
        let mut span = Box::new(Place::from(span_data("used")));
        span.attributes = Vec::with_capacity(room);
        span.attributes.push(KeyValue::new("secret", "of the one before"));
        span.status = Status::error("it failed");
        span.events.dropped_count = 3;
        span
    }

    #[test]
    fn a_place_comes_back_empty_with_its_room() {
        put_back((0..TAKEN + 2).map(|_| with_room(37)).collect());
        let mut found = false;
        for _ in 0..MAX_RETURNED + TAKEN {
            let place = take();
            assert!(place.attributes.is_empty() && place.name.is_empty());
            assert_eq!((&place.status, place.events.dropped_count), (&Status::Unset, 0));
            found |= place.attributes.capacity() == 37;
        }
        assert!(found);
    }

    #[test]
    fn no_more_are_kept_than_the_bounds_say() {
        put_back((0..3 * MAX_RETURNED).map(|_| with_room(5)).collect());
        assert!(returned().len() <= MAX_RETURNED);
        let mut huge = with_room(MAX_ROOM + 1);
        clear(&mut huge);
        assert_eq!(huge.attributes.capacity(), 0);
        OWN.with(|own| assert!(own.borrow().len() <= TAKEN));
    }

    #[test]
    fn what_is_moved_out_is_whole() {
        let mut place = with_room(9);
        let whole = place.data.clone();
        assert_eq!(move_out(&mut place), whole);
        assert_eq!((place.attributes.len(), place.attributes.capacity()), (0, 9));
    }
}
