//! Lives a life: carries out its operations, lets time pass, and has the model judge what comes out.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Error, ErrorKind, ProviderIdentity, RefreshPolicy, Refreshed, RefresherHandle,
    TokenManager, TokenManagerMap, TokenSet,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::clock::{LifeClock, idle, millis_of, runtime};
use crate::model::{Begun, Insists, Model, Violation};
use crate::plan::{Answer, Call, Life, Op, Setup, Whose};
use crate::service::{LifeProvider, Script, Service, installed};
use crate::storage::{LifeStorage, Shelf};

/// What came of a life.
#[derive(Clone, Debug)]
pub struct Report {
    pub violations: Vec<Violation>,
    pub operations: usize,
}

pub fn live(life: &Life) -> Report {
    fastrand::seed(life.setup.seed);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let runtime = runtime();
        let report = runtime.block_on(World::live(life));
        drop(runtime);
        report
    }));
    lived.unwrap_or_else(|panic| {
        let detail = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        let violations = vec![Violation { rule: "a panic came out of the crate", detail }];
        Report { violations, operations: life.ops.len() }
    })
}

struct World {
    clock: LifeClock,
    model: Arc<Mutex<Model>>,
    service: Arc<Service>,
    shelf: Arc<Shelf>,
    setup: Setup,
    processes: Vec<Process>,
    calls: VecDeque<Running>,
    operations: usize,
}

struct Process {
    number: usize,
    keeper: Keeper,
    refresher: Option<RefresherHandle>,
    /// The token that was given out last.
    served: Arc<Mutex<Option<Arc<AccessToken>>>>,
}

enum Keeper {
    Manager(TokenManager),
    Map(TokenManagerMap<u8>),
}

struct Running {
    task: JoinHandle<()>,
    begun: Arc<Mutex<Option<Begun>>>,
    call: Call,
}

/// What a call gave.
enum Got {
    Token(Arc<AccessToken>),
    Tokens(Option<TokenSet>),
    Done,
    Failed(Error),
}

impl Keeper {
    fn manager(&self) -> TokenManager {
        match self {
            Self::Manager(manager) => manager.clone(),
            Self::Map(map) => map.get(&0).expect("a provider that can be made"),
        }
    }
}

impl Call {
    fn asks(self) -> bool {
        matches!(self, Self::Token | Self::ValidFor(_) | Self::Replace | Self::Force | Self::Login)
    }

    /// How long the token shall live that is asked for, if a good one will do.
    fn at_least(self) -> Option<u64> {
        match self {
            Self::Token => Some(0),
            Self::ValidFor(millis) => Some(millis),
            _ => None,
        }
    }

    fn insists(self) -> Insists {
        match self {
            Self::Force => Insists::Force,
            Self::Login => Insists::Login,
            _ => Insists::No,
        }
    }
}

impl World {
    async fn live(life: &Life) -> Report {
        let mut world = Self::new(&life.setup);
        for _ in 0..life.setup.processes.max(1) {
            world.add_process();
        }
        for op in &life.ops {
            world.act(op).await;
            world.look().await;
        }
        world.end().await;
        if world.shelf.is_storm() {
            world.model.lock().violate("a storm of storage calls", String::new());
        }
        let violations = world.model.lock().violations.clone();
        Report { violations, operations: world.operations }
    }

    fn new(setup: &Setup) -> Self {
        let clock = LifeClock::new();
        let model = Arc::new(Mutex::new(Model::new(setup.same_time, setup.map)));
        let script = Script { next: VecDeque::new(), always: Answer::Issue(setup.life) };
        let service = Service {
            clock: clock.clone(),
            model: Arc::clone(&model),
            script: Mutex::new(script),
            setup: setup.clone(),
        };
        let shelf = Shelf::new(&clock, &model, setup.shared, setup.notices);
        Self {
            clock,
            model,
            service: Arc::new(service),
            shelf: Arc::new(shelf),
            setup: setup.clone(),
            processes: Vec::new(),
            calls: VecDeque::new(),
            operations: 0,
        }
    }

