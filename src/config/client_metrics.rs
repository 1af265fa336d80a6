//! A client metrics subscription (Kafka 4.4 `ClientMetricsConfigs`, KIP-714).

use regex::Regex;

use super::error::AlterError;
use super::keys;
use super::keys::client_metrics::ClientMetricsConfig;
use super::layers::{Props, Values};
use super::value::Value;
use super::warning::Warning;

/// What of a client can be matched.
const SELECTORS: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

impl ClientMetricsConfig {
    /// The subscription that is stored with these values. What of it does not fit is left out,
    /// with a warning.
    pub fn resolve(subscription: &Props) -> (Self, Vec<Warning>) {
        let mut warnings = Vec::new();
        let mut values = Values::default();
        for key in keys::all_client_metrics() {
            let value = match subscription.get(key.name).map(|text| key.parse(text)) {
                Some(Ok(value)) => value,
                Some(Err(error)) => {
                    warnings.push(Warning::NotApplied(error.message));
                    key.default_value()
                }
                None => key.default_value(),
            };
            values.insert(key, value);
        }
        (Self::from_values(&values), warnings)
    }

    /// Whether a subscription of this name may have these values.
    pub fn validate(name: &str, subscription: &Props) -> Result<(), AlterError> {
        if name.is_empty() {
            return Err(AlterError::Name("Subscription name can't be empty".to_owned()));
        }
        if let Some(key) = subscription.keys().find(|key| keys::client_metrics(key).is_none()) {
            return Err(AlterError::UnknownClientMetricsKey(key.clone()));
        }
        for key in keys::all_client_metrics() {
            let Some(text) = subscription.get(key.name) else { continue };
            match key.parse(text)? {
                Value::Int(interval) if !(100..=3_600_000).contains(&interval) => {
                    return Err(AlterError::Interval(interval));
                }
                Value::List(patterns) if key.name == "match" => {
                    patterns.iter().try_for_each(|pattern| check_pattern(pattern))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// SELECTOR=REGULAR_EXPRESSION. An expression that only Java understands, with a look-ahead or a
/// back reference, is refused: it could not be matched here.
fn check_pattern(pattern: &str) -> Result<(), AlterError> {
    let parts: Vec<&str> = pattern.trim_end_matches('=').split('=').collect();
    let is_valid = match parts.as_slice() {
        [selector, expression] => {
            SELECTORS.contains(&selector.trim()) && Regex::new(expression.trim()).is_ok()
        }
        _ => false,
    };
    if is_valid {
        return Ok(());
    }
    Err(AlterError::Conflict(format!("Illegal client matching pattern: {pattern}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::props;
    use crate::types::ErrorCode;

    #[test]
    fn a_subscription_has_an_interval_in_bounds_and_patterns_that_are_expressions() {
        for (pairs, expected) in [
            (&[("interval.ms", "100"), ("metrics", "*"), ("match", "client_id = a.*")][..], None),
            (&[("match", "client_software_name=Java,client_software_version=11.1.*")], None),
            (&[("metrics", "")], None),
            (
                &[("interval.ms", "99")],
                Some((
                    ErrorCode::InvalidRequest,
                    "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 \
                     hour)",
                )),
            ),
            (
                &[("interval.ms", "x")],
                Some((
                    ErrorCode::InvalidConfig,
                    "Invalid value x for configuration interval.ms: Not a number of type INT",
                )),
            ),
            (
                &[("interval", "100")],
                Some((ErrorCode::InvalidRequest, "Unknown client metrics configuration: interval")),
            ),
            (
                &[("match", "client=a")],
                Some((ErrorCode::InvalidConfig, "Illegal client matching pattern: client=a")),
            ),
            (
                &[("match", "client_id")],
                Some((ErrorCode::InvalidConfig, "Illegal client matching pattern: client_id")),
            ),
            (
                &[("match", "client_id=(")],
                Some((ErrorCode::InvalidConfig, "Illegal client matching pattern: client_id=(")),
            ),
        ] {
            let result = ClientMetricsConfig::validate("s", &props(pairs));
            let result = result.map_err(|error| (error.code(), error.to_string())).err();
            assert_eq!(result, expected.map(|(code, text)| (code, text.to_owned())), "{pairs:?}");
        }
        let error = ClientMetricsConfig::validate("", &props(&[])).unwrap_err();
        assert_eq!(error.to_string(), "Subscription name can't be empty");
    }

    #[test]
    fn an_open_subscription_pushes_every_five_minutes_and_nothing() {
        let (config, warnings) = ClientMetricsConfig::resolve(&props(&[("interval.ms", "?")]));
        assert_eq!(config.interval_ms, 300_000);
        assert!(config.metrics.is_empty() && config.match_patterns.is_empty());
        assert_eq!(warnings.len(), 1);
    }
}
