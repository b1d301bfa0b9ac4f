//! M2: callers may be dropped at any await point, and nothing is lost.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::support::rig::{Boxed, Rig, login_elsewhere, seconds};
use tokenkeeper::{AccessToken, TokenManager, TokenState};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageOperation};
use tokio::task::JoinSet;

/// A method of the manager, and what must be true once it was started, dropped or not.
struct Method {
    name: &'static str,
    start: fn(TokenManager, Arc<AccessToken>) -> Boxed<bool>,
    calls: Calls,
}

/// Which call of the provider a method leads to.
#[derive(Clone, Copy, PartialEq)]
enum Calls {
    Refresh,
    Fetch,
    Revoke,
    Nothing,
}

const METHODS: [Method; 7] = [
    Method {
        name: "token",
        start: |m, _| Box::pin(async move { m.token().await.is_ok() }),
        calls: Calls::Refresh,
    },
    Method {
        name: "force_refresh",
        start: |m, _| Box::pin(async move { m.force_refresh().await.is_ok() }),
        calls: Calls::Refresh,
    },
    Method {
        name: "replace_rejected",
        start: |m, old| Box::pin(async move { m.replace_rejected(&old).await.is_ok() }),
        calls: Calls::Refresh,
    },
    Method {
        name: "login",
        start: |m, _| Box::pin(async move { m.login().await.is_ok() }),
        calls: Calls::Fetch,
    },
    Method {
        name: "install",
        start: |m, _| Box::pin(async move { m.install(login_elsewhere()).await.is_ok() }),
        calls: Calls::Nothing,
    },
    Method {
        name: "clear",
        start: |m, _| Box::pin(async move { m.clear().await.is_ok() }),
        calls: Calls::Nothing,
    },
    Method {
        name: "revoke",
        start: |m, _| Box::pin(async move { m.revoke().await.is_ok() }),
        calls: Calls::Revoke,
    },
];

/// Where a flight waits for somebody else.
#[derive(Clone, Copy, Debug)]
enum Point {
    Storage(StorageOperation),
    BeforeSending,
    BeforeActing,
    BeforeAnswering,
}

impl Method {
    fn points(&self, rig: &Rig) -> Vec<Point> {
        let mut points = vec![Point::Storage(rig.read()), Point::Storage(rig.write())];
        if self.calls != Calls::Nothing {
            points.extend([Point::BeforeSending, Point::BeforeActing, Point::BeforeAnswering]);
        }
        let exchanges = matches!(self.calls, Calls::Refresh | Calls::Fetch);
        if exchanges && rig.is_shared() {
            points.push(Point::Storage(StorageOperation::Lease));
            points.push(Point::Storage(StorageOperation::Release));
        }
        points
    }

    fn hold(&self, rig: &Rig, point: Point) -> Gate {
        let gate = Gate::closed();
        let step = match point {
            Point::Storage(operation) => return rig.hold_next(operation),
            Point::BeforeSending => Step::issue().held_before_sending(&gate),
            Point::BeforeActing => Step::issue().held(&gate),
            Point::BeforeAnswering => Step::issue().held_before_answering(&gate),
        };
        match self.calls {
            Calls::Refresh => rig.provider.on_refresh(step),
            Calls::Fetch => rig.provider.on_fetch(step),
            Calls::Revoke | Calls::Nothing => rig.provider.on_revoke(step),
        }
        gate
    }

    async fn assert_done(&self, rig: &Rig) {
        match self.name {
            "install" => rig.assert_lives_on("installed").await,
            "clear" | "revoke" => {
                assert!(rig.stored().unwrap().is_tombstone());
                assert_eq!(rig.manager.status().token_state(), TokenState::Absent);
                let revoked = if self.name == "revoke" { vec!["refresh-1"] } else { vec![] };
                assert_eq!(rig.provider.revoked(), revoked);
            }
            _ => {
                assert_eq!(rig.provider.calls(), 2);
                rig.assert_lives_on("refresh-2").await;
            }
        }
    }
}

fn rigs() -> [Rig; 2] {
    Rig::both(|| ScriptedProvider::new("svc"))
}

