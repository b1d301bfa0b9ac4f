//! The reference: what a service, a storage and its processes have seen of each other, in maps and
//! numbers, and the rules that follow. It knows nothing of how a manager works.
//!
//! Where a rule depends on what a manager may know, the model gives it the benefit of the doubt:
//! what another process wrote, it may have read.

use std::collections::{HashMap, HashSet};

use crate::clock::At;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub detail: String,
}

#[derive(Debug, Default)]
pub struct Model {
    seq: u64,
    logins: Vec<Login>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    issued: u64,
    last_access: Option<String>,
    pub processes: Vec<Process>,
    pub violations: Vec<Violation>,
    /// Access tokens of which a write has come to an end, well or not.
    written: HashSet<String>,
    /// The login or logout that is in the storage.
    stored_handover: Option<Handover>,
    stored: Stored,
    tombstone_since: Option<(u64, At)>,
    /// The wall clock was set back, so that orders say little.
    pub clock_odd: bool,
    /// The storage broke its contract, or has a record that no process wrote.
    pub lied: bool,
    pub same_time: bool,
    /// A manager may have to learn from the storage what it once knew.
    evicts: bool,
}

/// What a storage holds, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub order: (u64, u64),
    pub tombstone: bool,
    pub access: Option<String>,
    pub refresh: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Login {
    start: u64,
    end: u64,
    installed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Handover {
    start: u64,
    end: u64,
    counts: bool,
}

#[derive(Clone, Copy, Debug)]
struct Access {
    login: usize,
    by: Option<usize>,
    sent: At,
    life: Option<u64>,
    ends: Option<u64>,
    issued: u64,
    /// The answer did not say how long it lives.
    unsaid: bool,
    /// Others may know another end of it.
    reissued: bool,
}

#[derive(Clone, Debug)]
struct Refresh {
    login: usize,
    spent_by: Option<(usize, u64)>,
    /// Its answer was lost, so it may be sent again.
    excused: bool,
    dead: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Tokens of older logins are not to be served.
    floor: u64,
    rejected: HashSet<String>,
    success: Option<Success>,
    failure: Option<Failure>,
    streak: u32,
    pause: Option<(At, u64)>,
    reset_at: u64,
    pub running: usize,
    forcing: usize,
    logging_in: usize,
    /// A call that was dropped may have left something under way.
    pub lingers: bool,
    last_ask: Option<(u64, At)>,
    overlap: u64,
    sends: usize,
    at_once: usize,
    last_send: u64,
    successes: usize,
    foreign_writes: usize,
    clears: Vec<Handover>,
    /// When a lease could last fail to protect what this process spent.
    lease_fault: u64,
    /// When anything but a write last failed.
    storage_fault: u64,
    /// When a write last failed.
    write_fault: u64,
    pub has_refresher: bool,
    /// The service wanted a person once.
    wanted_person: bool,
    /// When it last read the storage, and when another process last wrote there.
    last_read: u64,
    last_foreign: u64,
}

impl Process {
    /// Whether the storage has something that this process has not read: what it learns from that
    /// may end its pauses.
    const fn has_news(&self) -> bool {
        self.last_foreign > self.last_read || self.storage_fault > self.last_read
    }
}

#[derive(Clone, Debug)]
struct Success {
    sent: At,
    answered: At,
    interval: u64,
    access: String,
    rejected: bool,
    young: bool,
}

#[derive(Clone, Debug)]
struct Failure {
    at: At,
    class: Class,
    streak: u32,
    pause: u64,
    only_refresh: bool,
    since: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Transient,
    Verdict,
    Person,
    /// The refresh token was refused; a fetch may follow at once.
    Token,
    Doubt,
}

/// A call as it began.
#[derive(Clone, Debug)]
pub struct Begun {
    pub process: usize,
    seq: u64,
    floor: u64,
    rejected: HashSet<String>,
    alone: bool,
    sends: usize,
    successes: usize,
    foreign_writes: usize,
    pub peeked: Option<String>,
    /// Whether what was there is good for what is asked for, and young.
    pub has_enough: bool,
}

impl Model {
    fn tick(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub fn new(same_time: bool, evicts: bool) -> Self {
        Self { same_time, evicts, ..Self::default() }
    }

    pub fn violate(&mut self, rule: &'static str, detail: String) {
        if !self.violations.iter().any(|known| known.rule == rule) {
            self.violations.push(Violation { rule, detail });
        }
    }

    fn trusts_orders(&self) -> bool {
        !self.clock_odd && !self.lied
    }

    // --- the service ---

    pub fn begin_login(&mut self, installed: bool) -> usize {
        let start = self.tick();
        self.logins.push(Login { start, end: u64::MAX, installed });
        self.logins.len() - 1
    }

    pub fn end_login(&mut self, login: usize) {
        self.logins[login].end = self.tick();
    }

    pub fn login_of_refresh(&self, refresh: &str) -> usize {
        self.refresh[refresh].login
    }

    pub fn issue_access(
        &mut self,
        login: usize,
        by: Option<usize>,
        sent: At,
        life: Option<u64>,
    ) -> String {
        self.issued += 1;
        let issued = self.tick();
        let secret = format!("a{}", self.issued);
        let unsaid = life.is_none();
        // What the platform cannot name, or the manager counts as unknown.
        let ends = life.and_then(|life| sent.wall.checked_add(life)).filter(|e| *e < u64::MAX / 4);
        let life = life.filter(|_| ends.is_some());
        self.access.insert(
            secret.clone(),
            Access { login, by, sent, life, ends, issued, unsaid, reissued: false },
        );
        self.last_access = Some(secret.clone());
        secret
    }

    /// The same secret once more, with another end.
    pub fn reissue_access(
        &mut self,
        login: usize,
        by: usize,
        sent: At,
        life: Option<u64>,
    ) -> Option<String> {
        let secret = self.last_access.clone()?;
        let ends = life.and_then(|life| sent.wall.checked_add(life)).filter(|e| *e < u64::MAX / 4);
        let known = self.access.get_mut(&secret)?;
        let life = life.filter(|_| ends.is_some());
        *known = Access { login, by: Some(by), sent, life, ends, reissued: true, ..*known };
        Some(secret)
    }

    /// The answer brings no other refresh token, so this one stays good.
    pub fn give_back(&mut self, secret: &str) {
        if let Some(refresh) = self.refresh.get_mut(secret) {
            refresh.spent_by = None;
        }
    }

    pub fn issue_refresh(&mut self, login: usize) -> String {
        self.issued += 1;
        let secret = format!("r{}", self.issued);
        let refresh = Refresh { login, spent_by: None, excused: false, dead: false };
        self.refresh.insert(secret.clone(), refresh);
        secret
    }

    pub fn kill_refresh(&mut self, secret: &str) {
        if let Some(refresh) = self.refresh.get_mut(secret) {
            refresh.dead = true;
        }
    }

    /// The answer to what was spent did not arrive.
    pub fn excuse(&mut self, secret: &str) {
        if let Some(refresh) = self.refresh.get_mut(secret) {
            refresh.excused = true;
        }
    }

    /// Whether the service takes the refresh token. `rotates` says that it takes it once.
    pub fn spend(&mut self, process: usize, secret: &str, rotates: bool) -> bool {
        let seq = self.tick();
        let lied = self.lied;
        let Some(refresh) = self.refresh.get_mut(secret) else {
            self.violate("unknown refresh token", format!("{secret} was sent by {process}"));
            return false;
        };
        if let Some((by, at)) = refresh.spent_by.filter(|_| rotates) {
            let lease_fault = self.processes[by].lease_fault;
            let excused = refresh.excused || lied || (by != process && lease_fault >= at);
            refresh.dead = true;
            if !excused {
                let detail = format!("{secret}: spent by {by}, and again by {process}");
                self.violate("refresh token spent twice", detail);
            }
            return false;
        }
        if refresh.dead {
            return false;
        }
        refresh.spent_by = Some((process, seq));
        true
    }

    /// A provider is called.
    pub fn enters(&mut self) -> u64 {
        self.tick()
    }

    /// A process sends a request.
    pub fn sends(&mut self, p: usize, at: At, fetch: bool) {
        let process = &mut self.processes[p];
        process.sends += 1;
        process.at_once = if process.last_send == at.mono { process.at_once + 1 } else { 1 };
        process.last_send = at.mono;
        let process = process.clone();
        if process.at_once == STORM {
            self.violate("a storm of requests", format!("process {p}"));
        }
        let who = if fetch { "fetch" } else { "refresh" };
        if let Some(success) = &process.success
            && process.logging_in == 0
        {
            let gap = at.since(success.sent);
            if gap < success.interval && !success.rejected {
                let detail = format!("{who} by {p} {gap} ms after the last request");
                self.violate("minimum interval", detail);
            }
            if let Some((from, length)) = process.pause
                && success.rejected
                && at.since(from) < length
            {
                let gap = at.since(from);
                let detail = format!("{who} by {p} {gap} ms into a pause of {length} ms");
                self.violate("pause after rejections", detail);
            }
        }
        if let Some(failure) = &process.failure
            && !(fetch && failure.only_refresh)
        {
            let gap = at.since(failure.at);
            let forced = process.forcing > 0 || process.logging_in > 0 || process.lingers;
            let may_test = forced && failure.class != Class::Transient && gap >= 5_000;
            // Not judged yet: a failure of the storage may make a manager forget that the service
            // wants a person.
            let is_open = failure.class == Class::Person && process.storage_fault > failure.since;
            if gap < failure.pause && !may_test && !is_open {
                let class = failure.class;
                let detail = format!("{who} by {p} {gap} ms after a failure: {class:?}");
                self.violate("pause after a failure", detail);
            }
        }
        if let Some((since, landed)) = self.tombstone_since
            && fetch
            && process.has_refresher
            && process.running == 0
            && process.last_ask.is_none_or(|(ask, when)| ask < since && at.since(when) > 120_000)
            && at.since(landed) > 60_000
            && !self.lied
        {
            self.violate("a refresher logs in after a logout", format!("process {p}"));
        }
    }

    /// Whether a process has sent so much that the service answers no more, lest a life never end.
    pub fn is_storm(&self, p: usize) -> bool {
        self.processes[p].at_once >= STORM
    }

    pub fn succeeded(&mut self, p: usize, access: &str, sent: At, at: At, since: u64) {
        let life = self.access.get(access).and_then(|access| access.life);
        let process = &mut self.processes[p];
        process.successes += 1;
        process.wanted_person = false;
        if process.reset_at > since || process.has_news() {
            return;
        }
        match &process.success {
            Some(last) if last.rejected && last.young => {
                process.streak += 1;
                let length = 5_000_u64 << (process.streak - 1).min(10);
                process.pause = Some((at, length.min(600_000)));
            }
            Some(last) if last.rejected => {
                process.streak = 0;
                process.pause = None;
            }
            _ => {}
        }
        process.failure = None;
        let rejected = process.rejected.contains(access);
        let known = process.success.as_ref().filter(|last| last.access == access);
        let answered = known.map_or(at, |last| last.answered);
        process.success = Some(Success {
            sent,
            answered,
            interval: life.map_or(5_000, |life| (life / 2).clamp(1_000, 5_000)),
            access: access.to_owned(),
            rejected,
            young: rejected,
        });
    }

    pub fn failed(&mut self, p: usize, class: Class, asked: u64, at: At, since: u64) {
        let process = &mut self.processes[p];
        process.wanted_person |= class == Class::Person;
        if process.reset_at > since || class == Class::Token || process.has_news() {
            return;
        }
        let same = process.failure.as_ref().filter(|last| last.class == class);
        let streak = same.map_or(1, |last| last.streak + 1);
        let doubled =
            |first: u64, longest: u64| first.saturating_mul(1 << (streak - 1).min(20)).min(longest);
        let pause = match class {
            Class::Transient => doubled(1_000, 48_000).max(asked.min(3_600_000)),
            Class::Verdict => doubled(5_000, 600_000),
            Class::Doubt => 5_000,
            Class::Person | Class::Token => u64::MAX,
        };
        let only_refresh = class == Class::Doubt;
        process.failure = Some(Failure { at, class, streak, pause, only_refresh, since });
    }

    // --- a process ---

    pub fn add_process(&mut self) -> usize {
        let overlap = self.tick();
        self.processes.push(Process { overlap, ..Process::default() });
        self.processes.len() - 1
    }

    /// A manager may have forgotten its pauses: a login, a logout, or news of another process.
    pub fn reset(&mut self, p: usize) {
        let seq = self.tick();
        let process = &mut self.processes[p];
        process.success = None;
        process.failure = None;
        process.streak = 0;
        process.pause = None;
        process.reset_at = seq;
    }

    /// Credentials were corrected: a refusal counts no more, a service that is down does.
    pub fn correct(&mut self, p: usize) {
        let process = &mut self.processes[p];
        process.failure.take_if(|failure| failure.class != Class::Transient);
    }

    pub fn reject(&mut self, p: usize, access: &str, at: At) {
        let process = &mut self.processes[p];
        process.rejected.insert(access.to_owned());
        if let Some(success) = process.success.as_mut().filter(|s| s.access == access)
            && !success.rejected
        {
            success.rejected = true;
            success.young = at.since(success.answered) < 290_000;
        }
    }

    pub fn is_rejected(&self, p: usize, access: &str) -> bool {
        self.processes[p].rejected.contains(access)
    }

    pub fn lease_may_fail(&mut self, p: usize) {
        let seq = self.tick();
        self.processes[p].lease_fault = seq;
    }

    pub fn has_read(&mut self, p: usize) {
        let seq = self.tick();
        self.processes[p].last_read = seq;
    }

    pub fn storage_failed(&mut self, p: usize) {
        let seq = self.tick();
        self.processes[p].storage_fault = seq;
    }

    pub fn write_failed(&mut self, p: usize) {
        let seq = self.tick();
        self.processes[p].write_fault = seq;
    }

    pub fn begin(
        &mut self,
        p: usize,
        at: At,
        asks: bool,
        insists: Insists,
        peeked: Option<String>,
    ) -> Begun {
        let seq = self.tick();
        let process = &mut self.processes[p];
        if process.running > 0 {
            process.overlap = seq;
        }
        let alone = process.running == 0 && !process.lingers && !process.has_refresher;
        process.running += 1;
        match insists {
            Insists::No => {}
            Insists::Force => process.forcing += 1,
            Insists::Login => process.logging_in += 1,
        }
        if asks {
            process.last_ask = Some((seq, at));
        }
        Begun {
            process: p,
            seq,
            floor: process.floor,
            rejected: process.rejected.clone(),
            alone,
            sends: process.sends,
            successes: process.successes,
            foreign_writes: process.foreign_writes,
            peeked,
            has_enough: false,
        }
    }

    pub fn end(&mut self, begun: &Begun, at: At, insists: Insists, asks: bool, dropped: bool) {
        let seq = self.tick();
        let process = &mut self.processes[begun.process];
        process.running -= 1;
        match insists {
            Insists::No => {}
            Insists::Force => process.forcing -= 1,
            Insists::Login => process.logging_in -= 1,
        }
        if asks {
            process.last_ask = Some((seq, at));
        }
        if dropped {
            process.lingers = true;
            return;
        }
        let alone = begun.alone && process.overlap < begun.seq;
        let foreign = process.foreign_writes > begun.foreign_writes;
        let sends = process.sends - begun.sends;
        let successes = process.successes - begun.successes;
        let foreign = foreign || process.storage_fault > begun.seq;
        if alone && !foreign && (sends > 3 || successes > 1) && insists != Insists::Login {
            let detail = format!("{sends} requests, {successes} answers for one call");
            self.violate("more than one request for a call", detail);
        }
    }

    /// How many requests a call caused, if nothing else can have caused them.
    pub fn sends_of(&self, begun: &Begun) -> Option<usize> {
        let process = &self.processes[begun.process];
        let undisturbed = begun.alone
            && process.overlap < begun.seq
            && process.foreign_writes == begun.foreign_writes;
        undisturbed.then(|| process.sends - begun.sends)
    }

    /// Whether a token is good for so long, by what the model knows of it.
    pub fn is_good(&self, p: usize, access: &str, at: At, at_least: u64) -> bool {
        self.is_alive(p, access, at, at_least)
            && !self.processes[p].rejected.contains(access)
            && self
                .access
                .get(access)
                .is_some_and(|a| self.logins[a.login].start >= self.processes[p].floor)
    }

    fn is_alive(&self, p: usize, access: &str, at: At, at_least: u64) -> bool {
        let Some(token) = self.access.get(access) else { return false };
        if at_least == u64::MAX && !token.unsaid {
            return false;
        }
        let until_wall = token.ends.is_none_or(|end| {
            at.wall.saturating_add(at_least) < end || at_least == 0 && at.wall < end
        });
        let remembers = token.by == Some(p) && !(self.evicts && self.clock_odd);
        let by_mono = remembers || at_least > 0;
        let until_mono = token.life.is_none_or(|life| {
            !by_mono || at.mono.saturating_add(at_least) < token.sent.mono.saturating_add(life)
        });
        until_wall && until_mono
    }

    /// Whether less than so many percent of its life are over.
    pub fn is_young(&self, access: &str, at: At, percent: u64) -> bool {
        let Some(token) = self.access.get(access) else { return false };
        let Some(life) = token.life else { return true };
        if life < 1_000 {
            return false;
        }
        let age = at.since(token.sent);
        token.sent.wall <= at.wall && age.saturating_mul(100) < life.saturating_mul(percent)
    }

    /// Judges a token that a call, or a look, gave out. `pause_excuses` says that the manager would
    /// not replace the token if it were rejected now.
    pub fn serves(&mut self, begun: &Begun, access: &str, at: At, pause_excuses: bool) {
        let p = begun.process;
        let Some(token) = self.access.get(access).copied() else {
            // Only what was planted is unknown, and that has ended.
            return self.violate("an ended token was served", access.to_owned());
        };
        let knows = !token.reissued || token.by == Some(p);
        if knows && !self.is_alive(p, access, at, 0) {
            let detail = format!("{access} was given out by {p}: {token:?}, at {at:?}");
            self.violate("an ended token was served", detail);
        }
        if begun.rejected.contains(access) && !pause_excuses {
            self.violate("a rejected token was served", format!("{access} by {p}"));
        }
        let login = self.logins[token.login];
        // What overlaps may have come later.
        let since = if login.installed { login.end } else { login.start };
        if since < begun.floor && !self.lied {
            let detail = format!("{access} by {p}: {login:?}, floor {}", begun.floor);
            if !self.clock_odd && !self.is_provisional(p, begun.floor) {
                self.violate("a cleared token was served", detail);
            }
        }
        if !self.written.contains(access) && self.processes[p].storage_fault < token.issued {
            self.violate("served before it was stored", format!("{access} by {p}"));
        }
    }

    pub fn peek_of(&self, p: usize) -> Begun {
        let process = &self.processes[p];
        Begun {
            process: p,
            seq: self.seq,
            floor: process.floor,
            rejected: process.rejected.clone(),
            alone: false,
            sends: 0,
            successes: 0,
            foreign_writes: 0,
            peeked: None,
            has_enough: false,
        }
    }

    // --- logins and logouts ---

    /// `clear` empties memory at once.
    pub fn begin_clear(&mut self, p: usize, empties: bool) -> usize {
        let start = self.tick();
        self.reset(p);
        let process = &mut self.processes[p];
        if empties {
            process.floor = start;
        }
        process.clears.push(Handover { start, end: u64::MAX, counts: empties });
        process.clears.len() - 1
    }

    pub fn end_clear(&mut self, p: usize, clear: usize, done: bool) {
        let end = self.tick();
        self.reset(p);
        let process = &mut self.processes[p];
        process.clears[clear].end = end;
        process.clears[clear].counts |= done;
        process.wanted_person &= !process.clears[clear].counts;
        if done {
            process.floor = process.floor.max(process.clears[clear].start);
        }
    }

    pub fn begin_install(&mut self, p: usize, at: At) {
        self.reset(p);
        self.asks(p, at);
    }

    pub fn end_install(&mut self, p: usize, login: usize, done: bool) {
        self.end_login(login);
        self.reset(p);
        if done {
            let start = self.logins[login].start;
            let process = &mut self.processes[p];
            process.floor = process.floor.max(start);
            process.wanted_person = false;
        }
    }

    // --- the storage ---

    pub fn write_ended(&mut self, record: &Stored) {
        self.written.extend(record.access.clone());
    }

    pub fn plant(&mut self) {
        self.lied = true;
    }

    /// A record came into the storage.
    pub fn landed(&mut self, p: usize, before: &Stored, record: &Stored, at: At) {
        let seq = self.tick();
        self.written.extend(record.access.clone());
        let same = before.access == record.access
            && before.refresh == record.refresh
            && before.tombstone == record.tombstone;
        // A refusal is noted under the order of what is there.
        let notes =
            same || (before.tombstone && record.access.is_none() && record.refresh.is_none());
        // Not judged yet: an access token that serves replaces one that has ended, whatever its order.
        let is_bare = before.refresh.is_none() && record.refresh.is_none() && !before.tombstone;
        let is_note = record.order == before.order && notes;
        let rises = record.order > before.order || is_note || is_bare;
        if !rises && !self.lied {
            let detail = format!("{before:?} was replaced by {record:?} of {p}");
            self.violate("a lower order replaced a higher one", detail);
        }
        for other in 0..self.processes.len() {
            if other != p {
                self.reset(other);
                self.processes[other].foreign_writes += 1;
                self.processes[other].last_foreign = seq;
                self.processes[other].wanted_person &= record.refresh.is_none();
            }
        }
        self.judge_handover(p, record);
        self.stored = record.clone();
        match record.tombstone {
            true if self.tombstone_since.is_none() => self.tombstone_since = Some((seq, at)),
            true => {}
            false => self.tombstone_since = None,
        }
    }

    /// Whether the storage failed a process since then: a login or logout that could not be
    /// compared with what is stored may have the order of another of the same millisecond.
    fn is_provisional(&self, p: usize, since: u64) -> bool {
        let process = &self.processes[p];
        let any =
            self.processes.iter().any(|other| other.storage_fault > 0 || other.write_fault > 0);
        process.storage_fault > since || (self.same_time && any)
    }

    fn judge_handover(&mut self, p: usize, record: &Stored) {
        let (this, is_handover) = if record.tombstone {
            // A revocation that failed may have got as far as this.
            let Some(clear) = self.processes[p].clears.last() else { return };
            (*clear, clear.counts || clear.end == u64::MAX)
        } else {
            let access = record.access.as_ref().and_then(|a| self.access.get(a)).map(|a| a.login);
            let refresh = record.refresh.as_ref().and_then(|r| self.refresh.get(r));
            let Some(login) = access.or(refresh.map(|r| r.login)) else { return };
            let login = self.logins[login];
            (Handover { start: login.start, end: login.end, counts: true }, login.installed)
        };
        if let Some(last) = self.stored_handover
            && this.start < last.start
            && (this.end < last.start || !is_handover)
            && self.trusts_orders()
            && !self.is_provisional(p, this.start)
        {
            let detail =
                format!("{record:?} of {p} replaced a later login or logout: {this:?} {last:?}");
            self.violate("an older login or logout beat a later one", detail);
        }
        if is_handover && self.stored_handover.is_none_or(|last| last.start < this.start) {
            self.stored_handover = Some(this);
        }
    }

    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    pub fn stored_refresh_is_alive(&self) -> bool {
        let refresh = self.stored.refresh.as_ref().and_then(|secret| self.refresh.get(secret));
        refresh.is_some_and(|refresh| !refresh.dead && refresh.spent_by.is_none())
    }

    /// Whether a process may say for good that a person must log in, until it is told to try.
    pub fn wants_person(&self, p: usize) -> bool {
        self.processes[p].wanted_person
    }

    /// A token is asked for in the end.
    pub fn asks(&mut self, p: usize, at: At) {
        let seq = self.tick();
        self.processes[p].last_ask = Some((seq, at));
    }

    /// The order of time has come to an end: what is stored must not be older than the last logout.
    pub fn judge_end(&mut self) {
        let last = self.processes.iter().flat_map(|process| &process.clears);
        let last = last.filter(|clear| clear.counts).map(|clear| clear.start).max();
        let faults = self.processes.iter().map(|process| process.storage_fault).max();
        let (Some(last), false) = (last, self.stored.tombstone) else { return };
        let access = self.stored.access.as_ref().and_then(|a| self.access.get(a)).map(|a| a.login);
        let refresh = self.stored.refresh.as_ref().and_then(|r| self.refresh.get(r));
        let Some(login) = access.or(refresh.map(|r| r.login)) else { return };
        let login = self.logins[login];
        let is_provisional = faults.is_some_and(|fault| fault > last);
        if login.end < last && self.trusts_orders() && !self.same_time && !is_provisional {
            let detail = format!("{:?}: {login:?}, cleared at {last}", self.stored);
            self.violate("a logout is not in the storage in the end", detail);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insists {
    No,
    Force,
    Login,
}

const STORM: usize = 40; // of one process, while the clock stands
