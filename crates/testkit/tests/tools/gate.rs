//! What a gate lets through, and when.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokenkeeper_testkit::Gate;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_open_gate_holds_nobody() {
    assert!(poll(pin!(Gate::open().wait())).is_ready());
}

#[test]
fn a_closed_gate_holds_until_it_is_released() {
    let gate = Gate::closed();
    let mut waiter = pin!(gate.wait());
    assert!(poll(waiter.as_mut()).is_pending());

    gate.release();

    assert!(poll(waiter).is_ready());
}

#[test]
fn who_was_released_goes_although_the_gate_is_closed_again() {
    let gate = Gate::closed();
    let mut waiter = pin!(gate.wait());
    assert!(poll(waiter.as_mut()).is_pending());

    gate.release();
    gate.hold();

    assert!(poll(waiter).is_ready());
    assert!(poll(pin!(gate.wait())).is_pending());
}

#[test]
fn those_who_came_first_are_let_through_first() {
    let gate = Gate::closed();
    let mut first = pin!(gate.wait());
    let mut second = pin!(gate.wait());
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());

    gate.let_through(1);

    assert!(poll(first).is_ready());
    assert!(poll(second).is_pending());
    assert_eq!(gate.waiting(), 1);
}

#[test]
fn a_waiter_that_is_dropped_no_longer_counts() {
    let gate = Gate::closed();
    {
        let mut waiter = pin!(gate.wait());
        assert!(poll(waiter.as_mut()).is_pending());
        assert_eq!(gate.waiting(), 1);
    }

    assert_eq!(gate.waiting(), 0);
    assert!(poll(pin!(gate.arrived(1))).is_pending());
}
