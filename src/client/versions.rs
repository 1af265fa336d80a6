//! The versions of a node, as it reports them in ApiVersions.

use std::collections::BTreeMap;

use crate::codec::shape::Versions;
use crate::protocol::ApiFacts;
use crate::protocol::apis::facts;
use crate::protocol::messages::ApiVersionsResponse;

/// The APIs of a node with their versions, and its features.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeVersions {
    apis: BTreeMap<i16, Versions>,
    supported_features: BTreeMap<String, Versions>,
}

impl NodeVersions {
    /// The contents of a response. APIs that Kafka 4.4 does not have are ignored.
    pub fn of(response: &ApiVersionsResponse) -> Self {
        let apis = response.api_keys.iter().filter(|api| facts(api.api_key).is_some());
        let features = response.supported_features.iter();
        Self {
            apis: apis
                .map(|api| {
                    (api.api_key, Versions { first: api.min_version, last: api.max_version })
                })
                .collect(),
            supported_features: features
                .map(|feature| {
                    let (first, last) = (feature.min_version, feature.max_version);
                    (feature.name.clone(), Versions { first, last })
                })
                .collect(),
        }
    }

    /// The versions of an API; `None` if the node does not have it.
    pub fn api(&self, key: i16) -> Option<Versions> {
        self.apis.get(&key).copied()
    }

    /// The levels of a feature that the node supports; `None` if it does not know the feature.
    pub fn feature(&self, name: &str) -> Option<Versions> {
        self.supported_features.get(name).copied()
    }

    /// The newest version of an API that is within `wanted` and that both nodes have.
    pub fn newest(&self, api: &ApiFacts, wanted: Versions) -> Option<i16> {
        let offered = self.api(api.key)?;
        let last = offered.last.min(wanted.last).min(api.max_unstable_version);
        let first = offered.first.max(wanted.first).max(api.min_version);
        (first <= last).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::declared::ApiVersion;
    use crate::protocol::key;

    fn versions(ranges: &[(i16, i16, i16)]) -> NodeVersions {
        let api_keys = ranges.iter().map(|(api_key, min_version, max_version)| ApiVersion {
            api_key: *api_key,
            min_version: *min_version,
            max_version: *max_version,
        });
        NodeVersions::of(&ApiVersionsResponse {
            api_keys: api_keys.collect(),
            ..ApiVersionsResponse::default()
        })
    }

    #[test]
    fn the_newest_common_version_is_chosen() {
        let fetch = facts(key::Fetch).unwrap();
        let wanted = Versions { first: 12, last: 17 };
        let cases = [
            ((4, 18), Some(17)),
            ((4, 13), Some(13)),
            ((4, 12), Some(12)),
            ((4, 11), None),
            ((18, 99), None),
            ((17, 99), Some(17)),
            ((99, 4), None),
            ((i16::MIN, i16::MAX), Some(17)),
        ];
        for ((first, last), expected) in cases {
            let node = versions(&[(key::Fetch, first, last)]);
            assert_eq!(node.newest(fetch, wanted), expected, "{first}-{last}");
        }
        let all = Versions { first: 0, last: i16::MAX };
        assert_eq!(versions(&[(key::Fetch, 0, i16::MAX)]).newest(fetch, all), Some(18));
        assert_eq!(versions(&[]).newest(fetch, all), None);
    }

    #[test]
    fn an_api_of_a_newer_kafka_is_ignored() {
        assert_eq!(versions(&[(1_000, 0, 0)]), NodeVersions::default());
    }
}
