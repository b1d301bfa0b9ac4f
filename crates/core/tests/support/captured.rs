//! A subscriber that keeps everything that it is told, for good.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Clones share what was captured.
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Vec<Entry>>>);

/// A span or an event.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub target: &'static str,
    pub level: Level,
    pub is_event: bool,
    pub fields: BTreeMap<&'static str, String>,
    /// The span that it is in.
    pub parent: Option<&'static str>,
    pub follows: Vec<&'static str>,
    pub is_closed: bool,
}

/// Where the entry of a span is.
#[derive(Clone, Copy)]
struct Index(usize);

impl Captured {
    /// Makes this the subscriber of the thread.
    pub fn install(&self) -> DefaultGuard {
        tracing::subscriber::set_default(Registry::default().with(self.clone()))
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().clone()
    }

    pub fn events(&self) -> Vec<Entry> {
        self.0.lock().iter().filter(|entry| entry.is_event).cloned().collect()
    }

    /// The last span or event of this name.
    pub fn last(&self, name: &str) -> Entry {
        let entries = self.0.lock();
        let found = entries.iter().rfind(|entry| entry.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}")).clone()
    }

    fn add(&self, entry: Entry) -> Index {
        let mut entries = self.0.lock();
        entries.push(entry);
        Index(entries.len() - 1)
    }

    fn change(&self, index: Index, change: impl FnOnce(&mut Entry)) {
        self.0.lock().get_mut(index.0).map(change).unwrap();
    }
}

impl Entry {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

fn entry(metadata: &'static tracing::Metadata<'static>, parent: Option<&'static str>) -> Entry {
    Entry {
        name: metadata.name(),
        target: metadata.target(),
        level: *metadata.level(),
        is_event: metadata.is_event(),
        fields: BTreeMap::new(),
        parent,
        follows: Vec::new(),
        is_closed: false,
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Captured {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let span = cx.span(id).unwrap();
        let mut entry = entry(attributes.metadata(), span.parent().map(|parent| parent.name()));
        attributes.record(&mut entry);
        span.extensions_mut().insert(self.add(entry));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        let index = *cx.span(id).unwrap().extensions().get::<Index>().unwrap();
        self.change(index, |entry| values.record(entry));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, cx: Context<'_, S>) {
        let index = *cx.span(id).unwrap().extensions().get::<Index>().unwrap();
        let name = cx.span(follows).unwrap().name();
        self.change(index, |entry| entry.follows.push(name));
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut entry = entry(event.metadata(), cx.event_span(event).map(|span| span.name()));
        event.record(&mut entry);
        self.add(entry);
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        let index = *cx.span(&id).unwrap().extensions().get::<Index>().unwrap();
        self.change(index, |entry| entry.is_closed = true);
    }
}
