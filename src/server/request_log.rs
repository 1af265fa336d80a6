//! The request log: one line for each request, with what it takes to find out why a client fails.
//! The equal of Kafka's `kafka.request.logger`.
//!
//! It is off unless `BLUMFELD_LOG` has the target `blumfeld::request` at debug (every client), or
//! `BLUMFELD_REQUEST_LOG` names clients. While it is off a request costs two comparisons; nothing is
//! measured or allocated. Of requests and answers only sizes, error codes and error messages are
//! logged, so that no secret and no record gets into the log.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::listener_info::ListenerInfo;
use crate::protocol::ApiFacts;
use crate::types::{ErrorCode, Mono};

/// The target of the lines.
const TARGET: &str = "blumfeld::request";
/// Error codes of one answer that are told apart.
const CODES_MAX: usize = 16;
/// Bytes of the error message that is kept.
const MESSAGE_LEN_MAX: usize = 300;

/// Whose requests are logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestLog {
    /// Ids of clients; one that ends with `*` means all that begin so.
    clients: Vec<String>,
}

impl RequestLog {
    /// The clients that `BLUMFELD_REQUEST_LOG` names, separated by commas.
    pub fn of_clients(list: &str) -> Self {
        let named = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self { clients: named.map(str::to_owned).collect() }
    }

    /// Whether a request of this client is logged.
    #[inline]
    pub(super) fn wants(&self, client_id: &str) -> bool {
        tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
            || (!self.clients.is_empty() && self.names(client_id))
    }

    fn names(&self, client_id: &str) -> bool {
        self.clients.iter().any(|named| match named.strip_suffix('*') {
            Some(start) => client_id.starts_with(start),
            None => client_id == named,
        })
    }

    /// Logs that a connection was closed for cause.
    pub(super) fn closed(
        &self,
        client_id: &str,
        peer: SocketAddr,
        listener: &ListenerInfo,
        reason: &dyn std::fmt::Display,
    ) {
        if self.wants(client_id) {
            let listener = &*listener.name;
            tracing::info!(
                target: TARGET, client_id, listener, %peer, %reason, "connection closed"
            );
        }
    }
}

/// A request that is logged: what is known of it, and what is found out while it runs.
pub struct RequestTrace {
    request: TracedRequest,
    noted: Mutex<Noted>,
}

/// What is known of a request when its handler begins.
pub(super) struct TracedRequest {
    pub(super) api: &'static ApiFacts,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) client_id: Arc<str>,
    pub(super) listener: Arc<ListenerInfo>,
    pub(super) peer: SocketAddr,
    /// Its length in bytes, without the length prefix.
    pub(super) len: usize,
    pub(super) received_at: Mono,
}

#[derive(Default)]
struct Noted {
    begun_at: Mono,
    ready_at: Option<Mono>,
    /// Spent in the handler, not waiting.
    busy: Duration,
    response_len: usize,
    /// How often each error code stands in the answer.
    codes: BTreeMap<i16, usize>,
    message: Option<String>,
    closed: Option<String>,
}

/// How the answer to a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseOutcome {
    /// Sent whole, if there was one.
    Answered,
    /// The connection ended first.
    Unsent,
}

impl RequestTrace {
    pub(super) fn new(request: TracedRequest) -> Arc<Self> {
        Arc::new(Self { request, noted: Mutex::default() })
    }

    /// The handler begins.
    pub(super) fn begin(&self, now: Mono) {
        self.noted.lock().begun_at = now;
    }

    /// The handler ran from `start` to `now` without waiting.
    pub(super) fn ran(&self, start: Mono, now: Mono) {
        self.noted.lock().busy += now.since(start);
    }

    /// The answer is there.
    pub(super) fn ready(&self, now: Mono, response_len: usize) {
        let mut noted = self.noted.lock();
        (noted.ready_at, noted.response_len) = (Some(now), response_len);
    }

    /// The answer is to close the connection.
    pub(super) fn closes(&self, why: &str) {
        self.noted.lock().closed = Some(why.to_owned());
    }

    /// An error code of the answer.
    pub(super) fn note(&self, code: ErrorCode) {
        self.noted.lock().note(code.code());
    }

    /// The error codes and the first error message in the body of an answer, which are found by the
    /// names of their fields.
    pub(super) fn note_body(&self, body: &dyn Debug) {
        let text = format!("{body:?}");
        let mut noted = self.noted.lock();
        for_each_field(&text, |name, value| match name {
            "error_code" => {
                let end = value.find(|c: char| c != '-' && !c.is_ascii_digit());
                if let Ok(code) = value[..end.unwrap_or(value.len())].parse() {
                    noted.note(code);
                }
            }
            "error_message" if noted.message.is_none() => {
                noted.message = value.strip_prefix("Some(\"").map(quoted);
            }
            _ => {}
        });
    }

