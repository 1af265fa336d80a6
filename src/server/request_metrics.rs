//! Metrics of requests by API (Kafka 4.4 `RequestMetrics`).
//!
//! A session records a request once, when its response is sent: about fifteen relaxed additions,
//! no look-up and no allocation. A request without a response counts when its turn has come; one
//! whose connection ends first does not count, as in Kafka.
//!
//! The times are differences between clock readings that the session makes anyway, for its slice and
//! its deadlines:
//! - `RequestQueueTimeMs`: from the last byte until the handler begins, while earlier requests of the
//!   connection are answered.
//! - `LocalTimeMs`: until the handler has an answer or waits for the first time.
//! - `RemoteTimeMs`: from then until the answer is ready.
//! - `ResponseQueueTimeMs`: until the answers to earlier requests of the connection are ready.
//! - `ResponseSendTimeMs`: until the socket has taken all bytes.
//!
//! Errors: Produce and Fetch count the code of every partition, `NONE` included, as Kafka does. Other
//! APIs count the code of the whole response where the response has one; codes of single topics,
//! partitions or groups inside an array are not counted.

use std::sync::OnceLock;

use crate::codec::shape::{FieldShape, Kind};
use crate::metrics::{Collect, Collector, Counter, Declaration, MetricKind, Unit, declare_metrics};
use crate::protocol::{ApiFacts, apis, key};
use crate::types::{ErrorCode, Mono};

declare_metrics! {
    /// Sizes and times of the requests of one API.
    struct RequestDistributions {
        /// Length of requests, in bytes.
        request_bytes: Histogram, Bytes, "kafka.network:type=RequestMetrics,name=RequestBytes";
        /// Length of responses, in bytes.
        response_bytes: Histogram, Bytes, "kafka.network:type=RequestMetrics,name=ResponseBytes";
        /// Time from the last byte of a request until its handler begins, in milliseconds.
        request_queue: Histogram, Micros, "kafka.network:type=RequestMetrics,name=RequestQueueTimeMs";
        /// Time in the handler until it answers or waits, in milliseconds.
        local: Histogram, Micros, "kafka.network:type=RequestMetrics,name=LocalTimeMs";
        /// Time for which the handler waits, in milliseconds.
        remote: Histogram, Micros, "kafka.network:type=RequestMetrics,name=RemoteTimeMs";
        /// Time for which a response waits for those before it, in milliseconds.
        response_queue: Histogram, Micros, "kafka.network:type=RequestMetrics,name=ResponseQueueTimeMs";
        /// Time until the socket has taken the response, in milliseconds.
        response_send: Histogram, Micros, "kafka.network:type=RequestMetrics,name=ResponseSendTimeMs";
        /// Time from the last byte of a request to the last byte of its response, in milliseconds.
        total: Histogram, Micros, "kafka.network:type=RequestMetrics,name=TotalTimeMs";
        /// Throttle time in responses, in milliseconds.
        throttle: Histogram, Micros, "kafka.network:type=RequestMetrics,name=ThrottleTimeMs";
    }
}

const REQUESTS: Declaration = Declaration {
    mbean: "kafka.network:type=RequestMetrics,name=RequestsPerSec",
    kind: MetricKind::Counter,
    unit: Unit::Count,
    help: "Requests that were answered.",
};

const ERRORS: Declaration = Declaration {
    mbean: "kafka.network:type=RequestMetrics,name=ErrorsPerSec",
    kind: MetricKind::Counter,
    unit: Unit::Count,
    help: "Error codes in responses, NONE included.",
};

/// Names of the Fetch requests of consumers and of followers, which Kafka counts apart from Fetch and
/// in addition to it.
const FETCHERS: [&str; 2] = ["FetchConsumer", "FetchFollower"];

/// Code of the first error, [`ErrorCode::UnknownServerError`].
const CODE_MIN: i16 = ErrorCode::ALL[0] as i16;
const CODES: usize = (ErrorCode::ALL[ErrorCode::ALL.len() - 1] as i16 - CODE_MIN) as usize + 1;

