//! Permits and their queue against a naive model, over random histories.

use super::{
    Bulkhead, BulkheadConfig,
    permits::{Permits, Place, Use},
};
use futures_util::task::noop_waker;
use meshwise_core::{CallEnd, outcome::Side};
use proptest::prelude::*;
use std::{collections::VecDeque, task::Context, thread};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A caller that would not wait, and one that would.
    Try,
    Ask,
    Release,
    /// One of those who ask looks, or goes away.
    Poll(usize),
    Leave(usize),
    Limit(u32),
    Most(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Try),
        8 => Just(Step::Ask),
        8 => Just(Step::Release),
        6 => any::<usize>().prop_map(Step::Poll),
        4 => any::<usize>().prop_map(Step::Leave),
        2 => (1..6_u32).prop_map(Step::Limit),
        1 => (0..5_u32).prop_map(Step::Most),
    ];
    prop::collection::vec(step, 0..150)
}

/// Grants to the first in line whenever there is room.
#[derive(Default)]
struct Model {
    limit: u32,
    most: u32,
    /// Permits of those who hold one, or have been given one and do not know it yet.
    in_use: u32,
    line: VecDeque<usize>,
}

impl Model {
    fn settle(&mut self) {
        while self.in_use < self.limit && self.line.pop_front().is_some() {
            self.in_use += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn permits_go_to_who_came_first(steps in steps(), limit in 1..5_u32, most in 0..5_u32) {
        let permits = Permits::new(limit, most);
        let mut model = Model { limit, most, ..Model::default() };
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        // Who waits (number in the queue, name in the model), and permits that are held.
        let mut waiting: Vec<(u64, usize)> = vec![];
        let mut held = 0;
        for (name, step) in steps.into_iter().enumerate() {
            let room = model.line.is_empty() && model.in_use < model.limit;
            match step {
                Step::Try => {
                    let out = permits.try_take();
                    prop_assert_eq!(out, room);
                    held += u32::from(room);
                    model.in_use += u32::from(room);
                }
                Step::Ask => match permits.take_or_queue() {
                    Place::Permit => {
                        prop_assert!(room);
                        held += 1;
                        model.in_use += 1;
                    }
                    Place::Queued(number) => {
                        prop_assert!(!room && (model.line.len() as u32) < model.most);
                        waiting.push((number, name));
                        model.line.push_back(name);
                    }
                    Place::Full => {
                        prop_assert!(!room && model.line.len() as u32 >= model.most);
                    }
                },
                Step::Release if held > 0 => {
                    permits.release();
                    held -= 1;
                    model.in_use -= 1;
                }
                Step::Poll(which) if !waiting.is_empty() => {
                    let at = which % waiting.len();
                    let (number, name) = waiting[at];
                    let ready = permits.poll(number, &mut cx).is_ready();
                    prop_assert_eq!(ready, !model.line.contains(&name));
                    if ready {
                        waiting.remove(at);
                        held += 1;
                    }
                }
                Step::Leave(which) if !waiting.is_empty() => {
                    let (number, name) = waiting.remove(which % waiting.len());
                    let granted = permits.leave(number);
                    prop_assert_eq!(granted, !model.line.contains(&name));
                    if granted {
                        permits.release();
                        model.in_use -= 1;
                    }
                    model.line.retain(|other| *other != name);
                }
                Step::Limit(limit) => {
                    permits.set_limit(limit);
                    model.limit = limit;
                }
                Step::Most(most) => {
                    permits.set_most_waiting(most);
                    model.most = most;
                }
                Step::Release | Step::Poll(_) | Step::Leave(_) => {}
            }
            model.settle();
            let expected = Use { in_use: model.in_use, waiting: model.line.len() as u32 };
            prop_assert_eq!(permits.usage(), expected);
        }
    }
}

#[test]
fn a_call_that_gives_up_as_its_permit_comes_takes_it() {
    let config = BulkheadConfig::new().with_limit(1);
    let bulkhead = Bulkhead::new(&"stock".into(), config).unwrap();
    let held = bulkhead.take().unwrap();
    let Place::Queued(number) = bulkhead.permits.take_or_queue() else { panic!("no place") };
    // Another thread ends its call between the look at the queue and the leaving of it.
    bulkhead.end(held, &CallEnd::SUCCESS, Side::Client);
    let permit = bulkhead.leave(number).unwrap();
    assert_eq!(bulkhead.permits.usage(), Use { in_use: 1, waiting: 0 });
    bulkhead.end(permit, &CallEnd::SUCCESS, Side::Client);
    assert_eq!(bulkhead.permits.usage(), Use { in_use: 0, waiting: 0 });
}

#[test]
fn threads_lose_no_permit() {
    let permits = Permits::new(3, 4);
    thread::scope(|scope| {
        for thread in 0..4 {
            let permits = &permits;
            scope.spawn(move || {
                let waker = noop_waker();
                let mut cx = Context::from_waker(&waker);
                for round in 0..5000 {
                    let place = match permits.try_take() {
                        true => Place::Permit,
                        false => permits.take_or_queue(),
                    };
                    match place {
                        Place::Permit => permits.release(),
                        Place::Full => {}
                        // Some wait, some go away after a look.
                        Place::Queued(number) if (round + thread) % 3 == 0 => {
                            if permits.poll(number, &mut cx).is_ready() || permits.leave(number) {
                                permits.release();
                            }
                        }
                        Place::Queued(number) => {
                            while permits.poll(number, &mut cx).is_pending() {
                                thread::yield_now();
                            }
                            permits.release();
                        }
                    }
                    if round % 100 == 0 {
                        permits.set_limit(1 + (round / 100 + thread) % 3);
                    }
                }
            });
        }
    });
    assert_eq!(permits.usage(), Use { in_use: 0, waiting: 0 });
}
