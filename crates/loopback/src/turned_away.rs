//! What reached the port and was not the callback, for the error of a login that saw none.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::page::Page;

/// Counts of requests that were turned away, by the reason. `Display` says them in words, without
/// anything that was in a request.
#[derive(Debug, Default)]
pub(crate) struct TurnedAway {
    other_state: AtomicUsize,
    other_path: AtomicUsize,
    other_method: AtomicUsize,
    other_host: AtomicUsize,
}

impl TurnedAway {
    pub(crate) fn count(&self, page: Page) {
        let counter = match page {
            Page::Stranger => &self.other_state,
            Page::NotFound => &self.other_path,
            Page::NotGet => &self.other_method,
            Page::WrongHost => &self.other_host,
            Page::LoggedIn | Page::Declined | Page::Failed => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for TurnedAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = [
            (&self.other_state, "without the `state` of this login"),
            (&self.other_path, "for another path"),
            (&self.other_method, "with another method than GET"),
            (&self.other_host, "for another host"),
        ];
        let counts = reasons.map(|(counter, reason)| (counter.load(Ordering::Relaxed), reason));
        let came: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, reason)| {
                format!("{count} {} {reason}", if count == 1 { "request" } else { "requests" })
            })
            .collect();
        if came.is_empty() { f.write_str("no request") } else { f.write_str(&came.join(", ")) }
    }
}