#[tokio::test]
async fn a_caller_dropped_at_any_point_of_its_flight_loses_nothing() {
    let mut dropped = 0;
    for method in METHODS {
        let points = rigs().map(|rig| method.points(&rig).len());
        for (is_shared, points) in [(0, points[0]), (1, points[1])] {
            for point in 0..points {
                let rig = rigs().into_iter().nth(is_shared).unwrap();
                let point = method.points(&rig)[point];
                println!("{} at {point:?}", method.name);
                let old = rig.with_token_aged(seconds(1_000)).await;
                let gate = method.hold(&rig, point);

                let caller = tokio::spawn((method.start)(rig.manager.clone(), old));
                gate.arrived(1).await;
                caller.abort();
                let _ = caller.await;
                gate.release();
                rig.manager.flush().await.unwrap();

                method.assert_done(&rig).await;
                dropped += 1;
            }
        }
    }
    assert_eq!(dropped, 4 * 12 + 2 * 4 + 10);
}

#[tokio::test]
async fn a_caller_dropped_after_any_number_of_polls_loses_nothing() {
    for method in METHODS {
        for (polls, rig) in (0..6).flat_map(|polls| rigs().map(|rig| (polls, rig))) {
            println!("{} after {polls} polls", method.name);
            let old = rig.with_token_aged(seconds(1_000)).await;

            {
                let mut call = pin!((method.start)(rig.manager.clone(), old));
                for _ in 0..polls {
                    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    if polled.is_ready() {
                        break;
                    }
                    std::thread::yield_now();
                }
            }
            rig.manager.flush().await.unwrap();

            if polls == 0 {
                assert_eq!(rig.provider.calls(), 1);
                rig.assert_lives_on("refresh-1").await;
            } else {
                method.assert_done(&rig).await;
            }
        }
    }
}

#[tokio::test]
async fn an_exchange_whose_callers_are_all_dropped_ends_and_is_stored() {
    for rig in rigs() {
        rig.with_token_aged(seconds(1_000)).await;
        let gate = Gate::closed();
        rig.provider.on_refresh(Step::issue().held_before_answering(&gate));

        let mut callers = JoinSet::new();
        for _ in 0..100 {
            let manager = rig.manager.clone();
            callers.spawn(async move { manager.token().await });
        }
        gate.arrived(1).await;
        callers.shutdown().await;
        gate.release();
        rig.manager.flush().await.unwrap();

        assert_eq!(rig.provider.calls(), 2);
        rig.assert_lives_on("refresh-2").await;
    }
}

#[test]
fn an_exchange_outlives_the_runtime_of_its_callers() {
    for rig in rigs() {
        pollster::block_on(rig.with_token_aged(seconds(1_000)));
        let gate = Gate::closed();
        rig.provider.on_refresh(Step::issue().held_before_answering(&gate));

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let manager = rig.manager.clone();
        runtime.spawn(async move { manager.token().await });
        pollster::block_on(gate.arrived(1));
        drop(runtime);
        gate.release();
        pollster::block_on(rig.manager.flush()).unwrap();

        pollster::block_on(rig.assert_lives_on("refresh-2"));
    }
}

#[tokio::test]
async fn dropping_the_manager_in_the_middle_of_an_exchange_still_stores_it() {
    for rig in rigs() {
        rig.with_token_aged(seconds(1_000)).await;
        let (asked, written) = (Gate::closed(), Gate::closed());
        rig.provider.on_refresh(Step::issue().held(&asked));
        rig.storage.fault_next(
            rig.write(),
            1,
            tokenkeeper_testkit::StorageFault::GateAfterwards(written.clone()),
        );
        let key = rig.manager.key().clone();
        let Rig { manager, shelf, provider, .. } = rig;

        let caller = tokio::spawn(async move { manager.token().await });
        asked.arrived(1).await;
        caller.abort();
        let _ = caller.await;
        asked.release();
        written.arrived(1).await;

        let record = tokenkeeper::TokenStorage::get(&shelf, &key).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(record.payload()).contains("refresh-2"));
        assert_eq!(provider.reuses(), 0);
        written.release();
    }
}
