//! What DescribeConfigs answers (Kafka 4.4 `ConfigHelper`, `KafkaConfigSchema`).

use super::broker::BrokerConfig;
use super::group;
use super::key::{Key, Mode};
use super::keys;
use super::layers::{self, Props};
use super::topic;
use super::value::Kind;

/// Where a value comes from; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// It was set for the topic.
    Topic = 1,
    /// It was altered for this broker.
    DynamicBroker = 2,
    /// It was altered for all brokers.
    DynamicDefaultBroker = 3,
    /// The broker was started with it.
    StaticBroker = 4,
    /// It is the default.
    Default = 5,
    /// It is the level of a logger.
    DynamicBrokerLogger = 6,
    /// It was set for the client metrics subscription.
    ClientMetrics = 7,
    /// It was set for the group.
    Group = 8,
}

/// A key with its value, as it is described to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The key.
    pub name: String,
    /// Its value; `None` if it is not set or a secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Source,
    /// Whether the value is not shown. What is unknown is not shown either.
    pub sensitive: bool,
    /// Whether it cannot be altered.
    pub read_only: bool,
    /// All values that it has, from the one that counts to the default.
    pub synonyms: Vec<DescribedSynonym>,
    /// Its type; `None` if it is unknown.
    pub kind: Option<Kind>,
    /// What it is for; `None` if it is unknown.
    pub documentation: Option<&'static str>,
}

/// A value that a key has somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedSynonym {
    /// The name that the value has there.
    pub name: String,
    /// The value; `None` if it is a secret.
    pub value: Option<String>,
    /// Where that is.
    pub source: Source,
}

/// Who is described, and how its own values are called.
struct Own<'a> {
    props: &'a Props,
    source: Source,
}

impl BrokerConfig {
    /// The keys of this broker, by name.
    pub fn describe_broker(&self) -> Vec<Description> {
        let declared = keys::brokers()
            .filter(|key| !key.is_internal())
            .map(|key| self.describe_key(key.name, self.value(key.name).text()));
        let others = self
            .effective
            .iter()
            .filter(|(name, _)| keys::broker(name).is_none_or(Key::is_internal))
            .map(|(name, text)| self.describe_key(name, Some(text.clone())));
        sorted(declared.chain(others).collect())
    }

    /// What was altered for all brokers, by name.
    pub fn describe_all_brokers(&self) -> Vec<Description> {
        let altered = self.layers().cluster.iter().map(|(name, text)| {
            let mut description = self.describe_key(name, Some(text.clone()));
            description.synonyms.retain(|synonym| synonym.source == Source::DynamicDefaultBroker);
            description.source = first_source(&description.synonyms);
            description
        });
        altered.collect()
    }

    /// The keys of a topic with these values of its own, by name.
    pub fn describe_topic(&self, topic: &Props) -> Vec<Description> {
        let own = Own { props: topic, source: Source::Topic };
        self.describe_owner(keys::topics(), &own, |key| topic::inherited(self, key).text())
    }

    /// The keys of a group with these values of its own, by name.
    pub fn describe_group(&self, group: &Props) -> Vec<Description> {
        let own = Own { props: group, source: Source::Group };
        self.describe_owner(keys::groups(), &own, |key| group::inherited(self, key).text())
    }

    /// The keys of a client metrics subscription with these values of its own, by name.
    pub fn describe_client_metrics(&self, subscription: &Props) -> Vec<Description> {
        let own = Own { props: subscription, source: Source::ClientMetrics };
        self.describe_owner(keys::all_client_metrics(), &own, Key::default_text)
    }

    /// A topic's keys as CreateTopics answers them: the same values, found among what was altered
    /// (given here, since the controller may know of it before the broker does) and what the
    /// broker was started with.
    pub fn effective_topic(
        &self,
        topic: &Props,
        broker: &Props,
        cluster: &Props,
    ) -> Vec<Description> {
        keys::topics()
            .filter(|key| !key.is_internal() || topic.contains_key(key.name))
            .map(|key| self.effective_topic_key(key, topic, broker, cluster))
            .collect()
    }

    /// One key of it.
    pub fn effective_topic_key(
        &self,
        key: &Key,
        topic: &Props,
        broker: &Props,
        cluster: &Props,
    ) -> Description {
        let own = topic.get(key.name).map(|text| (text.clone(), Source::Topic));
        let layers = [
            (broker, Source::DynamicBroker),
            (cluster, Source::DynamicDefaultBroker),
            (&self.layers().started_with, Source::StaticBroker),
        ];
        let found = own.or_else(|| {
            layers.into_iter().find_map(|(props, source)| {
                key.synonyms.iter().find_map(|synonym| {
                    let text = props.get(synonym.name)?;
                    Some((converted(text, synonym.factor), source))
                })
            })
        });
        let (value, source) = match found {
            Some((text, source)) => (Some(text), source),
            None => (key.default_text(), Source::Default),
        };
        Description {
            name: key.name.to_owned(),
            value,
            source,
            sensitive: key.is_sensitive(),
            read_only: false,
            synonyms: Vec::new(),
            kind: Some(key.kind),
            documentation: Some(key.doc),
        }
    }

