//! A recorder that a test can look into as often as it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use parking_lot::Mutex;

/// Clones share what was recorded.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    series: Arc<Mutex<BTreeMap<Series, Value>>>,
    described: Arc<Mutex<BTreeMap<String, Description>>>,
}

/// A name and its labels.
pub type Series = (String, BTreeSet<(String, String)>);

type Description = (Option<Unit>, String);

#[derive(Clone, Debug)]
enum Value {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Times>),
}

#[derive(Debug, Default)]
struct Times(Mutex<Vec<f64>>);

impl HistogramFn for Times {
    fn record(&self, value: f64) {
        self.0.lock().push(value);
    }
}

impl Recorded {
    /// Those that were registered.
    pub fn series(&self) -> Vec<Series> {
        self.series.lock().keys().cloned().collect()
    }

    pub fn is_described(&self, name: &str) -> bool {
        let described = self.described.lock();
        described.get(name).is_some_and(|(unit, what)| unit.is_some() && !what.is_empty())
    }

    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        match self.value(name, labels) {
            Value::Counter(count) => count.load(Ordering::SeqCst),
            other => panic!("{name} is no counter: {other:?}"),
        }
    }

    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        match self.value(name, labels) {
            Value::Gauge(value) => f64::from_bits(value.load(Ordering::SeqCst)),
            other => panic!("{name} is no gauge: {other:?}"),
        }
    }

    pub fn times(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        match self.value(name, labels) {
            Value::Histogram(times) => times.0.lock().clone(),
            other => panic!("{name} is no histogram: {other:?}"),
        }
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Value {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let series = (name.to_owned(), labels.collect());
        let found = self.series.lock().get(&series).cloned();
        found.unwrap_or_else(|| panic!("there is no {series:?}"))
    }

    fn register(&self, key: &Key, value: Value) -> Value {
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned()));
        let series = (key.name().to_owned(), labels.collect());
        self.series.lock().entry(series).or_insert(value).clone()
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, what: &SharedString) {
        let described = (unit, what.clone().into_owned());
        self.described.lock().insert(name.as_str().to_owned(), described);
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, &description);
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        match self.register(key, Value::Counter(Arc::default())) {
            Value::Counter(count) => Counter::from_arc(count),
            other => panic!("{key} is {other:?}"),
        }
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        match self.register(key, Value::Gauge(Arc::default())) {
            Value::Gauge(value) => Gauge::from_arc(value),
            other => panic!("{key} is {other:?}"),
        }
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        match self.register(key, Value::Histogram(Arc::default())) {
            Value::Histogram(times) => Histogram::from_arc(times),
            other => panic!("{key} is {other:?}"),
        }
    }
}
