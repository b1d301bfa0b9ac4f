//! M10: whatever happens to three processes in whatever order, nothing is spent twice, nothing
//! newer is replaced by something older, and in the end they agree.
//!
//! One operation at a time, on one thread and a manual clock, so that a failure repeats.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use crate::support::fleet::{Fleet, OVER, seconds, secret};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult};
use tokenkeeper::{AccessToken, Error, Order, Refreshed, TokenManager, TokenSet, TokenStorage};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault, StorageOperation};

/// What can happen to a fleet. A number names a process.
#[derive(Clone, Debug)]
enum Act {
    Token(usize),
    AllToken,
    Force(usize),
    Login(usize),
    Reject(usize),
    Clear(usize),
    Install(usize),
    InstallSpent(usize),
    Advance(u64),
    Break(StorageOperation, Breakage),
    Mend,
    Refresh(Answer),
    Fetch(Answer),
}

#[derive(Clone, Copy, Debug)]
enum Breakage {
    Before,
    Afterwards,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Issue,
    SameAccessToken,
    Unavailable,
    RefuseCredentials,
    RefuseRefresh,
    Lose,
}

/// What no test of single use can survive: a lost answer, a lost write, a login with old tokens.
fn ruinous() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Refresh(Answer::Lose)),
        (0..3_usize).prop_map(Act::InstallSpent),
        breakage().prop_map(|how| Act::Break(StorageOperation::CompareAndSet, how)),
    ]
}

fn harmless() -> impl Strategy<Value = Act> {
    let answer = || {
        prop_oneof![
            3 => Just(Answer::Issue),
            1 => Just(Answer::SameAccessToken),
            1 => Just(Answer::Unavailable),
            1 => Just(Answer::RefuseCredentials),
        ]
    };
    let reading = prop::sample::select(vec![
        StorageOperation::Lease,
        StorageOperation::Load,
        StorageOperation::Renew,
        StorageOperation::Release,
    ]);
    prop_oneof![
        4 => (0..3_usize).prop_map(Act::Token),
        3 => Just(Act::AllToken),
        3 => (0..3_usize).prop_map(Act::Force),
        1 => (0..3_usize).prop_map(Act::Login),
        3 => (0..3_usize).prop_map(Act::Reject),
        1 => (0..3_usize).prop_map(Act::Clear),
        1 => (0..3_usize).prop_map(Act::Install),
        6 => prop::sample::select(vec![1, 6, 61, 300, 700, 1_000]).prop_map(Act::Advance),
        2 => (reading, breakage()).prop_map(|(operation, how)| Act::Break(operation, how)),
        2 => Just(Act::Mend),
        2 => answer().prop_map(Act::Refresh),
        1 => Just(Act::Refresh(Answer::RefuseRefresh)),
        1 => answer().prop_map(Act::Fetch),
    ]
}

fn breakage() -> impl Strategy<Value = Breakage> {
    prop_oneof![Just(Breakage::Before), Just(Breakage::Afterwards)]
}

/// A fleet and what has to be remembered of its life.
struct Life {
    fleet: Fleet,
    rejected: [HashSet<String>; 3],
    highest: Order,
    logins: usize,
    /// Holds the service while several processes try at once.
    gate: Gate,
}

async fn forced(manager: &TokenManager) -> Result<Arc<AccessToken>, Error> {
    manager.force_refresh().await.map(Refreshed::into_token)
}

impl Life {
    async fn act(&mut self, act: &Act) -> TestCaseResult {
        let managers = self.fleet.managers.clone();
        match *act {
            Act::Token(at) => self.wait(self.judge(at, managers[at].token())).await?,
            Act::Force(at) => self.wait(self.judge(at, forced(&managers[at]))).await?,
            Act::Login(at) => self.wait(self.judge(at, managers[at].login())).await?,
            Act::AllToken => {
                self.gate.hold();
                let ask = |at: usize| self.judge(at, managers[at].token());
                let release = async {
                    others_get_their_turns(50).await;
                    self.gate.release();
                };
                let all = async { tokio::join!(ask(0), ask(1), ask(2), release) };
                let (a, b, c, ()) = self.wait(all).await;
                a.and(b).and(c)?;
            }
            Act::Reject(at) => {
                if let Some(token) = managers[at].peek() {
                    managers[at].invalidate(&token);
                    self.rejected[at].insert(secret(&token).to_owned());
                }
            }
            Act::Clear(at) => drop(self.wait(managers[at].clear()).await),
            Act::Install(at) => {
                self.logins += 1;
                let tokens = self.fleet.login(&format!("login-{}", self.logins));
                drop(self.wait(managers[at].install(tokens)).await);
            }
            Act::InstallSpent(at) => {
                let spent = self.fleet.provider.spent();
                if let Some(spent) = spent.first() {
                    let tokens = TokenSet::from_refresh_token(spent.as_str());
                    drop(self.wait(managers[at].install(tokens)).await);
                }
            }
            Act::Advance(by) => self.fleet.clock.advance(seconds(by)),
            Act::Break(operation, how) => {
                let fault = match how {
                    Breakage::Before => StorageFault::Fail,
                    Breakage::Afterwards => StorageFault::FailAfterwards,
                };
                self.fleet.storage.fault_until_healed(operation, fault);
            }
            Act::Mend => self.fleet.storage.heal(),
            Act::Refresh(answer) => {
                self.fleet.provider.always_on_refresh(answer.step().held(&self.gate));
            }
            Act::Fetch(answer) => {
                self.fleet.provider.always_on_fetch(answer.step().held(&self.gate));
            }
        }
        for manager in &managers {
            // It fails while the storage does; it is the barrier that counts.
            let _ = self.wait(manager.flush()).await;
        }
        self.look_into_storage().await
    }

