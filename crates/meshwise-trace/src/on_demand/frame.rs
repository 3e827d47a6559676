//! What a thread keeps: the calls whose code runs on it, and what is on its way to layers.

use std::cell::{Cell, RefCell};
use tracing::{Metadata, span::Id};

thread_local! {
    /// The calls whose code runs on this thread, each within the one before.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    /// The next span that is looked up here, or asked for, is so for the answering layer, which has none.
    pub(super) static HIDDEN: Cell<bool> = const { Cell::new(false) };
    /// The event that the layers are told of belongs to a call that has no `tracing` span.
    pub(super) static OF_CALL: Cell<bool> = const { Cell::new(false) };
    /// The event or span that the filters were asked about last and let through, while it has not come:
    /// its fields are being evaluated.
    pub(super) static AWAITED: Cell<Option<&'static Metadata<'static>>> = const { Cell::new(None) };
    /// Another event or span went through the filters since this was last looked at.
    pub(super) static MEANWHILE: Cell<bool> = const { Cell::new(false) };
    /// The next event has values of this workspace's alone.
    pub(super) static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// A call whose code runs.
pub(crate) struct Frame {
    /// Whose it is: guards may be dropped in any order.
    pub(super) owner: usize,
    /// The subscriber that is to make its span.
    pub(super) subscriber: u64,
    /// How many of the application's spans were entered since.
    pub(super) inside: u32,
    /// The call's span, once it is made.
    span: Option<Id>,
    pub(super) state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    NotAsked,
    Entered,
    /// The subscriber wants no such span.
    Refused,
}

/// Does something with the innermost frame; a thread that ends has none.
pub(super) fn with_last<T>(work: impl FnOnce(&mut Frame) -> T) -> Option<T> {
    FRAMES.try_with(|frames| frames.try_borrow_mut().ok()?.last_mut().map(work)).ok().flatten()
}

impl Frame {
    #[inline]
    pub(crate) fn push(owner: usize, subscriber: u64, span: Option<&Id>) {
        let (span, state) = (span.cloned(), State::NotAsked);
        let frame = Self { owner, subscriber, inside: 0, span, state };
        let _ending = FRAMES.try_with(|frames| frames.borrow_mut().push(frame));
    }

    /// Ends the owner's innermost frame if nothing became of it: it is the last, its span was not
    /// entered, and is the one that is `known`. Tells whether it did.
    #[inline]
    pub(crate) fn pop_unused(owner: usize, known: Option<&Id>) -> bool {
        let popped = FRAMES.try_with(|frames| {
            let mut frames = frames.borrow_mut();
            let unused = frames.last().is_some_and(|last| {
                last.owner == owner && last.state != State::Entered && last.span.as_ref() == known
            });
            if unused {
                frames.pop();
            }
            unused
        });
        popped.unwrap_or(true)
    }

    /// Returns the span of the owner's innermost frame, if that was entered.
    #[inline]
    pub(crate) fn entered(owner: usize) -> Option<Id> {
        let entered = FRAMES.try_with(|frames| {
            let frames = frames.borrow();
            let frame = frames.iter().rfind(|frame| frame.owner == owner)?;
            frame.span.clone().filter(|_| frame.state == State::Entered)
        });
        entered.ok().flatten()
    }

    /// Ends the owner's innermost frame, and returns its span.
    #[inline]
    pub(crate) fn pop(owner: usize) -> Option<Id> {
        let span = FRAMES.try_with(|frames| {
            let mut frames = frames.borrow_mut();
            let last = frames.iter().rposition(|frame| frame.owner == owner)?;
            frames.remove(last).span
        });
        span.ok().flatten()
    }

    /// Tells whether a frame of the owner's on this thread has the span.
    pub(crate) fn holds(owner: usize, span: &Id) -> bool {
        let has = |frame: &Self| frame.owner == owner && frame.span.as_ref() == Some(span);
        FRAMES.try_with(|frames| frames.borrow().iter().any(has)).unwrap_or(false)
    }

    /// Takes the innermost frame as one whose span is being made, and returns the span that an owner
    /// entered more than once has already: that of its outermost frame.
    pub(super) fn start() -> Option<Id> {
        let known = FRAMES.try_with(|frames| {
            let mut frames = frames.try_borrow_mut().ok()?;
            let last = frames.last_mut()?;
            // Nothing that the layers do on the way makes it once more.
            last.state = State::Refused;
            let owner = last.owner;
            frames.iter().filter(|frame| frame.owner == owner).find_map(|frame| frame.span.clone())
        });
        known.ok().flatten()
    }

    /// Takes the innermost frame as entered, and tells all of its owner's which span they have.
    pub(super) fn enter(span: &Id) {
        let _ending = FRAMES.try_with(|frames| {
            let Ok(mut frames) = frames.try_borrow_mut() else { return };
            let Some(last) = frames.last_mut() else { return };
            (last.span, last.state) = (Some(span.clone()), State::Entered);
            let owner = last.owner;
            for frame in frames.iter_mut().filter(|frame| frame.owner == owner) {
                frame.span.get_or_insert_with(|| span.clone());
            }
        });
    }
}
