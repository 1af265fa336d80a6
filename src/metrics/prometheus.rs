//! The text format of Prometheus (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::declaration::{Declaration, MetricKind};
use super::registry::{Collector, Label, Registry, Value};

/// The quantiles that jmx_exporter prints for Kafka's histograms.
const QUANTILES: [(&str, f64); 6] = [
    ("0.50", 0.5),
    ("0.75", 0.75),
    ("0.95", 0.95),
    ("0.98", 0.98),
    ("0.99", 0.99),
    ("0.999", 0.999),
];

/// All metrics of a registry. The series of one metric are adjacent, as the format demands.
pub fn render(registry: &Registry) -> String {
    let mut families = Families::default();
    registry.collect(&mut families);
    families.text()
}

/// The lines of each metric, by its name.
#[derive(Default)]
struct Families(BTreeMap<String, (&'static str, MetricKind, String)>);

impl Collector for Families {
    fn collect(&mut self, declaration: &'static Declaration, labels: &[Label<'_>], value: Value) {
        let name = declaration.prometheus_name();
        let scale = declaration.unit.scale();
        let (_, _, lines) = self
            .0
            .entry(name.clone())
            .or_insert_with(|| (declaration.help, declaration.kind, String::new()));
        match value {
            Value::Counter(count) => {
                _ = writeln!(lines, "{name}{} {}", Labels(labels, None), count as f64 * scale);
            }
            Value::Gauge(value) => {
                _ = writeln!(lines, "{name}{} {}", Labels(labels, None), value * scale);
            }
            Value::Histogram(snapshot) => {
                for (text, quantile) in QUANTILES {
                    let value = snapshot.quantile(quantile) as f64 * scale;
                    _ = writeln!(lines, "{name}{} {value}", Labels(labels, Some(text)));
                }
                let (sum, count) = (snapshot.sum as f64 * scale, snapshot.count);
                _ = writeln!(lines, "{name}_sum{} {sum}", Labels(labels, None));
                _ = writeln!(lines, "{name}_count{} {count}", Labels(labels, None));
            }
        }
    }
}

impl Families {
    fn text(self) -> String {
        let mut text = String::new();
        for (name, (help, kind, lines)) in self.0 {
            let kind = match kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram => "summary",
            };
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            _ = writeln!(text, "# HELP {name} {help}");
            _ = writeln!(text, "# TYPE {name} {kind}");
            text.push_str(&lines);
        }
        text
    }
}

/// Labels in braces, and the quantile of a summary.
struct Labels<'a>(&'a [Label<'a>], Option<&'a str>);

impl std::fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quantile = self.1.map(|quantile| ("quantile", quantile));
        let mut separator = "{";
        for (name, value) in self.0.iter().copied().chain(quantile) {
            write!(f, "{separator}{name}=\"")?;
            for char in value.chars() {
                match char {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    char => f.write_char(char)?,
                }
            }
            f.write_str("\"")?;
            separator = ",";
        }
        if separator == "," { f.write_str("}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Collect, declare_metrics};
    use super::*;

    declare_metrics! {
        /// For the test.
        struct Sample {
            /// Bytes that producers sent.
            bytes_in: Counter, Bytes, "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec";
            /// Partitions.
            partitions: Gauge, Count, "kafka.server:type=ReplicaManager,name=PartitionCount";
            /// Time of a request.
            total: Histogram, Micros, "kafka.network:type=RequestMetrics,name=TotalTimeMs";
        }
    }

    impl Collect for Sample {
        fn collect(&self, collector: &mut dyn Collector) {
            self.collect_labelled(&[("topic", "a\"b\\c\nd")], collector);
        }

        fn rotate(&self) {
            Sample::rotate(self);
        }
    }

    #[test]
    fn series_of_one_metric_are_adjacent_and_labels_are_escaped() {
        let registry = Registry::default();
        for bytes in [3, 4] {
            let sample = Sample::default();
            sample.bytes_in.add(bytes);
            sample.partitions.set(-1);
            sample.total.record(2_000);
            registry.register(Arc::new(sample));
        }
        let text = render(&registry);
        let label = "topic=\"a\\\"b\\\\c\\nd\"";
        assert!(
            text.starts_with(
                "# HELP kafka_network_requestmetrics_totaltimems Time of a request.\n"
            )
        );
        assert!(text.contains(&format!(
            "# TYPE kafka_server_brokertopicmetrics_bytesin_total counter\n\
             kafka_server_brokertopicmetrics_bytesin_total{{{label}}} 3\n\
             kafka_server_brokertopicmetrics_bytesin_total{{{label}}} 4\n"
        )));
        assert!(
            text.contains(&format!("kafka_server_replicamanager_partitioncount{{{label}}} -1\n"))
        );
        // 2,000 microseconds, in milliseconds, at most an eighth too high.
        let quantile = format!("totaltimems{{{label},quantile=\"0.99\"}} ");
        let value: f64 =
            text.split(&quantile).nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert!((2.0..=2.25).contains(&value), "{value}");
        assert!(text.contains(&format!("totaltimems_count{{{label}}} 1\n")));
        assert!(text.contains(&format!("totaltimems_sum{{{label}}} 2\n")));
        registry.rotate();
        registry.rotate();
        assert!(
            render(&registry).contains(&format!("totaltimems{{{label},quantile=\"0.99\"}} 0\n"))
        );
    }
}