const KEYS: usize = apis::APIS[apis::APIS.len() - 1].key as usize + 1;

/// Length of a response and correlation id, before the tagged fields of a flexible header.
const RESPONSE_HEADER_LEN: usize = 8;

/// When a request passed from one stage to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTimes {
    /// Its last byte arrived.
    pub(super) received_at: Mono,
    /// Its handler began.
    pub(super) begun_at: Mono,
    /// Its handler answered, or waited for the first time.
    pub(super) ran_until: Mono,
    /// Its answer was ready.
    pub(super) ready_at: Option<Mono>,
}

/// A request whose response is being sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnsweredRequest {
    pub(super) api: &'static ApiFacts,
    pub(super) version: i16,
    /// For Fetch, whether a follower sent it.
    pub(super) from_follower: bool,
    pub(super) request_len: usize,
    pub(super) response_len: usize,
    /// Code of the whole response, if it has one.
    pub(super) error: Option<i16>,
    pub(super) times: RequestTimes,
    /// The answers to all earlier requests were ready too.
    pub(super) popped_at: Mono,
}

/// The requests of one API.
struct ApiMetrics {
    name: &'static str,
    oldest: i16,
    versions: Box<[Counter]>,
    /// Place of the error code in the response by version, counted from `oldest`.
    error_at: Box<[Option<u16>]>,
    errors: OnceLock<Box<[Counter]>>,
    distributions: RequestDistributions,
}

impl ApiMetrics {
    fn new(name: &'static str, facts: &ApiFacts) -> Self {
        let versions = facts.min_version..=facts.max_unstable_version;
        Self {
            name,
            oldest: facts.min_version,
            versions: versions.clone().map(|_| Counter::default()).collect(),
            error_at: versions.map(|version| error_at(facts, version)).collect(),
            errors: OnceLock::new(),
            distributions: RequestDistributions::default(),
        }
    }

    fn version_index(&self, version: i16) -> usize {
        usize::try_from(version - self.oldest).unwrap_or(usize::MAX)
    }

    fn count_errors(&self, code: i16, n: u64) {
        let errors = self.errors.get_or_init(|| (0..CODES).map(|_| Counter::default()).collect());
        let at = usize::try_from(code - CODE_MIN).ok();
        if let Some(counter) = at.and_then(|at| errors.get(at)) {
            counter.add(n);
        }
    }

    fn record(&self, answered: &AnsweredRequest, sent_at: Mono) {
        // ApiVersions alone is answered at versions that it does not have.
        if let Some(counter) = self.versions.get(self.version_index(answered.version)) {
            counter.increment();
        }
        if let Some(code) = answered.error {
            self.count_errors(code, 1);
        }
        let AnsweredRequest { times, popped_at, .. } = *answered;
        let ready_at = times.ready_at.unwrap_or(popped_at);
        let ran_until = times.ran_until;
        let to = &self.distributions;
        to.request_bytes.record(answered.request_len as u64);
        to.response_bytes.record(answered.response_len as u64);
        for (histogram, from, until) in [
            (&to.request_queue, times.received_at, times.begun_at),
            (&to.local, times.begun_at, ran_until),
            (&to.remote, ran_until, ready_at),
            (&to.response_queue, ready_at, popped_at),
            (&to.response_send, popped_at, sent_at),
            (&to.total, times.received_at, sent_at),
        ] {
            histogram.record(until.since(from).as_micros() as u64);
        }
        // No quota is enforced: no response has a throttle time.
        to.throttle.record(0);
    }

