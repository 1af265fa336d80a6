//! Listeners: where a node listens, and what it says of that (Kafka 4.4 `SocketServerConfigs`,
//! `AbstractKafkaConfig`, `KafkaConfig.effectiveAdvertised...`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::quorum::is_host;

/// How a connection is secured (Kafka 4.4 `SecurityProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Not at all.
    Plaintext,
    /// By TLS.
    Ssl,
    /// By SASL, without TLS.
    SaslPlaintext,
    /// By SASL, within TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// The number of it in registrations.
    pub fn id(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// The protocol of a name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

/// The security protocol of each listener name, in upper case.
pub(super) type ProtocolMap = BTreeMap<String, SecurityProtocol>;

/// A listener, or an address that is advertised for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in upper case.
    pub name: String,
    /// How its connections are secured.
    pub protocol: SecurityProtocol,
    /// The host; an IPv6 address without its brackets. `None` is every address of this machine.
    pub host: Option<String>,
    /// The port; 0 is any that is free.
    pub port: u16,
}

/// The addresses that a listener binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Every address, IPv4 and IPv6.
    Any,
    /// 127.0.0.1 and ::1: `localhost` is both, since clients differ in which they try first.
    Loopback,
    /// This host or address.
    Host(String),
}

impl Listener {
    /// What it binds.
    pub fn bind(&self) -> Bind {
        match self.host.as_deref() {
            None => Bind::Any,
            Some(host) if host.eq_ignore_ascii_case("localhost") => Bind::Loopback,
            Some(host) => Bind::Host(host.to_owned()),
        }
    }

    /// With the host and the port that are only known once it is bound.
    #[must_use]
    pub(super) fn completed(mut self, canonical_host: &str, bound: &BTreeMap<String, u16>) -> Self {
        if self.host.as_deref().is_none_or(|host| host.trim().is_empty()) {
            self.host = Some(canonical_host.to_owned());
        }
        if self.port == 0 {
            self.port = bound.get(&self.name).copied().unwrap_or(0);
        }
        self
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or("");
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{host}{close}:{}", self.name, self.port)
    }
}

/// The prefix of the keys that hold for one listener alone, like `listener.name.internal.`.
pub(super) fn key_prefix(listener: &str) -> String {
    format!("listener.name.{}.", listener.to_lowercase())
}

/// Reads `listener.security.protocol.map`. Where it is not set, Kafka's default is completed by
/// PLAINTEXT for the controllers' listeners, unless a listener's very name asks for more.
pub(super) fn protocol_map(
    text: &str,
    is_set: bool,
    controllers: &[String],
    listeners: &[String],
) -> Result<ProtocolMap, String> {
    const KEY: &str = "listener.security.protocol.map";
    let mut map = ProtocolMap::new();
    for entry in super::value::split_list(text) {
        if entry.is_empty() && text.trim().is_empty() {
            continue;
        }
        let Some((name, protocol)) = entry.rsplit_once(':') else {
            return Err(format!(
                "Error parsing configuration property '{KEY}': {entry} is not NAME:PROTOCOL"
            ));
        };
        let (name, protocol) = (name.trim(), protocol.trim());
        if name.is_empty() {
            return Err("The provided listener name is null or empty string".to_owned());
        }
        let Some(protocol) = SecurityProtocol::parse(protocol) else {
            return Err(format!("Invalid security protocol `{protocol}` defined in {KEY}"));
        };
        map.insert(name.to_uppercase(), protocol);
    }
    if is_set {
        return Ok(map);
    }
    let is_secured = |name: &str| matches!(name, "SSL" | "SASL_PLAINTEXT" | "SASL_SSL");
    let name_of = |listener: &String| listener.split(':').next().unwrap_or("").to_uppercase();
    if controllers.iter().any(|name| is_secured(name))
        || listeners.iter().any(|listener| is_secured(&name_of(listener)))
    {
        return Ok(map);
    }
    for name in controllers.iter().filter(|name| *name != "PLAINTEXT") {
        map.insert(name.clone(), SecurityProtocol::Plaintext);
    }
    Ok(map)
}

