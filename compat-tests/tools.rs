//! Kafka's command-line tools, on Kafka's Java clients.

use crate::harness::{Broker, transcript};

#[test]
fn kafka_topics_creates_describes_alters_and_deletes_as_on_kafka() {
    transcript::replay(&Broker::start("topics"), "topics");
}

#[test]
fn kafka_configs_describes_and_alters_topics_and_brokers_as_on_kafka() {
    transcript::replay(&Broker::start("configs"), "configs");
}

#[test]
fn kafka_get_offsets_and_kafka_delete_records_answer_as_on_kafka() {
    transcript::replay(&Broker::start("offsets"), "offsets");
}
