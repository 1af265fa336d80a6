//! Metrics: counters, gauges and histograms under Kafka's names.
//!
//! A part of the broker declares its metrics once, with [`declare_metrics!`], and updates them
//! directly: an update is one or two relaxed atomic additions, without a lock and without a look-up.
//! A [`Registry`] collects all parts on demand, and [`prometheus::render`] prints them in the text
//! format of Prometheus, under the names that the usual jmx_exporter rules produce.
//!
//! Read `instrument.rs` and `histogram.rs` (what is updated), `declaration.rs` (names, types, units),
//! `registry.rs` (what is collected), `prometheus.rs` (how it is printed).

mod declaration;
mod histogram;
mod instrument;
pub mod prometheus;
mod registry;

pub(crate) use declaration::declare_metrics;
pub use declaration::{Declaration, MetricKind, Unit};
pub use histogram::{Histogram, HistogramSnapshot};
pub use instrument::{Counter, Gauge};
pub use registry::{Collect, Collector, Label, Registry, Value};