    fn add_process(&mut self) {
        let process = self.new_process();
        self.processes.push(process);
    }

    fn new_process(&self) -> Process {
        let number = self.model.lock().add_process();
        self.shelf.add_process();
        let storage = LifeStorage { process: number, shelf: Arc::clone(&self.shelf) };
        let service = Arc::clone(&self.service);
        let identity = ProviderIdentity::new("svc");
        let provider = move || LifeProvider {
            process: number,
            service: Arc::clone(&service),
            identity: identity.clone(),
        };
        let (clock, driver) = (self.clock.clone(), Handle::current());
        let keeper = if self.setup.map {
            let map = TokenManagerMap::builder(move |_: &u8| Ok(provider()))
                .storage(storage)
                .clock(clock)
                .driver(driver)
                .idle_after(Duration::from_millis(1));
            Keeper::Map(map.build().expect("a map"))
        } else {
            let builder = TokenManager::builder(provider()).storage(storage).clock(clock);
            let builder = builder.policy(RefreshPolicy::new()).driver(driver);
            Keeper::Manager(builder.build().expect("a manager"))
        };
        Process { number, keeper, refresher: None, served: Arc::default() }
    }

    fn process(&self, index: u8) -> &Process {
        &self.processes[usize::from(index) % self.processes.len()]
    }

    async fn act(&mut self, op: &Op) {
        self.operations += 1;
        match *op {
            Op::Start(process, call) => self.start(process, call),
            Op::Turns(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            Op::Settle => idle().await,
            Op::Abort => self.abort().await,
            Op::Finish => self.finish().await,
            Op::Pass(millis) => self.pass(millis).await,
            Op::Jump(millis) => {
                self.clock.advance(millis);
                self.let_leases_fail();
                idle().await;
            }
            Op::Suspend(millis) => {
                self.clock.step_wall(i64::try_from(millis).unwrap_or(0));
                self.let_leases_fail();
            }
            Op::WallBack(millis) => {
                self.clock.step_wall(-i64::try_from(millis).unwrap_or(0));
                self.model.lock().clock_odd = true;
                self.let_leases_fail();
            }
            Op::Next(answer) => self.service.script.lock().next.push_back(answer),
            Op::Always(answer) => self.service.script.lock().always = answer,
            Op::Once(whose, operation, fault) => {
                self.each(whose, |number| self.shelf.once(number, operation, fault));
            }
            Op::Until(whose, operation, fault) => {
                self.each(whose, |number| self.shelf.until(number, operation, fault));
            }
            Op::Heal => self.shelf.heal(),
            Op::Plant(what) => self.shelf.plant(what),
            Op::Invalidate(_)
            | Op::CredentialsChanged(_)
            | Op::Refresher(..)
            | Op::Evict(_)
            | Op::Retire(_) => self.manage(op).await,
        }
    }

    async fn manage(&mut self, op: &Op) {
        match *op {
            Op::Invalidate(index) => {
                let process = self.process(index);
                if let Some(token) = process.served.lock().clone() {
                    let at = self.clock.at();
                    let secret = token.secret().expose_secret();
                    self.model.lock().reject(process.number, secret, at);
                    process.keeper.manager().invalidate(&token);
                }
            }
            Op::CredentialsChanged(index) => {
                let process = self.process(index);
                self.model.lock().correct(process.number);
                process.keeper.manager().credentials_changed();
            }
            Op::Refresher(index, on) => {
                let at = usize::from(index) % self.processes.len();
                let process = &mut self.processes[at];
                process.refresher = on.then(|| process.keeper.manager().spawn_refresher());
                self.model.lock().processes[process.number].has_refresher = on;
                idle().await;
            }
            Op::Evict(index) => {
                if let Keeper::Map(map) = &self.process(index).keeper {
                    map.evict_idle();
                }
            }
            Op::Retire(index) => self.retire(index).await,
            _ => {}
        }
    }

    /// A plain storage has one process at a time, so the old one must have written everything.
    async fn retire(&mut self, index: u8) {
        let at = usize::from(index) % self.processes.len();
        if !self.setup.shared {
            self.finish().await;
            let manager = self.processes[at].keeper.manager();
            let flushed = self.in_time(async move { manager.flush().await }).await;
            let manager = self.processes[at].keeper.manager();
            if !matches!(flushed, Some(Ok(()))) || manager.status().is_requesting() {
                return;
            }
        }
        let process = self.new_process();
        self.processes[at] = process;
        idle().await;
    }

    fn each(&self, whose: Whose, order: impl Fn(usize)) {
        match whose {
            Whose::All => self.processes.iter().for_each(|process| order(process.number)),
            Whose::Only(index) => order(self.process(index).number),
        }
    }

    fn let_leases_fail(&self) {
        let mut model = self.model.lock();
        for process in 0..model.processes.len() {
            model.lease_may_fail(process);
        }
    }

    // --- time ---

    /// Lets so much time pass; every timer on the way rings when it is due.
    async fn pass(&self, millis: u64) {
        let mut left = millis;
        idle().await;
        while left > 0 {
            let step = self.clock.next_wake().map_or(left, |wake| wake.clamp(1, left));
            self.clock.advance(step);
            left -= step;
            idle().await;
        }
    }

    /// Waits for something that takes no longer than a manager may take.
    async fn in_time<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let task = tokio::spawn(work);
        idle().await;
        let mut spent = 0;
        while !task.is_finished() {
            let step = self.clock.next_wake().map(|wake| wake.max(1));
            match step {
                Some(step) if spent < LONGEST_CALL => {
                    self.clock.advance(step);
                    spent += step;
                    idle().await;
                }
                _ => {
                    let detail = format!("after {spent} ms, asleep: {}", step.is_some());
                    self.model.lock().violate("a call did not return", detail);
                    task.abort();
                    return None;
                }
            }
        }
        task.await.ok()
    }