    fn collect(&self, collector: &mut dyn Collector) {
        let request = ("request", self.name);
        let used = (self.oldest..).zip(&self.versions).filter(|(_, count)| count.value() > 0);
        let mut is_used = false;
        for (version, count) in used {
            is_used = true;
            let version = version.to_string();
            collector.collect(&REQUESTS, &[request, ("version", &version)], count.into());
        }
        for (code, count) in (CODE_MIN..).zip(self.errors.get().into_iter().flatten()) {
            let name = ErrorCode::from_code(code).map_or("unknown", ErrorCode::name);
            if count.value() > 0 {
                collector.collect(&ERRORS, &[request, ("error", name)], count.into());
            }
        }
        // Every node serves sixty APIs of which clients use ten.
        if is_used {
            self.distributions.collect_labelled(&[request], collector);
        }
    }
}

/// The place of the error code of a whole response at `version`, if it has one after fields of fixed
/// length only.
fn error_at(facts: &ApiFacts, version: i16) -> Option<u16> {
    // The tagged fields of a header are empty: one byte.
    let mut at = RESPONSE_HEADER_LEN + usize::from(facts.has_flexible_response_header(version));
    let is_present = |field: &&FieldShape| field.tag.is_none() && field.versions.contains(version);
    for field in facts.response.fields.iter().filter(is_present) {
        match field.kind {
            Kind::Fixed(2) if ["ErrorCode", "error_code"].contains(&field.name) => {
                return u16::try_from(at).ok();
            }
            Kind::Fixed(len) => at += len,
            _ => return None,
        }
    }
    None
}

/// The requests of all APIs.
pub struct RequestMetrics {
    /// By API key; those that Kafka does not have are empty.
    apis: Box<[Option<ApiMetrics>]>,
    fetchers: [ApiMetrics; FETCHERS.len()],
}

impl Default for RequestMetrics {
    fn default() -> Self {
        let of_key = |key| apis::facts(key as i16).map(|facts| ApiMetrics::new(facts.name, facts));
        let fetch = apis::facts(key::Fetch).expect("the API is in the table");
        Self {
            apis: (0..KEYS).map(of_key).collect(),
            fetchers: FETCHERS.map(|name| ApiMetrics::new(name, fetch)),
        }
    }
}

impl RequestMetrics {
    fn of(&self, api: &ApiFacts) -> Option<&ApiMetrics> {
        self.apis.get(usize::try_from(api.key).ok()?)?.as_ref()
    }

    /// Records a request whose response was sent at `sent_at`.
    pub(super) fn record(&self, answered: &AnsweredRequest, sent_at: Mono) {
        let Some(api) = self.of(answered.api) else { return };
        api.record(answered, sent_at);
        if answered.api.key == key::Fetch {
            self.fetchers[usize::from(answered.from_follower)].record(answered, sent_at);
        }
    }

    /// The error code of a whole response in one piece, if this API has one.
    pub(super) fn error_in(&self, api: &ApiFacts, version: i16, response: &[u8]) -> Option<i16> {
        let metrics = self.of(api)?;
        let at = usize::from((*metrics.error_at.get(metrics.version_index(version))?)?);
        Some(i16::from_be_bytes(*response.get(at..)?.first_chunk()?))
    }

    /// Counts the error codes of the partitions of a response.
    pub(super) fn count_errors(&self, api: &ApiFacts, codes: impl Iterator<Item = ErrorCode>) {
        let Some(metrics) = self.of(api) else { return };
        let mut successes = 0;
        for code in codes {
            if code.is_none() {
                successes += 1;
            } else {
                metrics.count_errors(code as i16, 1);
            }
        }
        if successes > 0 {
            metrics.count_errors(ErrorCode::None as i16, successes);
        }
    }

    fn all(&self) -> impl Iterator<Item = &ApiMetrics> {
        self.apis.iter().flatten().chain(&self.fetchers)
    }
}

impl Collect for RequestMetrics {
    fn collect(&self, collector: &mut dyn Collector) {
        self.all().for_each(|api| api.collect(collector));
    }

