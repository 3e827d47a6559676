//! One of those that are compared.

use rustix::time::{ClockId, clock_gettime};
use std::{
    fmt,
    time::{Duration, Instant},
};
use tracing::Dispatch;

/// How long allocations are counted, if three calls do not take longer.
const PATIENCE: Duration = Duration::from_millis(300);

/// Does one thing, again and again.
pub struct Contestant {
    call: Box<dyn FnMut()>,
    settle: Box<dyn FnMut()>,
    dispatch: Option<Dispatch>,
    waits: bool,
}

impl Contestant {
    /// Takes what it does once.
    pub fn new(call: impl FnMut() + 'static) -> Self {
        Self { call: Box::new(call), settle: Box::new(|| ()), dispatch: None, waits: false }
    }

    /// Sets what is done after each batch of calls, outside of what is measured: emptying queues.
    #[must_use]
    pub fn with_settle(mut self, settle: impl FnMut() + 'static) -> Self {
        self.settle = Box::new(settle);
        self
    }

    /// Sets the `tracing` subscriber that is there while it runs.
    #[must_use]
    pub fn with_dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = Some(dispatch);
        self
    }

    /// Says that it waits for others: then a clock on the wall measures it. Otherwise it is
    /// measured in the thread's own processor time, which leaves out what others do meanwhile.
    #[must_use]
    pub fn that_waits(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Calls it so many times, and returns what that took all in all.
    pub fn run(&mut self, calls: usize) -> Duration {
        let call = &mut self.call;
        let clock = if self.waits { ClockId::Monotonic } else { ClockId::ThreadCPUTime };
        let taken = inside(self.dispatch.as_ref(), || {
            let started = moment(clock);
            (0..calls).for_each(|_| call());
            moment(clock).saturating_sub(started)
        });
        (self.settle)();
        taken
    }

    /// Calls it so many times, where callgrind can tell these calls from all else.
    pub fn run_counted(&mut self, calls: usize) {
        let call = &mut self.call;
        // What counts allocations takes a hundred instructions itself for each.
        inside(self.dispatch.as_ref(), || allocation_counter::opt_out(|| counted(call, calls)));
        (self.settle)();
    }

    /// Counts what one call allocates on this thread, at the least of many: buffers grow now and
    /// then.
    pub fn allocations(&mut self) -> allocation_counter::AllocationInfo {
        let call = &mut self.call;
        let least = inside(self.dispatch.as_ref(), || {
            let started = Instant::now();
            let counts = (0..50)
                .map_while(|i| (i < 3 || started.elapsed() < PATIENCE).then_some(()))
                .map(|()| allocation_counter::measure(&mut *call));
            counts.min_by_key(|count| (count.count_total, count.bytes_total))
        });
        (self.settle)();
        least.unwrap_or_default()
    }
}

/// [`Callgrind`](crate::Callgrind) knows this function by its name.
#[inline(never)]
fn counted(call: &mut dyn FnMut(), calls: usize) {
    (0..calls).for_each(|_| call());
}

fn moment(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().unwrap_or_default()
}

fn inside<T>(dispatch: Option<&Dispatch>, run: impl FnOnce() -> T) -> T {
    match dispatch {
        Some(dispatch) => tracing::dispatcher::with_default(dispatch, run),
        None => run(),
    }
}

impl fmt::Debug for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contestant").field("dispatch", &self.dispatch).finish_non_exhaustive()
    }
}
