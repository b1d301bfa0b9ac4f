//! What happens in a life: a list that can be drawn at random, shortened, and pasted into a test.

use fastrand::Rng;

/// A life from its first to its last operation. The faults end after the last one.
#[derive(Clone, Debug)]
pub struct Life {
    pub setup: Setup,
    pub ops: Vec<Op>,
}

/// What stays the same during a life.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Of the jitter.
    pub seed: u64,
    pub processes: u8,
    pub shared: bool,
    pub notices: bool,
    /// The managers are those of a map, which may evict them.
    pub map: bool,
    pub non_interactive: bool,
    pub refreshes: bool,
    pub rotates: bool,
    /// How long access tokens live, in milliseconds; `None` is not said.
    pub life: Option<u64>,
    /// Logins and logouts may come in the same millisecond.
    pub same_time: bool,
    /// The storage breaks its contract: it forgets, and reads what was.
    pub lies: bool,
}

/// Processes are counted modulo their number.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Starts a call and does not wait.
    Start(u8, Call),
    /// Lets the tasks have a few turns.
    Turns(u8),
    /// Lets the tasks go as far as they can without time.
    Settle,
    /// Drops the call that was started first.
    Abort,
    /// Waits for all calls; time passes where nothing else can happen.
    Finish,
    Pass(u64),
    /// All processes stand still, and so do their timers.
    Jump(u64),
    WallBack(u64),
    /// The machine sleeps: only the wall clock moves.
    Suspend(u64),
    Next(Answer),
    Always(Answer),
    Once(Whose, Operation, Fault),
    Until(Whose, Operation, Fault),
    Heal,
    Invalidate(u8),
    CredentialsChanged(u8),
    Refresher(u8, bool),
    Evict(u8),
    /// Drops the handle of a process and starts another one.
    Retire(u8),
    Plant(Planted),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Whose {
    All,
    Only(u8),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call {
    Token,
    ValidFor(u64),
    Replace,
    Force,
    Install(Installed),
    InstallIfAbsent(Installed),
    Login,
    Clear,
    Revoke,
    Flush,
    Tokens,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Installed {
    Both(Option<u64>),
    RefreshOnly,
    AccessOnly(Option<u64>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Issue(Option<u64>),
    SameAccess,
    KeepRefresh,
    Down,
    DownFor(u64),
    NoRoute,
    RefuseRefresh,
    Doubt,
    RefuseClient,
    WantPerson,
    RefuseRequest,
    RefuseProxy,
    Garbage,
    Lose,
    HangUnsent,
    HangSent,
    HangActed,
    PanicUnsent,
    PanicActed,
    SlowUnsent(u64),
    SlowSent(u64),
    SlowActed(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Take,
    Renew,
    Release,
    Abandon,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    Fail,
    FailAfterwards,
    Hang,
    Panic,
    Delay(u64),
    DelayAnswer(u64),
    /// The caller gets no answer, and the write is made later, if nothing else was written.
    LandLate(u64),
    Stale,
    Forget,
}

/// Records that this life did not write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Planted {
    /// Of a higher order than what was there, and over.
    Ended,
    Nonsense,
}

impl Operation {
    pub const COUNT: usize = 6;

    pub const fn index(self) -> usize {
        self as usize
    }
}

const PASSES: [u64; 22] = [
    1, 3, 400, 999, 1_000, 1_001, 2_500, 5_000, 5_001, 6_000, 11_000, 21_000, 31_000, 61_000,
    120_000, 301_000, 601_000, 676_000, 871_000, 901_000, 3_601_000, 7_300_000,
];
const LIVES: [Option<u64>; 12] = [
    Some(0),
    Some(1),
    Some(400),
    Some(1_000),
    Some(3_000),
    Some(8_000),
    Some(20_000),
    Some(60_000),
    Some(900_000),
    Some(900_000),
    None,
    Some(u64::MAX),
];
const DELAYS: [u64; 7] = [1, 700, 2_000, 4_999, 6_000, 14_000, 31_000];

pub fn draw(seed: u64) -> Life {
    let mut rng = Rng::with_seed(seed);
    let rng = &mut rng;
    let setup = Setup::draw(rng);
    let count = if rng.u8(..4) == 0 { rng.usize(20..90) } else { rng.usize(4..30) };
    let mut ops = Vec::with_capacity(count + 8);
    let busy = rng.bool();
    let mood = pick(rng, &[Mood::Mixed, Mood::Mixed, Mood::Logins, Mood::Asking]);
    while ops.len() < count {
        draw_op(rng, &setup, (busy, mood), &mut ops);
    }
    Life { setup, ops }
}

/// Which calls prevail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Mixed,
    Logins,
    Asking,
}

impl Setup {
    fn draw(rng: &mut Rng) -> Self {
        let shared = rng.u8(..4) != 0;
        let refreshes = rng.u8(..4) != 0;
        let non_interactive = !refreshes || rng.u8(..3) != 0;
        let life = if rng.bool() { Some(900_000) } else { pick(rng, &LIVES) };
        Self {
            seed: rng.u64(..),
            processes: if shared { rng.u8(1..=3) } else { 1 },
            shared,
            notices: rng.bool(),
            map: rng.u8(..5) == 0,
            non_interactive,
            refreshes,
            rotates: refreshes && rng.u8(..5) != 0,
            life,
            same_time: rng.u8(..5) == 0,
            lies: shared && rng.u8(..16) == 0,
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

fn draw_op(rng: &mut Rng, setup: &Setup, (busy, mood): (bool, Mood), ops: &mut Vec<Op>) {
    let process = rng.u8(..setup.processes);
    match rng.u8(..100) {
        0..=44 => {
            let times = if rng.u8(..12) == 0 { rng.u8(2..20) } else { 1 };
            let call = draw_call(rng, mood);
            for _ in 0..times {
                ops.push(Op::Start(process, call));
                match rng.u8(..20) {
                    0..=11 => ops.push(Op::Finish),
                    12 | 13 => ops.push(Op::Settle),
                    14 => ops.push(Op::Turns(rng.u8(1..12))),
                    15 if busy => ops.extend([Op::Turns(rng.u8(..12)), Op::Abort]),
                    _ => {}
                }
            }
        }
        45..=59 => ops.push(Op::Pass(pick(rng, &PASSES))),
        60 => ops.push(Op::Jump(pick(rng, &PASSES))),
        61 => ops.push(Op::Suspend(pick(rng, &PASSES))),
        62 => ops.push(Op::WallBack(pick(rng, &PASSES))),
        63..=69 => ops.push(Op::Next(draw_answer(rng))),
        70..=72 => ops.push(Op::Always(draw_answer(rng))),
        73..=75 => ops.push(Op::Always(Answer::Issue(setup.life))),
        76..=80 => {
            let (operation, fault) = draw_fault(rng, setup);
            ops.push(Op::Once(draw_whose(rng, process), operation, fault));
        }
        81..=84 => {
            let (operation, fault) = draw_fault(rng, setup);
            ops.push(Op::Until(draw_whose(rng, process), operation, fault));
        }
        85..=88 => ops.push(Op::Heal),
        89..=91 => ops.push(Op::Invalidate(process)),
        92 => ops.push(Op::CredentialsChanged(process)),
        93 | 94 => ops.push(Op::Refresher(process, rng.bool())),
        95 if setup.map => ops.push(Op::Evict(process)),
        96 if rng.bool() => ops.push(Op::Retire(process)),
        97 if setup.non_interactive => {
            ops.push(Op::Plant(pick(rng, &[Planted::Ended, Planted::Nonsense])));
        }
        _ => ops.push(Op::Finish),
    }
}

fn draw_whose(rng: &mut Rng, process: u8) -> Whose {
    if rng.bool() { Whose::All } else { Whose::Only(process) }
}

fn draw_call(rng: &mut Rng, mood: Mood) -> Call {
    let number = match mood {
        Mood::Mixed => rng.u8(..60),
        Mood::Logins => pick(rng, &[0, 30, 40, 40, 44, 44, 44, 48, 50, 50, 50, 54, 55, 58]),
        Mood::Asking => pick(rng, &[0, 0, 0, 23, 26, 26, 32, 32, 55, 58, 41, 50]),
    };
    match number {
        0..=21 => Call::Token,
        22..=24 => Call::ValidFor(pick(rng, &[1, 30_000, 60_000, 600_000, u64::MAX])),
        25..=30 => Call::Replace,
        31..=38 => Call::Force,
        39..=42 => Call::Install(draw_installed(rng)),
        43..=46 => Call::InstallIfAbsent(draw_installed(rng)),
        47..=48 => Call::Login,
        49..=53 => Call::Clear,
        54 => Call::Revoke,
        55 | 56 => Call::Flush,
        _ => Call::Tokens,
    }
}

fn draw_installed(rng: &mut Rng) -> Installed {
    match rng.u8(..8) {
        0..=4 => Installed::Both(pick(rng, &LIVES)),
        5 | 6 => Installed::RefreshOnly,
        _ => Installed::AccessOnly(pick(rng, &LIVES)),
    }
}

fn draw_answer(rng: &mut Rng) -> Answer {
    let delay = pick(rng, &DELAYS);
    match rng.u8(..30) {
        0..=3 => Answer::Issue(pick(rng, &LIVES)),
        4 => Answer::SameAccess,
        5 => Answer::KeepRefresh,
        6 | 7 => Answer::Down,
        8 => Answer::DownFor(pick(rng, &[1, 30, 7_200])),
        9 => Answer::NoRoute,
        10 | 11 => Answer::RefuseRefresh,
        12 => Answer::Doubt,
        13 => Answer::RefuseClient,
        14 | 15 => Answer::WantPerson,
        16 => Answer::RefuseRequest,
        17 => Answer::RefuseProxy,
        18 => Answer::Garbage,
        19 => Answer::Lose,
        20 => Answer::HangUnsent,
        21 => Answer::HangSent,
        22 => Answer::HangActed,
        23 => Answer::PanicUnsent,
        24 => Answer::PanicActed,
        25 => Answer::SlowUnsent(delay),
        26 => Answer::SlowSent(delay),
        _ => Answer::SlowActed(delay),
    }
}

fn draw_fault(rng: &mut Rng, setup: &Setup) -> (Operation, Fault) {
    let operation = pick(
        rng,
        &[
            Operation::Read,
            Operation::Read,
            Operation::Write,
            Operation::Write,
            Operation::Write,
            Operation::Take,
            Operation::Renew,
            Operation::Release,
            Operation::Abandon,
        ],
    );
    let delay = pick(rng, &DELAYS);
    let fault = match rng.u8(..16) {
        0..=6 => Fault::Fail,
        7 | 8 => Fault::FailAfterwards,
        9 => Fault::Hang,
        10 => Fault::Panic,
        11 | 12 => Fault::Delay(delay),
        13 => Fault::DelayAnswer(delay),
        14 => Fault::LandLate(delay),
        _ if setup.lies => pick(rng, &[Fault::Stale, Fault::Forget]),
        _ => Fault::Fail,
    };
    (operation, fault)
}
