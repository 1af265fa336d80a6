//! How a metric is declared: once, with Kafka's MBean name, its type, its unit and a help text.

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Rises only; a Yammer `Meter` in Kafka, whose `Count` this is.
    Counter,
    /// Rises and falls.
    Gauge,
    /// A distribution; a Yammer `Histogram` in Kafka.
    Histogram,
}

/// Unit of the values that are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Events or things.
    Count,
    /// Bytes.
    Bytes,
    /// Microseconds. Kafka's metrics of times are in milliseconds, and so are the printed values.
    Micros,
    /// Milliseconds that are printed as seconds, as the metrics of every process are by Prometheus's
    /// convention.
    MillisAsSeconds,
}

impl Unit {
    /// Factor from the recorded value to the printed one.
    pub const fn scale(self) -> f64 {
        match self {
            Self::Count | Self::Bytes => 1.0,
            Self::Micros | Self::MillisAsSeconds => 0.001,
        }
    }
}

/// One metric as its part declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Kafka's name without the tags that vary, for example
    /// `kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec`. Without a colon it is the name in
    /// Prometheus, of a metric that a JVM's process has by another exporter.
    pub mbean: &'static str,
    /// Type.
    pub kind: MetricKind,
    /// Unit of the recorded values.
    pub unit: Unit,
    /// One sentence for operators.
    pub help: &'static str,
}

impl Declaration {
    /// The name in Prometheus, by the rules that Strimzi and the usual jmx_exporter examples share:
    /// domain, type and name in lower case, joined by `_`, where `PerSec` becomes `_total` and
    /// `Percent` becomes `_percent`.
    pub fn prometheus_name(&self) -> String {
        let Some((domain, rest)) = self.mbean.split_once(':') else {
            return self.mbean.to_owned();
        };
        let mut name = domain.replace('.', "_");
        for tag in rest.split(',') {
            let value = tag.split_once('=').map_or(tag, |(_, value)| value);
            name.push('_');
            name.push_str(value);
        }
        for (ending, replacement) in [("PerSec", "_total"), ("Percent", "_percent")] {
            if let Some(stem) = name.strip_suffix(ending) {
                name = format!("{stem}{replacement}");
            }
        }
        name.to_ascii_lowercase().replace('-', "_")
    }
}

/// Declares the metrics of one part as a struct of instruments that can be collected.
///
/// ```text
/// declare_metrics! {
///     /// Traffic of all topics.
///     pub struct TopicMetrics {
///         /// Bytes that producers sent.
///         bytes_in: Counter, Bytes, "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec";
///     }
/// }
/// ```
macro_rules! declare_metrics {
    (
        $(#[$about:meta])*
        $visibility:vis struct $name:ident {
            $($(#[doc = $help:literal])+ $field:ident: $kind:ident, $unit:ident, $mbean:literal;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        $visibility struct $name {
            $($(#[doc = $help])+ $visibility $field: $crate::metrics::$kind,)*
        }

        impl $name {
            /// The metrics of this struct, in the order of its fields.
            $visibility const DECLARATIONS: &'static [$crate::metrics::Declaration] = &[
                $($crate::metrics::Declaration {
                    mbean: $mbean,
                    kind: $crate::metrics::MetricKind::$kind,
                    unit: $crate::metrics::Unit::$unit,
                    help: concat!($($help),+).trim_ascii(),
                }),*
            ];

            /// Reports all metrics with these labels.
            $visibility fn collect_labelled(
                &self,
                labels: &[$crate::metrics::Label<'_>],
                collector: &mut dyn $crate::metrics::Collector,
            ) {
                let mut declarations = Self::DECLARATIONS.iter();
                $(
                    let declaration = declarations.next().expect("one declaration a field");
                    collector.collect(declaration, labels, (&self.$field).into());
                )*
            }

            /// Starts a new window of all histograms.
            #[allow(dead_code, reason = "some parts have no histogram")]
            $visibility fn rotate(&self) {
                $(declare_metrics!(@rotate $kind self.$field);)*
            }
        }
    };
    (@rotate Histogram $instrument:expr) => { $instrument.rotate() };
    (@rotate $kind:ident $instrument:expr) => {};
}
pub(crate) use declare_metrics;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(mbean: &'static str) -> String {
        let kind = MetricKind::Gauge;
        Declaration { mbean, kind, unit: Unit::Count, help: "" }.prometheus_name()
    }

    #[test]
    fn names_are_those_of_the_usual_exporter_rules() {
        for (mbean, prometheus) in [
            (
                "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec",
                "kafka_server_brokertopicmetrics_bytesin_total",
            ),
            (
                "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent",
                "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
            ),
            (
                "kafka.controller:type=KafkaController,name=ActiveControllerCount",
                "kafka_controller_kafkacontroller_activecontrollercount",
            ),
            (
                "kafka.server:type=raft-metrics,name=high-watermark",
                "kafka_server_raft_metrics_high_watermark",
            ),
            ("process_open_fds", "process_open_fds"),
        ] {
            assert_eq!(name(mbean), prometheus);
        }
    }
}