    async fn finish(&mut self) {
        idle().await;
        let mut spent = 0;
        loop {
            while let Some(first) = self.calls.front()
                && first.task.is_finished()
            {
                let Some(first) = self.calls.pop_front() else { break };
                if first.task.await.is_err_and(|error| error.is_panic()) {
                    let detail = format!("{:?}", first.call);
                    self.model.lock().violate("a call panicked", detail);
                }
            }
            if self.calls.is_empty() {
                return;
            }
            let step = self.clock.next_wake().map(|wake| wake.max(1));
            match step {
                Some(step) if spent < LONGEST_CALL => {
                    self.clock.advance(step);
                    spent += step;
                    idle().await;
                }
                _ => {
                    let call = self.calls.front().map(|running| running.call);
                    let detail = format!("{call:?} after {spent} ms");
                    self.model.lock().violate("a call did not return", detail);
                    self.abort().await;
                }
            }
        }
    }

    // --- calls ---

    fn start(&mut self, index: u8, call: Call) {
        if !self.setup.same_time && is_handover(call) {
            self.clock.advance(1);
        }
        let process = self.process(index);
        let begun = Arc::new(Mutex::new(None));
        let caller = Caller {
            number: process.number,
            manager: process.keeper.manager(),
            served: Arc::clone(&process.served),
            model: Arc::clone(&self.model),
            clock: self.clock.clone(),
            begun: Arc::clone(&begun),
        };
        let task = tokio::spawn(caller.run(call));
        self.calls.push_back(Running { task, begun, call });
    }

    async fn abort(&mut self) {
        let Some(running) = self.calls.pop_front() else { return };
        running.task.abort();
        let _ = running.task.await;
        let Some(begun) = running.begun.lock().take() else { return };
        let (call, at) = (running.call, self.clock.at());
        self.model.lock().end(&begun, at, call.insists(), call.asks(), true);
    }