/// Reads `listeners` or `advertised.listeners`; of the former each port must be another one.
pub(super) fn parse_listeners(
    entries: &[String],
    protocols: &ProtocolMap,
    distinct_ports: bool,
) -> Result<Vec<Listener>, String> {
    let listeners: Result<Vec<_>, _> =
        entries.iter().map(|entry| parse_listener(entry, protocols)).collect();
    let shown = entries.join(", ");
    let listeners = listeners.and_then(|listeners| {
        check_names(&listeners, &shown)?;
        if distinct_ports {
            check_ports(&listeners, &shown)?;
        }
        Ok(listeners)
    });
    listeners
        .map_err(|problem| format!("Error creating broker listeners from '[{shown}]': {problem}"))
}

fn parse_listener(entry: &str, protocols: &ProtocolMap) -> Result<Listener, String> {
    let unreadable = || format!("Unable to parse {entry} to a broker endpoint");
    let (name, address) = entry.rsplit_once("://").ok_or_else(unreadable)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(unreadable)?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    if !is_host(host) {
        return Err(unreadable());
    }
    let number: i64 = match port.strip_prefix('-').unwrap_or(port) {
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().map_err(|_| unreadable())?
        }
        _ => return Err(unreadable()),
    };
    let port = u16::try_from(number)
        .map_err(|_| format!("{entry}: the port must be a number from 0 to 65535"))?;
    if name.trim().is_empty() {
        return Err("The provided listener name is null or empty string".to_owned());
    }
    let name = name.to_uppercase();
    let Some(protocol) = protocols.get(&name).copied() else {
        return Err(format!("No security protocol defined for listener {name}"));
    };
    let host = (!host.is_empty()).then(|| host.to_owned());
    Ok(Listener { name, protocol, host, port })
}

fn check_names(listeners: &[Listener], shown: &str) -> Result<(), String> {
    let is_double =
        |at: usize| listeners[..at].iter().any(|other| other.name == listeners[at].name);
    if (0..listeners.len()).any(is_double) {
        return Err(format!("Each listener must have a different name, listeners: [{shown}]"));
    }
    Ok(())
}