    fn rotate(&self) {
        self.all().for_each(|api| api.distributions.rotate());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::{Registry, prometheus};

    fn answered(api: i16, version: i16) -> AnsweredRequest {
        let ms = |ms: u64| Mono(ms * 1_000_000);
        AnsweredRequest {
            api: apis::facts(api).unwrap(),
            version,
            from_follower: false,
            request_len: 100,
            response_len: 50,
            error: None,
            times: RequestTimes {
                received_at: ms(1),
                begun_at: ms(3),
                ran_until: ms(7),
                ready_at: Some(ms(15)),
            },
            popped_at: ms(31),
        }
    }

    #[test]
    fn the_time_of_each_stage_is_recorded() {
        let metrics = RequestMetrics::default();
        metrics.record(&answered(key::Metadata, 12), Mono(63_000_000));
        let of = metrics.of(apis::facts(key::Metadata).unwrap()).unwrap();
        let to = &of.distributions;
        let sums =
            [&to.request_queue, &to.local, &to.remote, &to.response_queue, &to.response_send]
                .map(|histogram| histogram.snapshot().sum);
        assert_eq!(sums, [2_000, 4_000, 8_000, 16_000, 32_000]);
        assert_eq!(to.total.snapshot().sum, sums.iter().sum::<u64>());
        assert_eq!((to.request_bytes.snapshot().sum, to.response_bytes.snapshot().sum), (100, 50));
        assert_eq!((of.versions[12].value(), of.versions[11].value()), (1, 0));
    }

    #[test]
    fn fetches_of_followers_and_consumers_count_apart_and_together() {
        let metrics = Arc::new(RequestMetrics::default());
        let fetch = answered(key::Fetch, 18);
        for from_follower in [true, false, false] {
            metrics.record(&AnsweredRequest { from_follower, ..fetch }, fetch.popped_at);
        }
        let text = prometheus::render(&Registry::of([metrics as _]));
        for (request, count) in [("Fetch", 3), ("FetchConsumer", 2), ("FetchFollower", 1)] {
            let labels = format!("{{request=\"{request}\",version=\"18\"}}");
            let line = format!("kafka_network_requestmetrics_requests_total{labels} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(!text.contains("request=\"Produce\""), "an unused API has no series");
    }

    #[test]
    fn an_unknown_version_or_code_is_not_counted() {
        let metrics = RequestMetrics::default();
        for version in [i16::MIN, -1, 99, i16::MAX] {
            let error = Some(i16::MIN);
            let request = AnsweredRequest { error, ..answered(key::ApiVersions, version) };
            metrics.record(&request, request.popped_at);
            assert_eq!(metrics.error_in(request.api, version, &[0; 100]), None);
        }
        let of = metrics.of(apis::facts(key::ApiVersions).unwrap()).unwrap();
        assert!(of.versions.iter().all(|count| count.value() == 0));
        assert_eq!(of.distributions.total.snapshot().count, 4);
    }

    #[test]
    fn the_error_code_of_a_whole_response_is_found_after_its_header() {
        let places = |key| {
            let facts = apis::facts(key).unwrap();
            (facts.min_version..=facts.max_version)
                .map(|version| error_at(facts, version))
                .collect::<Vec<_>>()
        };
        // After the length, the correlation id, from version 4 on the tags, from 1 on a throttle time.
        assert_eq!(places(key::Heartbeat), [8, 12, 12, 12, 13].map(Some));
        assert_eq!(places(key::ApiVersions)[..4], [Some(8); 4]);
        assert!(places(key::Metadata).iter().all(Option::is_none));
        assert!(places(key::OffsetCommit).iter().all(Option::is_none));
        let metrics = RequestMetrics::default();
        let facts = apis::facts(key::Heartbeat).unwrap();
        let response = [0, 0, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 25, 0];
        assert_eq!(metrics.error_in(facts, 4, &response), Some(25));
        assert_eq!(metrics.error_in(facts, 4, &response[..14]), None);
    }
}