    /// Judges what can be seen without asking for anything.
    async fn look(&self) {
        for process in &self.processes {
            let Keeper::Manager(manager) = &process.keeper else { continue };
            if let Some(token) = manager.peek() {
                let begun = self.model.lock().peek_of(process.number);
                judge_token(&self.model, manager, &begun, &token, &self.clock);
            }
            let lingers = self.model.lock().processes[process.number].lingers;
            if lingers && !manager.status().is_requesting() {
                self.model.lock().processes[process.number].lingers = false;
            }
        }
    }

    // --- the end ---

    /// The faults end. Everything heals, and what is owed is written.
    async fn end(&mut self) {
        self.shelf.heal();
        {
            let mut script = self.service.script.lock();
            script.next.clear();
            script.always = Answer::Issue(Some(900_000));
        }
        self.finish().await;
        self.pass(2 * 3_600_000).await;
        self.look().await;
        for index in 0..self.processes.len() {
            let manager = self.processes[index].keeper.manager();
            let flushed = self.in_time({
                let manager = manager.clone();
                async move { manager.flush().await }
            });
            match flushed.await {
                Some(Ok(())) => {}
                other => {
                    let detail = format!("{other:?}");
                    self.model.lock().violate("flush fails in the end", detail);
                }
            }
            if let Some(error) = manager.status().unpersisted() {
                let detail = error.to_string();
                self.model.lock().violate("a write is still owed in the end", detail);
            }
        }
        self.model.lock().judge_end();
        for _ in 0..2 {
            self.everyone_gets_a_token().await;
            self.pass(1_000_000).await;
        }
        self.everyone_agrees().await;
        self.refreshers_work().await;
        self.processes.clear();
        idle().await;
    }

    async fn everyone_gets_a_token(&mut self) {
        for index in 0..self.processes.len() {
            let number = self.processes[index].number;
            let manager = self.processes[index].keeper.manager();
            let asked = manager.clone();
            self.model.lock().asks(number, self.clock.at());
            let Some(result) = self.in_time(async move { asked.token().await }).await else {
                continue;
            };
            let begun = self.model.lock().peek_of(number);
            let (is_alive, wants_person) = {
                let model = self.model.lock();
                (model.stored_refresh_is_alive(), model.wants_person(number))
            };
            match result {
                Ok(token) => judge_token(&self.model, &manager, &begun, &token, &self.clock),
                Err(error) if error.kind() == ErrorKind::LoginRequired && wants_person => {}
                Err(error) if self.setup.non_interactive || is_alive => {
                    let stored = self.model.lock().stored().clone();
                    let detail = format!("process {number}: {error} ({stored:?})");
                    self.model.lock().violate("no token in the end", detail);
                }
                Err(_) => {}
            }
            if wants_person && (self.setup.non_interactive || is_alive) {
                self.pass(6_000).await;
                self.model.lock().processes[number].lingers = true;
                let asked = manager.clone();
                let forced = self.in_time(async move { asked.force_refresh().await }).await;
                if let Some(Err(error)) = forced {
                    let detail = format!("process {number}: {error}");
                    self.model.lock().violate("no forced token in the end", detail);
                }
            }
        }
    }

    async fn everyone_agrees(&mut self) {
        let mut seen: Option<Arc<AccessToken>> = None;
        let newcomer = self.new_process();
        let (number, newcomer) = (newcomer.number, newcomer.keeper.manager());
        let managers =
            self.processes.iter().map(|process| (process.number, process.keeper.manager()));
        let managers: Vec<_> = managers.chain([(number, newcomer)]).collect();
        for (number, manager) in managers {
            let asked = manager.clone();
            let token =
                self.in_time(async move { asked.token_valid_for(Duration::from_secs(600)).await });
            let token = match token.await {
                Some(Ok(token)) => token,
                Some(Err(error)) if error.kind() == ErrorKind::Config => {
                    let detail = format!("process {number}: {error}");
                    self.model.lock().violate("a life that can be had is refused", detail);
                    continue;
                }
                _ => continue,
            };
            let last = seen.replace(token.clone());
            let Some(last) = last else { continue };
            let day = self.clock.at().wall + 86_400_000;
            let limited = [&last, &token]
                .iter()
                .all(|token| token.expires_at().is_some_and(|end| millis_of(end) < day));
            let same = last.secret().ct_eq(token.secret());
            if limited && !same && !self.model.lock().lied {
                let (one, other) = (last.secret().expose_secret(), token.secret().expose_secret());
                let detail = format!("{one} and {other} (process {number})");
                self.model.lock().violate("two processes do not agree in the end", detail);
            }
        }
    }

