//! The chaos: who is killed and stopped, and when.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use tokenkeeper::{Clock, Now, SystemClock};

use super::crew::Crew;

/// What a monkey does.
#[derive(Clone, Copy, Debug)]
pub struct Chaos {
    /// Somebody is killed and replaced as often.
    pub kill_every: Duration,
    /// Every so many kills hit somebody whose exchange has just begun.
    pub aimed_kill: u32,
    /// Somebody whose exchange has just begun is stopped as often.
    pub stop_every: Duration,
    /// For how long: from the one to the other.
    pub stop_for: (Duration, Duration),
    /// How long after the beginning of an exchange somebody is hit, at most.
    pub within: Duration,
    /// How long the exchanges of the others are spared afterwards.
    pub spare: Duration,
}

impl Chaos {
    /// A kill every second, the eighth of them aimed; every six seconds somebody is stopped for
    /// longer than the short lease.
    pub const USUAL: Self = Self {
        kill_every: Duration::from_secs(1),
        aimed_kill: 8,
        stop_every: Duration::from_secs(6),
        stop_for: (Duration::from_millis(2_500), Duration::from_millis(3_500)),
        within: Duration::from_millis(150),
        spare: Duration::from_secs(3),
    };
}

/// Kills and stops members.
#[derive(Debug)]
pub struct Monkey {
    chaos: Chaos,
    seed: u64,
    rng: Rng,
    kills: u32,
    /// How many of the kills hit somebody who was making an exchange, as far as it knew.
    aimed_kills: u32,
    stops: u32,
}

/// What it has done.
impl fmt::Display for Monkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, kills, aimed_kills, stops, .. } = self;
        write!(f, "{kills} kills ({aimed_kills} aimed at an exchange), {stops} stops; seed {seed}")
    }
}

/// What comes next, and when.
#[derive(Clone, Copy, Debug)]
enum Act {
    Kill,
    Aim(Hit),
    Strike(Hit, usize),
    GoOn(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hit {
    Kill,
    Stop,
}

impl Monkey {
    /// One whose decisions follow from the seed.
    #[must_use]
    pub fn new(chaos: Chaos, seed: u64) -> Self {
        Self { chaos, seed, rng: Rng::with_seed(seed), kills: 0, aimed_kills: 0, stops: 0 }
    }

    /// Rages for so long. Afterwards nobody is stopped.
    pub fn rage(&mut self, crew: &mut Crew, lasting: Duration) {
        let end = SystemClock.now().after(lasting);
        let mut plan = vec![
            (SystemClock.now().after(self.chaos.kill_every), Act::Kill),
            (SystemClock.now().after(self.chaos.stop_every), Act::Aim(Hit::Stop)),
        ];
        let mut aims: Vec<Hit> = Vec::new();
        let mut spared_until = SystemClock.now();
        loop {
            let now = SystemClock.now();
            let due: Vec<Act> = take_due(&mut plan, &now);
            for act in due {
                self.act(crew, act, &mut plan, &mut aims);
            }
            if now.until(&end).is_zero() {
                break;
            }
            let Some(life) = crew.next_exchange(TICK) else { continue };
            let now = SystemClock.now();
            if !aims.is_empty() && now.until(&spared_until).is_zero() {
                let after = self.upto(self.chaos.within);
                plan.push((now.after(after), Act::Strike(aims.remove(0), life)));
                spared_until = now.after(self.chaos.spare);
            }
        }
        for slot in 0..crew.size() {
            if crew.is_stopped(slot) {
                crew.go_on(slot);
            }
        }
    }

    fn act(&mut self, crew: &mut Crew, act: Act, plan: &mut Vec<(Now, Act)>, aims: &mut Vec<Hit>) {
        let later = |after: Duration| SystemClock.now().after(after);
        match act {
            Act::Kill => {
                plan.push((later(self.chaos.kill_every), Act::Kill));
                self.kills += 1;
                if self.kills.is_multiple_of(self.chaos.aimed_kill) {
                    aims.push(Hit::Kill);
                    return;
                }
                let slot = self.rng.usize(0..crew.size());
                forget(plan, slot);
                crew.replace(slot);
            }
            Act::Aim(hit) => {
                plan.push((later(self.chaos.stop_every), Act::Aim(hit)));
                aims.push(hit);
            }
            Act::Strike(hit, life) => {
                let Some(slot) = crew.slot_of(life).filter(|slot| !crew.is_stopped(*slot)) else {
                    aims.push(hit); // somebody else was quicker; the next one then
                    return;
                };
                if hit == Hit::Kill {
                    self.aimed_kills += 1;
                    crew.replace(slot);
                    return;
                }
                self.stops += 1;
                crew.stop(slot);
                let (least, most) = self.chaos.stop_for;
                let stopped_for = least + self.upto(most.saturating_sub(least));
                plan.push((later(stopped_for), Act::GoOn(slot)));
            }
            Act::GoOn(slot) => {
                if crew.is_stopped(slot) {
                    crew.go_on(slot);
                }
            }
        }
    }

    fn upto(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.rng.f64())
    }
}

fn take_due(plan: &mut Vec<(Now, Act)>, now: &Now) -> Vec<Act> {
    let (due, later) = plan.iter().partition(|(at, _)| now.until(at).is_zero());
    *plan = later;
    let due: Vec<(Now, Act)> = due;
    due.into_iter().map(|(_, act)| act).collect()
}

/// Whoever takes the place of one that was stopped is not stopped.
fn forget(plan: &mut Vec<(Now, Act)>, slot: usize) {
    plan.retain(|(_, act)| !matches!(act, Act::GoOn(stopped) if *stopped == slot));
}

const TICK: Duration = Duration::from_millis(5);
