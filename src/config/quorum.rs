//! Where the controllers are (Kafka 4.4 `QuorumConfig`).

use std::collections::BTreeMap;
use std::fmt;

use crate::types::BrokerId;

/// A host and a port, as they are written: nothing is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The host; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", self.host, self.port)
    }
}

/// Whether every character may be in a host name or an address (Kafka 4.4 `validHostPattern`).
pub(super) fn is_host(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte))
}

/// Host and port of an address that may begin with a protocol and have brackets around its host,
/// as Kafka 4.4 `Utils.getHost` and `getPort` take it.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let is_protocol = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-%._".contains(&byte))
    };
    let address = match text.split_once("://") {
        Some((protocol, address)) if is_protocol(protocol) => address,
        Some(_) => return None,
        None => text,
    };
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_host(host) && is_port).then_some((host, port))
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("port out of range:{text}"))
}

/// Reads `controller.quorum.voters`: ID@HOST:PORT, each.
pub(super) fn parse_voters(entries: &[String]) -> Result<BTreeMap<BrokerId, HostPort>, String> {
    const FORM: &str = "Each entry should be in the form `{id}@{host}:{port}`.";
    const KEY: &str = "controller.quorum.voters";
    let mut voters = BTreeMap::new();
    for entry in entries {
        let Some((id, address)) = entry.split_once('@').filter(|(_, rest)| !rest.contains('@'))
        else {
            return Err(format!("Invalid configuration value for {KEY}. {FORM}"));
        };
        let id =
            id.parse().map_err(|_| format!("Failed to parse voter ID as an integer from {id}"))?;
        let Some((host, number)) = host_and_port(address) else {
            return Err(format!(
                "Failed to parse host name from entry {entry} for the configuration {KEY}. {FORM}"
            ));
        };
        voters.insert(id, HostPort { host: host.to_owned(), port: port(number)? });
    }
    Ok(voters)
}

/// Reads `controller.quorum.bootstrap.servers`: HOST:PORT, each.
pub(super) fn parse_bootstrap_servers(entries: &[String]) -> Result<Vec<HostPort>, String> {
    let parse = |entry: &String| {
        let Some((host, number)) = host_and_port(entry) else {
            return Err(format!(
                "Failed to parse host name from {entry} for the configuration \
                 controller.quorum.bootstrap.servers. Each entry should be in the form \
                 \"{{host}}:{{port}}\""
            ));
        };
        Ok(HostPort { host: host.to_owned(), port: port(number)? })
    };
    entries.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    #[test]
    fn voters_are_ids_with_addresses() {
        let voters = parse_voters(&own(&["1@a:9093", "2@[::1]:9094", "3@10.0.0.1:1"])).unwrap();
        let shown: Vec<_> = voters.iter().map(|(id, at)| format!("{id}@{at}")).collect();
        assert_eq!(shown, ["1@a:9093", "2@[::1]:9094", "3@10.0.0.1:1"]);
        assert_eq!(voters[&2].host, "::1");
    }

    #[test]
    fn a_voter_that_is_none_is_refused_as_kafka_refuses_it() {
        let form = "Each entry should be in the form `{id}@{host}:{port}`.";
        for (entry, message) in [
            ("a:9093", format!("Invalid configuration value for controller.quorum.voters. {form}")),
            ("x@a:9093", "Failed to parse voter ID as an integer from x".to_owned()),
            (
                "1@a",
                format!(
                    "Failed to parse host name from entry 1@a for the configuration \
                     controller.quorum.voters. {form}"
                ),
            ),
            ("1@a:99999", "port out of range:99999".to_owned()),
        ] {
            assert_eq!(parse_voters(&own(&[entry])), Err(message), "{entry}");
        }
    }

    #[test]
    fn bootstrap_servers_are_addresses() {
        let servers = parse_bootstrap_servers(&own(&["a:1", "PLAINTEXT://[fe80::1%eth0]:2"]));
        let shown: Vec<_> = servers.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:1", "[fe80::1%eth0]:2"]);
        let error = parse_bootstrap_servers(&own(&["a b:1"])).unwrap_err();
        assert_eq!(
            error,
            "Failed to parse host name from a b:1 for the configuration \
             controller.quorum.bootstrap.servers. Each entry should be in the form \
             \"{host}:{port}\""
        );
    }
}