/// Two listeners may share a port if one has an IPv4 address and the other an IPv6 address.
fn check_ports(listeners: &[Listener], shown: &str) -> Result<(), String> {
    let mut by_port: BTreeMap<u16, Vec<&Listener>> = BTreeMap::new();
    for listener in listeners.iter().filter(|listener| listener.port != 0) {
        by_port.entry(listener.port).or_default().push(listener);
    }
    let version = |listener: &&Listener| match listener.host.as_deref() {
        Some(host) if host.parse::<Ipv4Addr>().is_ok() => Some(4),
        Some(host) => {
            let address = host.split('%').next().unwrap_or(host);
            address.parse::<Ipv6Addr>().ok().map(|_| 6)
        }
        None => None,
    };
    for (port, group) in by_port.into_iter().filter(|(_, group)| group.len() > 1) {
        let with_address = group.iter().filter(|l| version(l).is_some()).count();
        if group.len() - with_address > 1 {
            return Err(format!("Each listener must have a different port, listeners: [{shown}]"));
        }
        let versions: Vec<i32> = group.iter().filter_map(version).collect();
        if with_address > 2 || (with_address == 1 && group.len() > 1) {
            return Err(format!(
                "Each listener must have a different port unless exactly one listener has an IPv4 \
                 address and the other IPv6 address, listeners: [{shown}], port: {port}"
            ));
        }
        let is_one_of_each = versions == [4, 6] || versions == [6, 4];
        if !is_one_of_each || group.len() > with_address {
            return Err(format!(
                "If you have two listeners on the same port then one needs to be IPv4 and the \
                 other IPv6, listeners: [{shown}], port: {port}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    fn defaults() -> ProtocolMap {
        let text = "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT";
        protocol_map(text, false, &own(&["CONTROLLER"]), &[]).unwrap()
    }

    fn parse(entries: &[&str]) -> Result<Vec<Listener>, String> {
        parse_listeners(&own(entries), &defaults(), true)
    }

    #[test]
    fn listeners_have_a_name_a_host_and_a_port() {
        for (entry, host, port, bind) in [
            ("PLAINTEXT://:9092", None, 9092, Bind::Any),
            ("plaintext://0.0.0.0:0", Some("0.0.0.0"), 0, Bind::Host("0.0.0.0".into())),
            ("PLAINTEXT://[::1]:9092", Some("::1"), 9092, Bind::Host("::1".into())),
            ("PLAINTEXT://::1:9092", Some("::1"), 9092, Bind::Host("::1".into())),
            (
                "PLAINTEXT://[fe80::1%eth0]:1",
                Some("fe80::1%eth0"),
                1,
                Bind::Host("fe80::1%eth0".into()),
            ),
            ("PLAINTEXT://LocalHost:9092", Some("LocalHost"), 9092, Bind::Loopback),
            (
                "PLAINTEXT://kafka-1.example:65535",
                Some("kafka-1.example"),
                65535,
                Bind::Host("kafka-1.example".into()),
            ),
        ] {
            let listener = parse(&[entry]).unwrap().remove(0);
            assert_eq!(listener.name, "PLAINTEXT");
            assert_eq!((listener.host.as_deref(), listener.port), (host, port), "{entry}");
            assert_eq!(listener.bind(), bind, "{entry}");
        }
        let two = parse(&["PLAINTEXT://[::1]:1", "CONTROLLER://a:2"]).unwrap();
        assert_eq!(two[0].to_string(), "PLAINTEXT://[::1]:1");
        assert_eq!(two[1].to_string(), "CONTROLLER://a:2");
    }

    #[test]
    fn what_is_no_listener_is_refused_as_kafka_refuses_it() {
        for entry in
            ["PLAINTEXT", "PLAINTEXT:9092", "PLAINTEXT://a", "PLAINTEXT://a:", "PLAINTEXT://a b:1"]
        {
            assert_eq!(
                parse(&[entry]).unwrap_err(),
                format!(
                    "Error creating broker listeners from '[{entry}]': Unable to parse {entry} to \
                     a broker endpoint"
                )
            );
        }
        assert!(
            parse(&["OTHER://:1"])
                .unwrap_err()
                .ends_with(": No security protocol defined for listener OTHER")
        );
        assert!(
            parse(&["://:1"])
                .unwrap_err()
                .ends_with(": The provided listener name is null or empty string")
        );
        for port in ["65536", "-1", "99999999999"] {
            let error = parse(&[&format!("PLAINTEXT://:{port}")]).unwrap_err();
            assert!(error.ends_with("the port must be a number from 0 to 65535"), "{error}");
        }
    }

    #[test]
    fn two_listeners_share_a_port_only_with_one_address_of_each_version() {
        assert!(parse(&["PLAINTEXT://127.0.0.1:1", "SSL://[::1]:1"]).is_ok());
        assert!(parse(&["PLAINTEXT://:0", "SSL://:0"]).is_ok());
        let refused = |entries: &[&str], words: &str| {
            let error = parse(entries).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        refused(&["PLAINTEXT://:1", "SSL://:1"], "Each listener must have a different port, ");
        refused(&["PLAINTEXT://a:1", "SSL://b:1"], "Each listener must have a different port, ");
        refused(
            &["PLAINTEXT://1.2.3.4:1", "SSL://2.3.4.5:1"],
            "one needs to be IPv4 and the other IPv6",
        );
        refused(
            &["PLAINTEXT://1.2.3.4:1", "SSL://:1"],
            "Each listener must have a different port unless",
        );
        refused(
            &["PLAINTEXT://1.2.3.4:1", "SSL://[::1]:1", "CONTROLLER://:1"],
            "one needs to be IPv4 and the other IPv6",
        );
        refused(
            &["PLAINTEXT://1.2.3.4:1", "SSL://[::1]:1", "CONTROLLER://[::2]:1"],
            "Each listener must have a different port unless",
        );
        refused(&["PLAINTEXT://:1", "plaintext://:2"], "Each listener must have a different name");
    }

    #[test]
    fn the_map_is_completed_for_controllers_unless_it_is_set_or_something_is_secured() {
        let map = defaults();
        assert_eq!(map.len(), 5);
        assert_eq!(map["CONTROLLER"], SecurityProtocol::Plaintext);
        let set = protocol_map("A:SSL , b : plaintext", true, &own(&["CONTROLLER"]), &[]).unwrap();
        assert_eq!(
            set,
            [
                ("A".to_owned(), SecurityProtocol::Ssl),
                ("B".to_owned(), SecurityProtocol::Plaintext)
            ]
            .into()
        );
        let secured = protocol_map("PLAINTEXT:PLAINTEXT", false, &own(&["C"]), &own(&["ssl://:1"]));
        assert!(!secured.unwrap().contains_key("C"));
        assert_eq!(
            protocol_map("A:TLS", true, &[], &[]).unwrap_err(),
            "Invalid security protocol `TLS` defined in listener.security.protocol.map"
        );
        assert!(protocol_map("A", true, &[], &[]).is_err());
        assert!(protocol_map("", true, &[], &[]).unwrap().is_empty());
    }
}