    async fn refreshers_work(&mut self) {
        let has_token: Vec<bool> = self
            .processes
            .iter()
            .map(|process| process.keeper.manager().peek().is_some())
            .collect();
        self.pass(4_000_000).await;
        for (process, had_token) in self.processes.iter().zip(has_token) {
            let works = process.keeper.manager().peek().is_some();
            if process.refresher.is_some()
                && had_token
                && !works
                && self.model.lock().stored_refresh_is_alive()
            {
                let detail = format!("process {}", process.number);
                self.model.lock().violate("a refresher stopped", detail);
            }
        }
    }
}

fn is_handover(call: Call) -> bool {
    matches!(
        call,
        Call::Install(_) | Call::InstallIfAbsent(_) | Call::Clear | Call::Revoke | Call::Login
    )
}

fn judge_token(
    model: &Mutex<Model>,
    manager: &TokenManager,
    begun: &Begun,
    token: &AccessToken,
    clock: &LifeClock,
) {
    let secret = token.secret().expose_secret();
    let is_rejected = model.lock().is_rejected(begun.process, secret);
    // While requests for rejected tokens are paused, the newest one serves.
    let pause_excuses = is_rejected && !manager.invalidate(token);
    model.lock().serves(begun, secret, clock.at(), pause_excuses);
}

/// One call, from its first poll to its end.
struct Caller {
    number: usize,
    manager: TokenManager,
    served: Arc<Mutex<Option<Arc<AccessToken>>>>,
    model: Arc<Mutex<Model>>,
    clock: LifeClock,
    begun: Arc<Mutex<Option<Begun>>>,
}

impl Caller {
    async fn run(self, call: Call) {
        let peeked = self.manager.peek();
        let peeked = peeked.map(|token| token.secret().expose_secret().to_owned());
        let at = self.clock.at();
        let mut begun =
            self.model.lock().begin(self.number, at, call.asks(), call.insists(), peeked);
        begun.has_enough = self.has_enough(&begun, call);
        *self.begun.lock() = Some(begun.clone());
        let got = self.perform(call).await;
        self.begun.lock().take();
        self.judge(&begun, call, &got);
        self.model.lock().end(&begun, self.clock.at(), call.insists(), call.asks(), false);
    }

    async fn perform(&self, call: Call) -> Got {
        let manager = &self.manager;
        match call {
            Call::Token => manager.token().await.into(),
            Call::ValidFor(millis) => {
                let at_least =
                    if millis == u64::MAX { Duration::MAX } else { Duration::from_millis(millis) };
                manager.token_valid_for(at_least).await.into()
            }
            Call::Replace => self.replace().await,
            Call::Force => manager.force_refresh().await.map(Refreshed::into_token).into(),
            Call::Login => manager.login().await.into(),
            Call::Flush => manager.flush().await.map(|()| true).into(),
            Call::Tokens => match manager.tokens().await {
                Ok(tokens) => Got::Tokens(tokens),
                Err(error) => Got::Failed(error),
            },
            Call::Clear | Call::Revoke => {
                let clear = self.model.lock().begin_clear(self.number, call == Call::Clear);
                let cleared = if call == Call::Clear {
                    manager.clear().await
                } else {
                    manager.revoke().await
                };
                self.model.lock().end_clear(self.number, clear, cleared.is_ok());
                cleared.map(|()| true).into()
            }
            Call::Install(what) | Call::InstallIfAbsent(what) => {
                let (login, tokens) = {
                    let mut model = self.model.lock();
                    let (login, tokens) = installed(&mut model, what, self.clock.at());
                    model.begin_install(self.number, self.clock.at());
                    (login, tokens)
                };
                let done = match call {
                    Call::Install(_) => manager.install(tokens).await.map(|()| true),
                    _ => manager.install_if_absent(tokens).await,
                };
                let is_in = *done.as_ref().unwrap_or(&false);
                self.model.lock().end_install(self.number, login, is_in);
                done.into()
            }
        }
    }

