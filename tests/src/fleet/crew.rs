//! All members of a fleet.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tokenkeeper::{Clock, SystemClock};

use super::chronicle::Chronicle;
use super::orders::Orders;
use super::process::Process;

/// A number of members with the same orders. They end with this.
#[derive(Debug)]
pub struct Crew {
    program: PathBuf,
    orders: Orders,
    members: Vec<Process>,
    incarnations: Vec<u32>,
    chronicle: Arc<Chronicle>,
    exchanges: Receiver<usize>,
}

impl Crew {
    /// Starts so many members at once. `program` is the `fleet-member` that cargo has built for the
    /// test: `env!("CARGO_BIN_EXE_fleet-member")`.
    ///
    /// # Panics
    ///
    /// If they cannot be started.
    #[must_use]
    pub fn start(program: &str, orders: &Orders, size: usize) -> Self {
        let (tell, exchanges) = mpsc::channel();
        let mut crew = Self {
            program: program.into(),
            orders: orders.clone(),
            members: Vec::new(),
            incarnations: vec![0; size],
            chronicle: Arc::new(Chronicle::new(tell)),
            exchanges,
        };
        for slot in 0..size {
            let member = crew.another(slot);
            crew.members.push(member);
        }
        crew
    }

    /// What is known of all who were ever in it.
    #[must_use]
    pub fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    /// How many members there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// Waits until everybody has had a token.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute.
    pub fn wait_until_all_have_tokens(&self) {
        self.wait("everybody to have a token", |crew| {
            crew.members.iter().all(|member| crew.chronicle.has_had_a_token(member.life()))
        });
    }

    /// Waits for something.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute.
    pub fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let started = SystemClock.now();
        while !is_so(self) {
            assert!(SystemClock.now().since(&started) < LONGEST_WAIT, "waited too long for {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Who begins an exchange within this time, by the number of the life.
    pub fn next_exchange(&self, within: Duration) -> Option<usize> {
        self.exchanges.recv_timeout(within).ok()
    }

    /// The place of a member that lives, by the number of its life.
    #[must_use]
    pub fn slot_of(&self, life: usize) -> Option<usize> {
        self.members.iter().position(|member| member.life() == life)
    }

    /// Whether the member in this place is stopped.
    #[must_use]
    pub fn is_stopped(&self, slot: usize) -> bool {
        self.members[slot].is_stopped()
    }

    /// `kill -9`, and another one in its place.
    pub fn replace(&mut self, slot: usize) {
        self.members[slot].kill();
        self.members[slot] = self.another(slot);
    }

    /// `kill -STOP`.
    pub fn stop(&mut self, slot: usize) {
        self.members[slot].stop();
    }

    /// `kill -CONT`.
    pub fn go_on(&mut self, slot: usize) {
        self.members[slot].go_on();
    }

    /// Ends all members in good order. How many did not end well.
    pub fn end(&mut self) -> usize {
        for member in &mut self.members {
            if member.is_stopped() {
                member.go_on();
            }
            member.ask_to_end();
        }
        let results = self.members.iter_mut().map(|member| member.has_ended_well(LONGEST_WAIT));
        results.filter(|ended_well| !ended_well).count()
    }

    fn another(&mut self, slot: usize) -> Process {
        self.incarnations[slot] += 1;
        let orders = self.orders.named(&format!("m{slot}.{}", self.incarnations[slot]));
        Process::start(&self.program, &orders, &self.chronicle)
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(60);