    /// Writes the line.
    pub(super) fn finish(&self, now: Mono, outcome: ResponseOutcome) {
        let (request, noted) = (&self.request, self.noted.lock());
        let ready_at = noted.ready_at.unwrap_or(now);
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let queue_ms = milliseconds(noted.begun_at.since(request.received_at));
        let local_ms = milliseconds(noted.busy);
        let wait_ms = milliseconds(ready_at.since(noted.begun_at).saturating_sub(noted.busy));
        let send_ms = milliseconds(now.since(ready_at));
        let total_ms = milliseconds(now.since(request.received_at));
        let errors = noted.errors();
        let message = noted.message.as_deref();
        let outcome = match (&noted.closed, outcome, noted.response_len) {
            (Some(why), ..) => why,
            (None, ResponseOutcome::Unsent, _) => "the connection ended first",
            (None, ResponseOutcome::Answered, 0) => "no answer is wanted",
            (None, ResponseOutcome::Answered, _) => "answered",
        };
        // At info: of every client only where the target was asked for at debug.
        tracing::info!(
            target: TARGET,
            client_id = &*request.client_id,
            api = request.api.name,
            version = request.version,
            correlation_id = request.correlation_id,
            listener = &*request.listener.name,
            peer = %request.peer,
            request_bytes = request.len,
            response_bytes = noted.response_len,
            queue_ms, local_ms, wait_ms, send_ms, total_ms,
            errors, message, outcome,
            "request"
        );
    }
}

impl Noted {
    fn note(&mut self, code: i16) {
        if self.codes.len() < CODES_MAX || self.codes.contains_key(&code) {
            *self.codes.entry(code).or_default() += 1;
        }
    }

    /// `NONE`, or each error with how often it stands in the answer.
    fn errors(&self) -> String {
        let mut text = String::new();
        for (code, count) in self.codes.iter().filter(|(code, _)| **code != 0) {
            let separator = if text.is_empty() { "" } else { "," };
            let name = ErrorCode::from_code(*code).map_or("unknown", ErrorCode::name);
            let _ = write!(text, "{separator}{name}({code})"); // A String takes every write.
            if *count > 1 {
                let _ = write!(text, "*{count}");
            }
        }
        if text.is_empty() { "NONE".to_owned() } else { text }
    }
}

/// Calls `found` with the name of each field in `text`, which is as `derive(Debug)` writes it, and
/// with the text from its value on. What stands in strings is no field.
fn for_each_field<'a>(text: &'a str, mut found: impl FnMut(&'a str, &'a str)) {
    let bytes = text.as_bytes();
    let (mut at, mut word) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                word = at + 1;
            }
            b':' if bytes.get(at + 1) == Some(&b' ') => found(&text[word..at], &text[at + 2..]),
            byte if byte == b'_' || byte.is_ascii_alphanumeric() => {}
            _ => word = at + 1,
        }
        at += 1;
    }
}

/// The text of a string up to its closing quote, escapes as they are.
fn quoted(text: &str) -> String {
    let mut is_escaped = false;
    let end = text.char_indices().find(|(at, c)| {
        let ends = (*c == '"' && !is_escaped) || *at >= MESSAGE_LEN_MAX;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    });
    text[..end.map_or(text.len(), |(at, _)| at)].replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "read by derive(Debug)")]
    struct Body {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        topics: Vec<Topic>,
        error_codes: i16,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "read by derive(Debug)")]
    struct Topic {
        name: String,
        error_code: i16,
    }

    fn noted(body: &dyn Debug) -> Noted {
        let request = TracedRequest {
            api: crate::protocol::apis::facts(crate::protocol::key::Metadata).unwrap(),
            version: 1,
            correlation_id: 1,
            client_id: "c".into(),
            listener: Arc::new(ListenerInfo { name: "L".to_owned(), is_controller: false }),
            peer: ([127, 0, 0, 1], 1).into(),
            len: 1,
            received_at: Mono::default(),
        };
        let trace = RequestTrace { request, noted: Mutex::default() };
        trace.note_body(body);
        trace.noted.into_inner()
    }

    #[test]
    fn errors_of_an_answer_are_found_in_fields_and_not_in_strings() {
        let topic = |name: &str, error_code| Topic { name: name.to_owned(), error_code };
        let body = Body {
            throttle_time_ms: 9,
            error_code: -1,
            error_message: Some("no \"such\" thing".to_owned()),
            topics: vec![
                topic("a\", error_code: 41, \\", 3),
                topic("\u{e9}: error_code: 42", 3),
                topic("b", 0),
                topic("c", 999),
            ],
            error_codes: 43,
        };
        let noted = noted(&body);
        assert_eq!(
            noted.errors(),
            "UNKNOWN_SERVER_ERROR(-1),UNKNOWN_TOPIC_OR_PARTITION(3)*2,unknown(999)"
        );
        assert_eq!(noted.message.as_deref(), Some("no \"such\" thing"));
    }

    #[test]
    fn an_answer_without_error_has_none() {
        let body = Body {
            throttle_time_ms: 0,
            error_code: 0,
            error_message: None,
            topics: Vec::new(),
            error_codes: 0,
        };
        let noted = noted(&body);
        assert_eq!((noted.errors().as_str(), noted.message), ("NONE", None));
    }

    #[test]
    fn clients_are_named_whole_or_by_their_beginning() {
        let log = RequestLog::of_clients("orders, pay*,,");
        for (client, wanted) in
            [("orders", true), ("orders-2", false), ("payments", true), ("pay", true), ("", false)]
        {
            assert_eq!(log.names(client), wanted, "{client}");
        }
        assert!(RequestLog::of_clients("*").names(""));
        assert!(!RequestLog::of_clients("").wants("x"));
    }
}
