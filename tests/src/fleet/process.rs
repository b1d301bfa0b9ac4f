//! One member as the test that started it sees it: a process that can be killed and stopped.
//!
//! It is in a process group of its own. When the test is killed while a member is stopped, that
//! group is an orphan, and the kernel wakes it up; its input is at an end then, and so is the member.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokenkeeper::{Clock, SystemClock};

use super::chronicle::Chronicle;
use super::orders::Orders;

/// A running member. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
    chronicle: Arc<Chronicle>,
    life: usize,
    is_stopped: bool,
}

impl Process {
    /// Starts a member, and opens its chapter in the chronicle.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(program: &Path, orders: &Orders, chronicle: &Arc<Chronicle>) -> Self {
        let text = serde_json::to_string(orders).expect("orders are plain data");
        let mut command = Command::new(program);
        command.arg(text).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let life = chronicle.open(&orders.name);
        let mut child = command.spawn().expect("a member");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        let chapter = Arc::clone(chronicle);
        let reader = thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // A last line may be cut by a kill.
                if let Ok(report) = serde_json::from_str(&line) {
                    chapter.note(life, report);
                }
            }
        });
        let (chronicle, reader) = (Arc::clone(chronicle), Some(reader));
        Self { child, input, reader, chronicle, life, is_stopped: false }
    }

    /// Its number in the chronicle.
    #[must_use]
    pub fn life(&self) -> usize {
        self.life
    }

    /// Whether it is stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// `kill -9`. All that it said before is in the chronicle afterwards.
    pub fn kill(&mut self) {
        if self.reader.is_none() {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.chronicle.killed(self.life);
        self.read_to_the_end();
    }

    /// `kill -STOP`.
    ///
    /// # Panics
    ///
    /// If it is not there any more.
    pub fn stop(&mut self) {
        self.signal(Signal::STOP);
        self.chronicle.stopped(self.life);
        self.is_stopped = true;
    }

    /// `kill -CONT`.
    ///
    /// # Panics
    ///
    /// If it is not there any more.
    pub fn go_on(&mut self) {
        self.chronicle.continued(self.life);
        self.signal(Signal::CONT);
        self.is_stopped = false;
    }

    /// Asks it to end in good order.
    pub fn ask_to_end(&mut self) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(b"end\n");
        }
    }

    /// Waits for its end. Whether it ended well; after so long it is killed.
    pub fn has_ended_well(&mut self, within: Duration) -> bool {
        let started = SystemClock.now();
        while SystemClock.now().since(&started) < within {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.read_to_the_end();
                return status.success();
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        false
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a member that is there");
    }

    fn read_to_the_end(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
