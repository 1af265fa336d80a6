//! Collecting the metrics of all parts.

use std::sync::Arc;

use parking_lot::Mutex;

use super::declaration::Declaration;
use super::histogram::{Histogram, HistogramSnapshot};
use super::instrument::{Counter, Gauge};

/// A tag of Kafka's MBean that tells series of one metric apart: name and value.
pub type Label<'a> = (&'static str, &'a str);

/// The value of a series.
#[derive(Clone, Debug)]
pub enum Value {
    /// Of a [`Counter`].
    Counter(u64),
    /// Of a [`Gauge`].
    Gauge(f64),
    /// Of a [`Histogram`].
    Histogram(HistogramSnapshot),
}

impl From<&Counter> for Value {
    fn from(counter: &Counter) -> Self {
        Self::Counter(counter.value())
    }
}

impl From<&Gauge> for Value {
    fn from(gauge: &Gauge) -> Self {
        Self::Gauge(gauge.value() as f64)
    }
}

impl From<&Histogram> for Value {
    fn from(histogram: &Histogram) -> Self {
        Self::Histogram(histogram.snapshot())
    }
}

/// Receives series, one after the other.
pub trait Collector {
    /// One series of a metric.
    fn collect(&mut self, declaration: &'static Declaration, labels: &[Label<'_>], value: Value);
}

/// A part that has metrics. Gauges that follow from its state are computed here and cost nothing
/// between collections.
pub trait Collect: Send + Sync {
    /// Reports every series.
    fn collect(&self, collector: &mut dyn Collector);

    /// Starts a new window of the histograms.
    fn rotate(&self) {}
}

/// The metrics of all parts of a node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Registry {
    parts: Arc<Mutex<Vec<Arc<dyn Collect>>>>,
}

impl Registry {
    /// A registry of these parts.
    pub fn of(parts: impl IntoIterator<Item = Arc<dyn Collect>>) -> Self {
        Self { parts: Arc::new(Mutex::new(parts.into_iter().collect())) }
    }

    /// Adds a part.
    pub fn register(&self, part: Arc<dyn Collect>) {
        self.parts.lock().push(part);
    }

    /// Reports every series of every part.
    pub fn collect(&self, collector: &mut dyn Collector) {
        let parts = self.parts.lock().clone(); // A part must be able to register another one.
        for part in parts {
            part.collect(collector);
        }
    }

    /// Starts a new window of all histograms.
    pub fn rotate(&self) {
        let parts = self.parts.lock().clone();
        for part in parts {
            part.rotate();
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("parts", &self.parts.lock().len()).finish()
    }
}