    async fn replace(&self) -> Got {
        let served = self.served.lock().clone().or_else(|| self.manager.peek());
        let Some(token) = served else { return self.manager.token().await.into() };
        let secret = token.secret().expose_secret();
        self.model.lock().reject(self.number, secret, self.clock.at());
        match self.manager.replace_rejected(&token).await {
            Ok(Some(other)) => {
                if other.secret().ct_eq(token.secret()) {
                    self.model.lock().violate("a token was replaced by itself", secret.to_owned());
                }
                Got::Token(other)
            }
            Ok(None) => Got::Done,
            Err(error) => Got::Failed(error),
        }
    }

    fn judge(&self, begun: &Begun, call: Call, got: &Got) {
        let at = self.clock.at();
        match got {
            Got::Token(token) => {
                judge_token(&self.model, &self.manager, begun, token, &self.clock);
                *self.served.lock() = Some(Arc::clone(token));
                self.judge_need(begun, call);
            }
            Got::Failed(error) => self.judge_failure(begun, call, error),
            Got::Tokens(Some(tokens)) => {
                let access = tokens.access_token().map(|token| token.secret().expose_secret());
                let mut model = self.model.lock();
                // An ended token may be shown; one that was cleared may not.
                if let Some(access) = access
                    && model.is_good(self.number, access, at, 0)
                {
                    model.serves(begun, access, at, true);
                }
            }
            Got::Tokens(None) | Got::Done => {}
        }
    }

    fn has_enough(&self, begun: &Begun, call: Call) -> bool {
        let (Some(peeked), Some(at_least)) = (&begun.peeked, call.at_least()) else { return false };
        let (model, at) = (self.model.lock(), self.clock.at());
        model.is_good(self.number, peeked, at, at_least) && model.is_young(peeked, at, 60)
    }

    /// Whether what was there would have been good enough.
    fn judge_need(&self, begun: &Begun, call: Call) {
        let still = self.has_enough(begun, call);
        let mut model = self.model.lock();
        let sends = model.sends_of(begun).unwrap_or(0);
        if begun.has_enough && still && sends > 0 {
            let detail = format!("{sends} for {call:?} although there was {:?}", begun.peeked);
            model.violate("a request that nobody needed", detail);
        }
    }

    fn judge_failure(&self, begun: &Begun, call: Call, error: &Error) {
        let (Some(peeked), Some(at_least)) = (&begun.peeked, call.at_least()) else { return };
        let Some(now) = self.manager.peek() else { return };
        let at = self.clock.at();
        let mut model = self.model.lock();
        let same = now.secret().expose_secret() == peeked;
        if same && model.is_good(self.number, peeked, at, at_least.max(1)) {
            let detail = format!("{peeked} from process {}: {call:?}: {error}", self.number);
            model.violate("a good token was withheld", detail);
        }
    }
}

impl From<Result<Arc<AccessToken>, Error>> for Got {
    fn from(result: Result<Arc<AccessToken>, Error>) -> Self {
        result.map_or_else(Self::Failed, Self::Token)
    }
}

impl From<Result<bool, Error>> for Got {
    fn from(result: Result<bool, Error>) -> Self {
        result.map_or_else(Self::Failed, |_| Self::Done)
    }
}

const LONGEST_CALL: u64 = 3_600_000;