    fn describe_key(&self, name: &str, value: Option<String>) -> Description {
        let exact = keys::broker(name);
        let declared =
            exact.or_else(|| keys::dynamic_only(name)).or_else(|| layers::declaration(name));
        let sensitive = declared.is_none_or(Key::is_sensitive);
        let synonyms = self.values_of(name, sensitive);
        Description {
            name: name.to_owned(),
            value: value.filter(|_| !sensitive),
            source: first_source(&synonyms),
            sensitive,
            read_only: keys::dynamic_only(name).is_none()
                && exact.is_none_or(|key| key.mode == Mode::ReadOnly),
            synonyms,
            kind: declared.map(|key| key.kind),
            documentation: exact.map(|key| key.doc),
        }
    }

    fn describe_owner(
        &self,
        keys: impl Iterator<Item = &'static Key>,
        own: &Own<'_>,
        inherited: impl Fn(&Key) -> Option<String>,
    ) -> Vec<Description> {
        let mut descriptions = Vec::new();
        let mut unknown = own.props.clone();
        for key in keys {
            let text = own.props.get(key.name);
            unknown.remove(key.name);
            if key.is_internal() && text.is_none() && !self.sets_synonym(key) {
                continue;
            }
            let value = match text.map(|text| key.parse(text)) {
                Some(Ok(value)) => value.text(),
                // What is stored and does not fit does not take effect.
                Some(Err(_)) | None => inherited(key),
            };
            let mut synonyms = match (key.synonyms.first(), own.source) {
                (Some(synonym), _) => self.values_of(synonym.name, key.is_sensitive()),
                // Of groups alone Kafka names the default among the values.
                (None, Source::Group) => {
                    let default = key.default_text();
                    default.map(|text| of(key.name, text, Source::Default)).into_iter().collect()
                }
                (None, _) => Vec::new(),
            };
            if text.is_some() {
                let value = value.clone().unwrap_or_default();
                synonyms.insert(0, of(key.name, value, own.source));
            }
            descriptions.push(Description {
                name: key.name.to_owned(),
                value,
                source: first_source(&synonyms),
                sensitive: key.is_sensitive(),
                read_only: false,
                synonyms,
                kind: Some(key.kind),
                documentation: Some(key.doc),
            });
        }
        for name in unknown.into_keys() {
            descriptions.push(Description {
                synonyms: vec![DescribedSynonym {
                    name: name.clone(),
                    value: None,
                    source: own.source,
                }],
                name,
                value: None,
                source: own.source,
                sensitive: true,
                read_only: false,
                kind: None,
                documentation: None,
            });
        }
        sorted(descriptions)
    }

    fn sets_synonym(&self, key: &Key) -> bool {
        key.synonyms.iter().any(|synonym| self.effective.contains_key(synonym.name))
    }

    /// The values of a broker's key in all layers, under all its names; those of its other names
    /// that would count before it are left out.
    fn values_of(&self, name: &str, sensitive: bool) -> Vec<DescribedSynonym> {
        let names = layers::synonyms(name, true);
        let layers = self.layers();
        let set = [
            (&layers.broker, Source::DynamicBroker),
            (&layers.cluster, Source::DynamicDefaultBroker),
            (&layers.started_with, Source::StaticBroker),
        ];
        let set = set.into_iter().flat_map(|(props, source)| {
            names.iter().filter_map(move |name| Some(of(name, props.get(*name)?.clone(), source)))
        });
        let defaults = names.iter().filter_map(|name| {
            Some(of(name, keys::broker(name)?.default_text()?, Source::Default))
        });
        let mut values: Vec<DescribedSynonym> =
            set.chain(defaults).skip_while(|synonym| synonym.name != name).collect();
        if sensitive {
            for value in &mut values {
                value.value = None;
            }
        }
        values
    }
}

fn of(name: &str, value: String, source: Source) -> DescribedSynonym {
    DescribedSynonym { name: name.to_owned(), value: Some(value), source }
}

fn first_source(synonyms: &[DescribedSynonym]) -> Source {
    synonyms.first().map_or(Source::Default, |synonym| synonym.source)
}

fn sorted(mut descriptions: Vec<Description>) -> Vec<Description> {
    descriptions.sort_by(|a, b| a.name.cmp(&b.name));
    descriptions
}

/// Hours and minutes in milliseconds; what is no number counts nothing, as in Kafka.
fn converted(text: &str, factor: i64) -> String {
    if factor == 1 {
        return text.to_owned();
    }
    (text.trim().parse::<i32>().map_or(0, i64::from) * factor).to_string()
}

#[cfg(test)]
mod tests;
