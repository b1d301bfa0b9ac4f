//! An observer that remembers what it was told.

use std::sync::Arc;

use parking_lot::Mutex;
use tokenkeeper::{Event, EventKind, Observer};

/// Remembers the kinds of all events in the order in which they came. Clones share the memory, so
/// a test keeps one and gives the other to a manager.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{EventKind, TokenManager};
/// use tokenkeeper_testkit::{RecordingObserver, ScriptedProvider};
///
/// let events = RecordingObserver::new();
/// let manager =
///     TokenManager::builder(ScriptedProvider::new("svc")).observer(events.clone()).build()?;
/// manager.blocking().token()?;
/// assert_eq!(events.count(|kind| matches!(kind, EventKind::TokenRequestSucceeded { .. })), 1);
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RecordingObserver {
    kinds: Arc<Mutex<Vec<EventKind>>>,
}

impl RecordingObserver {
    /// An observer that has heard of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The kinds of all events so far.
    #[must_use]
    pub fn kinds(&self) -> Vec<EventKind> {
        self.kinds.lock().clone()
    }

    /// How many events so far were such as `matcher` says.
    #[must_use]
    pub fn count(&self, matcher: impl Fn(&EventKind) -> bool) -> usize {
        self.kinds.lock().iter().filter(|kind| matcher(kind)).count()
    }
}

impl Observer for RecordingObserver {
    fn on_event(&self, event: &Event) {
        self.kinds.lock().push(event.kind().clone());
    }
}