    /// Waits, and lets time pass when nothing else is left to wait for: a process whose write
    /// failed keeps its lease.
    async fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = others_get_their_turns(200) => {}
            }
            let next = self.fleet.clock.next_wake();
            self.fleet.clock.advance(next.unwrap_or(seconds(1)));
        }
    }

    /// Nobody gets a token of which the manager knows that it was rejected, unless it may make no
    /// exchange for that now.
    async fn judge(
        &self,
        at: usize,
        asked: impl Future<Output = Result<Arc<AccessToken>, Error>>,
    ) -> TestCaseResult {
        let Ok(token) = asked.await else { return Ok(()) };
        if self.rejected[at].contains(secret(&token)) {
            let would_replace = self.fleet.managers[at].invalidate(&token);
            prop_assert!(!would_replace, "{} was rejected", secret(&token));
        }
        Ok(())
    }

    async fn look_into_storage(&mut self) -> TestCaseResult {
        let key = self.fleet.managers[0].key();
        let record = self.fleet.storage.inner().get(key).await.unwrap();
        let order = record.map_or(Order::default(), |record| record.order());
        prop_assert!(order >= self.highest, "{order:?} came after {:?}", self.highest);
        self.highest = order;
        Ok(())
    }

    /// Everything works again: whatever there was, everybody ends up with the same token, and so
    /// does who comes later.
    async fn end_well(&mut self) -> TestCaseResult {
        self.fleet.storage.heal();
        self.fleet.provider.always_on_refresh(Step::issue());
        self.fleet.provider.always_on_fetch(Step::issue());
        for manager in &self.fleet.managers {
            prop_assert!(self.wait(manager.flush()).await.is_ok());
            prop_assert!(manager.status().unpersisted().is_none());
        }
        self.look_into_storage().await?;
        self.fleet.clock.advance(OVER);

        let (a, b, c) = {
            let [a, b, c] = &self.fleet.managers[..] else { unreachable!() };
            tokio::join!(a.token(), b.token(), c.token())
        };
        self.fleet.flush().await;
        let calls = self.fleet.provider.calls();
        let newcomer: TokenManager = self.fleet.newcomer();
        let latest = newcomer.token().await;
        for token in [a, b, c] {
            let (token, latest) = (token.unwrap(), latest.as_ref().unwrap());
            prop_assert_eq!(secret(&token), secret(latest));
        }
        prop_assert_eq!(self.fleet.provider.calls(), calls);
        self.look_into_storage().await
    }
}

/// On one thread, everybody gets as far as possible in so many turns.
async fn others_get_their_turns(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

impl Answer {
    fn step(self) -> Step {
        match self {
            Self::Issue => Step::issue(),
            Self::SameAccessToken => Step::same_access_token(),
            Self::Unavailable => Step::unavailable(),
            Self::RefuseCredentials => Step::refuse_credentials(),
            Self::RefuseRefresh => Step::refuse_refresh(),
            Self::Lose => Step::lose_answer(),
        }
    }
}

fn live(acts: &[Act]) -> Result<ScriptedProvider, TestCaseError> {
    let provider = ScriptedProvider::new("svc");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let fleet = Fleet::on_this_runtime(3, &provider);
        let (rejected, highest) = (Default::default(), Order::default());
        let mut life = Life { fleet, rejected, highest, logins: 0, gate: Gate::open() };
        life.act(&Act::Refresh(Answer::Issue)).await?;
        life.act(&Act::Fetch(Answer::Issue)).await?;
        for act in acts {
            life.act(act).await?;
        }
        life.end_well().await
    })?;
    Ok(provider)
}

fn config(seed: u64) -> ProptestConfig {
    ProptestConfig {
        cases: 300,
        max_shrink_iters: 20_000,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(10))]

    #[test]
    fn no_refresh_token_is_spent_twice_while_answers_and_writes_arrive(
        acts in prop::collection::vec(harmless(), 1..60),
    ) {
        let provider = live(&acts)?;

        prop_assert_eq!(provider.reuses(), 0);
        prop_assert!(provider.most_at_once() <= 1);
    }

    #[test]
    fn order_and_agreement_survive_lost_answers_and_lost_writes(
        acts in prop::collection::vec(prop_oneof![6 => harmless().boxed(), 1 => ruinous().boxed()], 1..60),
    ) {
        let provider = live(&acts)?;

        prop_assert!(provider.most_at_once() <= 1);
    }
}
