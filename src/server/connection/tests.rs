use std::cell::RefCell;

use bytes::{BufMut, Bytes};

use super::*;
use crate::env::sim::{World, paused_runtime};
use crate::env::{Env, Listener};

/// What a scripted request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    AnswerNow,
    AnswerLater,
    AnswerLaterAlone,
    NotAnswer,
    Close,
}

thread_local! {
    /// The correlation ids of the requests that were begun, in that order, and when.
    static BEGUN: RefCell<Vec<(i32, Mono)>> = const { RefCell::new(Vec::new()) };
}

fn begun() -> Vec<i32> {
    BEGUN.with_borrow(|all| all.iter().map(|(id, _)| *id).collect())
}

/// Milliseconds at which the requests began, after the first.
fn begun_at() -> Vec<u64> {
    BEGUN.with_borrow(|all| {
        all.iter().map(|(_, at)| at.since(all[0].1).as_millis() as u64).collect()
    })
}

/// A broker whose requests say what to do.
struct Scripted {
    env: Env,
    config: ServerConfig,
    budget: Budget,
    stopping: Arc<ShutdownSignal>,
    metrics: RequestMetrics,
}

impl Host for Scripted {
    fn env(&self) -> &Env {
        &self.env
    }

    fn config(&self) -> &ServerConfig {
        &self.config
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn stopping(&self) -> &Arc<ShutdownSignal> {
        &self.stopping
    }

    fn request_metrics(&self) -> &RequestMetrics {
        &self.metrics
    }

    /// Two APIs: Produce, pipelined, and Metadata, one at a time.
    fn find(&self, api_key: i16, _: bool) -> Option<&'static Api> {
        const fn api(key: i16, order: Order) -> Api {
            let handler = |_, _| Handled::Now(Reply::Nothing);
            Api {
                key,
                min_version: 0,
                max_version: 3,
                max_unstable_version: 3,
                on: apis::On::Both,
                order,
                forwarding: apis::Forwarding::Local,
                quota: apis::Quota::Request,
                authorizes: &[],
                handler,
            }
        }
        static APIS: [Api; 2] =
            [api(key::Produce, Order::Pipelined), api(key::Metadata, Order::OneAtATime)];
        APIS.iter().find(|api| api.key == api_key)
    }

    /// A body: what to do, after how many milliseconds, how long the answer is.
    fn begin(self: &Arc<Self>, request: Request, body: BytesMut) -> Handled {
        let mut body = body.freeze();
        let does = body.get_u8();
        let after = Duration::from_millis(body.get_u32().into());
        let len = body.get_u32() as usize;
        let clock = Arc::clone(&self.env.clock);
        BEGUN.with_borrow_mut(|begun| begun.push((request.correlation_id, clock.now())));
        let answer = move || {
            let mut bytes = BytesMut::new();
            bytes.put_i32(4 + len as i32);
            bytes.put_i32(request.correlation_id);
            bytes.put_bytes(7, len);
            Reply::from(bytes.freeze())
        };
        let later = async move {
            clock.sleep_until(clock.now() + after).await;
            answer()
        };
        match does {
            0 => Handled::Now(answer()),
            1 => Handled::Later(Box::pin(later)),
            2 => Handled::LaterAlone(Box::pin(later)),
            3 => Handled::Now(Reply::Nothing),
            _ => Handled::Now(Reply::Close("so the script says".into())),
        }
    }
}

fn frame(api: i16, version: i16, id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_i32(8 + 2 + body.len() as i32);
    frame.put_i16(api);
    frame.put_i16(version);
    frame.put_i32(id);
    frame.put_i16(-1);
    frame.put_slice(body);
    frame
}

/// A request of the given API, with so many bytes behind its script.
fn padded(
    api: i16,
    id: i32,
    does: Does,
    after_ms: u32,
    answer_len: u32,
    padding: usize,
) -> Vec<u8> {
    let mut body = vec![does as u8];
    body.put_u32(after_ms);
    body.put_u32(answer_len);
    body.put_bytes(0, padding);
    frame(api, 3, id, &body)
}

fn produce(id: i32, does: Does, after_ms: u32) -> Vec<u8> {
    padded(key::Produce, id, does, after_ms, 10, 0)
}

fn metadata(id: i32, does: Does, after_ms: u32) -> Vec<u8> {
    padded(key::Metadata, id, does, after_ms, 10, 0)
}

/// A broker on a machine of its own, and a client on another.
struct Scene {
    world: World,
    client: Env,
    broker: Arc<Scripted>,
    listener: Box<dyn Listener>,
}

/// How a session ended: the log line, or the ending.
type Ending = tokio::sync::oneshot::Receiver<Result<Ended, String>>;

impl Scene {
    async fn new(seed: u64, change: impl FnOnce(&mut Scripted)) -> Self {
        let world = World::new(seed);
        let (client, server) = (world.machine("client").start(), world.machine("broker").start());
        let listener = server.net.listen("", 9092).await.unwrap();
        let mut broker = Scripted {
            env: server,
            config: ServerConfig::default(),
            budget: Budget::new(64 * 1024 * 1024),
            stopping: Arc::default(),
            metrics: RequestMetrics::default(),
        };
        change(&mut broker);
        BEGUN.take();
        Self { world, client, broker: Arc::new(broker), listener }
    }

    /// A new connection: the client's end, and how the broker's will have ended.
    async fn connect(&mut self) -> (Client, Ending) {
        let connection = self.client.net.connect("broker", 9092).await.unwrap();
        let accepted = self.listener.accept().await.unwrap();
        let info = Arc::new(ListenerInfo { name: "PLAINTEXT".into(), is_controller: false });
        let broker = Arc::clone(&self.broker);
        let (send, ending) = tokio::sync::oneshot::channel();
        self.broker.env.threads.spawn_connection(Box::pin(async move {
            let connection = accepted.open().unwrap();
            let ended = Session::new(connection, info, broker).run().await;
            let _ = send.send(ended.map_err(|closed| closed.to_string()));
        }));
        (Client { connection, received: BytesMut::new() }, ending)
    }
}

struct Client {
    connection: Connection,
    received: BytesMut,
}

impl Client {
    async fn send(&mut self, bytes: impl Into<Bytes>) {
        let mut parts = VecDeque::from([OutPart::Bytes(bytes.into())]);
        let sent = poll_fn(|cx| self.connection.writer.poll_send(cx, &mut parts)).await;
        sent.unwrap();
    }

    async fn hang_up(&mut self) {
        poll_fn(|cx| self.connection.writer.poll_shutdown(cx)).await.unwrap();
    }

    /// Reads up to `max` bytes; whether the stream goes on.
    async fn read(&mut self, max: usize) -> bool {
        let mut buffer = BytesMut::with_capacity(max);
        let got = poll_fn(|cx| self.connection.reader.poll_read(cx, &mut buffer)).await;
        self.received.extend_from_slice(&buffer);
        matches!(got, Ok(1..))
    }

    /// The next answer without its length, or nothing if the connection ends.
    async fn answer(&mut self) -> Option<Bytes> {
        loop {
            if let Some(prefix) = self.received.first_chunk::<4>() {
                let len = u32::from_be_bytes(*prefix) as usize;
                if self.received.len() >= 4 + len {
                    let mut answer = self.received.split_to(4 + len).freeze();
                    answer.advance(4);
                    return Some(answer);
                }
            }
            if !self.read(65_536).await {
                return None;
            }
        }
    }

    /// The correlation ids of the next answers, up to `count` or the end of the connection.
    async fn ids(&mut self, count: usize) -> Vec<i32> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let Some(mut answer) = self.answer().await else { break };
            ids.push(answer.get_i32());
        }
        ids
    }
}

/// Runs a test in paused time and asserts that nothing panicked and that the budget is whole.
fn in_scene<F: Future<Output = Scene>>(test: impl FnOnce() -> F) {
    let runtime = paused_runtime();
    runtime.block_on(async {
        let scene = test().await;
        assert_eq!(scene.world.panics(), [""; 0]);
        tokio::time::sleep(Duration::from_hours(2)).await; // All connections have ended.
        assert_eq!(scene.broker.budget.used(), 0);
    });
}

fn plain(_: &mut Scripted) {}

use Does::{AnswerLater, AnswerLaterAlone, AnswerNow, Close, NotAnswer};

#[test]
fn requests_run_one_at_a_time_and_are_answered_in_order() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, _) = scene.connect().await;
        let requests = [
            metadata(1, AnswerLater, 50),
            metadata(2, AnswerNow, 0),
            metadata(3, AnswerLater, 20),
            produce(4, AnswerNow, 0),
        ];
        client.send(requests.concat()).await;
        assert_eq!(client.ids(4).await, [1, 2, 3, 4]);
        let at = begun_at();
        assert_eq!(at[0], 0);
        assert!(at[1] >= 50 && at[2] < 60 && at[3] >= 70, "{at:?}");
        scene
    });
}

#[test]
fn waits_of_pipelined_requests_overlap_and_their_answers_keep_the_order() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, _) = scene.connect().await;
        let requests: Vec<_> =
            (0..40).map(|id| produce(id, AnswerLater, 100 - 2 * id as u32)).collect();
        let start = scene.client.clock.now();
        client.send(requests.concat()).await;
        assert_eq!(client.ids(40).await, (0..40).collect::<Vec<_>>());
        let took = scene.client.clock.now().since(start);
        assert!(took < Duration::from_millis(120), "{took:?}");
        assert!(begun_at().iter().all(|at| *at < 10), "{:?}", begun_at());
        scene
    });
}

#[test]
fn more_waits_than_a_connection_may_have_go_on_as_others_end() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, _) = scene.connect().await;
        let requests: Vec<_> = (0..200).map(|id| produce(id, AnswerLater, 100)).collect();
        client.send(requests.concat()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(begun().len(), WAITING_MAX);
        assert_eq!(client.ids(200).await, (0..200).collect::<Vec<_>>());
        scene
    });
}

#[test]
fn what_runs_one_at_a_time_begins_when_pipelined_requests_before_it_are_answered() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, _) = scene.connect().await;
        let requests =
            [produce(1, AnswerLater, 80), metadata(2, AnswerNow, 0), produce(3, AnswerNow, 0)];
        client.send(requests.concat()).await;
        assert_eq!(client.ids(3).await, [1, 2, 3]);
        assert!(begun_at()[1] >= 80, "{:?}", begun_at());
        scene
    });
}

#[test]
fn a_pipelined_request_that_has_had_no_effect_yet_holds_the_later_ones() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, _) = scene.connect().await;
        let requests = [
            produce(1, AnswerLater, 30),
            produce(2, AnswerLaterAlone, 60),
            produce(3, AnswerLater, 10),
        ];
        client.send(requests.concat()).await;
        assert_eq!(client.ids(3).await, [1, 2, 3]);
        let at = begun_at();
        assert!(at[1] < 10 && at[2] >= 60, "{at:?}");
        scene
    });
}

#[test]
fn a_request_without_an_answer_leaves_no_gap() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, _) = scene.connect().await;
        let requests = [
            produce(1, NotAnswer, 0),
            produce(2, AnswerLater, 20),
            produce(3, NotAnswer, 0),
            produce(4, AnswerNow, 0),
        ];
        client.send(requests.concat()).await;
        assert_eq!(client.ids(2).await, [2, 4]);
        scene
    });
}

#[test]
fn a_request_that_ends_the_connection_ends_it_after_the_answers_before_it() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let bad: [(Vec<u8>, &str); 8] = [
            (produce(3, Close, 0), "so the script says"),
            (b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec(), "the client speaks HTTP"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "the client speaks TLS"),
            (vec![0xff, 0xff, 0xff, 0xff], "a frame of -1 bytes"),
            (vec![0; 4], "request header"),
            (frame(4, 0, 1, &[]), "no API has number 4"),
            (frame(key::Fetch, 4, 1, &[]), "Fetch is not served on listener PLAINTEXT"),
            (frame(key::Metadata, 9, 1, &[0]), "Metadata version 9 is not supported"),
        ];
        for (bad, why) in bad {
            let (mut client, ending) = scene.connect().await;
            client
                .send([produce(1, AnswerLater, 20), metadata(2, AnswerNow, 0), bad].concat())
                .await;
            assert_eq!(client.ids(9).await, [1, 2], "{why}");
            let ended = ending.await.unwrap().unwrap_err();
            assert!(ended.contains(why), "{ended}");
        }
        scene
    });
}

#[test]
fn frames_arrive_in_any_pieces() {
    for seed in 0..20 {
        in_scene(|| async {
            let mut scene = Scene::new(seed, plain).await;
            let mut rng = scene.world.rng("pieces");
            let (mut client, _) = scene.connect().await;
            let sizes = [0, 1, 900, 1_100, 5_000, 65_000, 66_000, 200_000, 1_000_000];
            let requests: Vec<_> = (0..60)
                .map(|id| {
                    let api = if rng.coin() { key::Produce } else { key::Metadata };
                    let does = if rng.coin() { AnswerNow } else { AnswerLater };
                    let padding = sizes[rng.below(sizes.len() as u64) as usize];
                    padded(api, id, does, rng.below(3) as u32, rng.below(3_000) as u32, padding)
                })
                .collect();
            let mut all = Bytes::from(requests.concat());
            let Client { connection, received } = &mut client;
            let writer = &mut connection.writer;
            let sending = async {
                while !all.is_empty() {
                    let bound = 1 << rng.below(18);
                    let len = all.len().min(1 + rng.below(bound) as usize);
                    let mut parts = VecDeque::from([OutPart::Bytes(all.split_to(len))]);
                    poll_fn(|cx| writer.poll_send(cx, &mut parts)).await.unwrap();
                    if rng.one_in(4) {
                        tokio::time::sleep(Duration::from_millis(rng.below(4))).await;
                    }
                }
            };
            let receiving = async {
                let mut count = 0;
                while count < 60 {
                    received.reserve(65_536);
                    let got = poll_fn(|cx| connection.reader.poll_read(cx, received)).await;
                    assert!(got.unwrap() > 0);
                    while let Some(prefix) = received.first_chunk::<4>() {
                        let len = 4 + u32::from_be_bytes(*prefix) as usize;
                        if received.len() < len {
                            break;
                        }
                        let id = received.split_to(len)[4..8].try_into().map(i32::from_be_bytes);
                        assert_eq!(id.unwrap(), count);
                        count += 1;
                    }
                }
            };
            tokio::join!(sending, receiving);
            assert_eq!(begun(), (0..60).collect::<Vec<_>>());
            scene
        });
    }
}

#[test]
fn a_client_that_takes_no_answers_is_served_no_further_and_then_closed() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, ending) = scene.connect().await;
        let start = scene.client.clock.now();
        let requests: Vec<_> =
            (0..4_000).map(|id| padded(key::Metadata, id, AnswerNow, 0, 10_000, 0)).collect();
        client.send(requests.concat()).await;
        assert_eq!(
            ending.await.unwrap().unwrap_err(),
            "the client read nothing of a response, connections.max.idle.ms=600000"
        );
        assert!(begun().len() < 200, "{} requests were begun", begun().len());
        let took = scene.client.clock.now().since(start);
        assert!((600..602).contains(&took.as_secs()), "{took:?}");
        scene
    });
}

#[test]
fn a_client_that_takes_an_answer_slowly_gets_all_of_it() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, mut ending) = scene.connect().await;
        client.send(padded(key::Metadata, 1, AnswerNow, 0, 2_000_000, 0)).await;
        while client.received.len() < 2_000_008 {
            assert!(client.read(50_000).await);
            tokio::time::sleep(Duration::from_secs(50)).await;
        }
        assert!(ending.try_recv().is_err(), "it goes on");
        scene
    });
}

#[test]
fn an_incomplete_request_ends_the_connection_when_nothing_more_of_it_arrives() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let whole = metadata(1, AnswerNow, 0);
        for sent in [1, 4, 5, whole.len() - 1] {
            let (mut client, ending) = scene.connect().await;
            let start = scene.client.clock.now();
            client.send(whole[..sent].to_vec()).await;
            let why = ending.await.unwrap().unwrap_err();
            assert_eq!(
                why,
                "nothing more of an incomplete request arrived, connections.max.idle.ms=600000"
            );
            let took = scene.client.clock.now().since(start);
            assert!((600..601).contains(&took.as_secs()), "{took:?}");
        }
        scene
    });
}

#[test]
fn a_request_in_slow_but_steady_progress_is_answered() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        for (len, piece, pause_s) in [(20_000, 500, 500), (9_000_000, 110_000, 1), (0, 1, 599)] {
            let (mut client, _) = scene.connect().await;
            let request = padded(key::Metadata, 5, AnswerNow, 0, 10, len);
            for piece in request.chunks(piece) {
                client.send(piece.to_vec()).await;
                tokio::time::sleep(Duration::from_secs(pause_s)).await;
            }
            assert_eq!(client.ids(1).await, [5]);
        }
        scene
    });
}

#[test]
fn an_idle_connection_is_closed_and_one_that_waits_for_an_answer_is_not() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (_silent, ending) = scene.connect().await;
        assert_eq!(ending.await.unwrap(), Ok(Ended::Idle));

        let (mut client, ending) = scene.connect().await;
        let start = scene.client.clock.now();
        client.send(metadata(1, AnswerLater, 1_500_000)).await;
        assert_eq!(client.ids(1).await, [1], "after 25 minutes");
        assert_eq!(ending.await.unwrap(), Ok(Ended::Idle));
        let idle = scene.client.clock.now().since(start).as_secs() - 1500;
        assert!((600..602).contains(&idle), "{idle} s after the answer");

        let seconds = Duration::from_secs(7);
        let mut scene = Scene::new(1, |s| s.config.connections_max_idle = seconds).await;
        let (mut client, ending) = scene.connect().await;
        let start = scene.client.clock.now();
        client.send(metadata(1, AnswerLater, 3_000)).await;
        assert_eq!(ending.await.unwrap(), Ok(Ended::Idle));
        let took = scene.client.clock.now().since(start).as_millis();
        assert!((10_000..10_100).contains(&took), "{took} ms");
        scene
    });
}

#[test]
fn a_broker_that_stops_answers_what_it_has_begun_and_nothing_else() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, ending) = scene.connect().await;
        let (_idle, idle_ending) = scene.connect().await;
        let requests =
            [produce(1, AnswerLater, 100), produce(2, AnswerLater, 200), metadata(3, AnswerNow, 0)];
        client.send(requests.concat()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        scene.broker.stopping.set();
        assert_eq!(idle_ending.await.unwrap(), Ok(Ended::Stopped));
        assert_eq!(client.ids(3).await, [1, 2]);
        assert_eq!(ending.await.unwrap(), Ok(Ended::Stopped));
        assert_eq!(begun(), [1, 2]);
        scene
    });
}

#[test]
fn a_half_closed_client_gets_the_answers_to_all_that_it_sent() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, ending) = scene.connect().await;
        let requests = [
            produce(1, NotAnswer, 0),
            produce(2, AnswerLater, 500),
            metadata(3, AnswerNow, 0),
            produce(4, AnswerLater, 500_000),
            metadata(5, AnswerLater, 400_000),
        ];
        client.send([&requests.concat()[..], &[0, 0]].concat()).await;
        client.hang_up().await;
        assert_eq!(client.ids(9).await, [2, 3, 4, 5]);
        assert_eq!(ending.await.unwrap(), Ok(Ended::ByClient));
        assert_eq!(begun(), [1, 2, 3, 4, 5]);
        scene
    });
}

#[test]
fn a_half_closed_connection_whose_answer_does_not_come_ends_when_idle() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, ending) = scene.connect().await;
        let start = scene.client.clock.now();
        client.send(metadata(1, AnswerLater, 3_600_000)).await;
        client.hang_up().await;
        assert_eq!(ending.await.unwrap(), Ok(Ended::Idle));
        let took = scene.client.clock.now().since(start);
        assert!((600..601).contains(&took.as_secs()), "{took:?}");
        scene
    });
}

#[test]
fn a_reset_during_a_long_wait_ends_the_connection_at_once() {
    for half_closed in [false, true] {
        in_scene(|| async {
            let mut scene = Scene::new(1, plain).await;
            let (mut client, ending) = scene.connect().await;
            client.send(metadata(1, AnswerNow, 0)).await;
            client.send(metadata(2, AnswerLater, 3_600_000)).await;
            if half_closed {
                client.hang_up().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let start = scene.client.clock.now();
            drop(client); // With an answer unread, which resets the connection.
            let ended = ending.await.unwrap();
            let is_end = if half_closed { ended == Ok(Ended::ByClient) } else { ended.is_err() };
            assert!(is_end, "{ended:?}");
            assert!(scene.client.clock.now().since(start) < Duration::from_secs(1));
            scene
        });
    }
}

#[test]
fn large_requests_beyond_the_budget_wait_and_all_come_through() {
    in_scene(|| async {
        let small = |s: &mut Scripted| s.budget = Budget::new(300_000);
        let mut scene = Scene::new(1, small).await;
        let mut clients = Vec::new();
        for id in 0..8 {
            let (mut client, _) = scene.connect().await;
            clients.push(tokio::spawn(async move {
                for round in 0..5 {
                    let request = padded(key::Metadata, id, AnswerLater, 5, 10, 1_000_000 + round);
                    client.send(request).await;
                    assert_eq!(client.ids(1).await, [id]);
                }
            }));
        }
        // Small requests are served all the while.
        let (mut client, _) = scene.connect().await;
        for id in 100..120 {
            client.send(metadata(id, AnswerNow, 0)).await;
            assert_eq!(client.ids(1).await, [id]);
            let used = scene.broker.budget.used();
            assert!(used < 300_000 + 8 * 200_000 + 1_000_100, "{used}");
        }
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(scene.broker.budget.used(), 0);
        scene
    });
}

#[test]
fn large_requests_that_are_never_finished_do_not_hold_the_budget_for_ever() {
    in_scene(|| async {
        let small = |s: &mut Scripted| s.budget = Budget::new(300_000);
        let mut scene = Scene::new(1, small).await;
        let mut stalled = Vec::new();
        for id in 0..4 {
            let (mut client, ending) = scene.connect().await;
            client
                .send(padded(key::Metadata, id, AnswerNow, 0, 0, 1_000_000)[..180_000].to_vec())
                .await;
            stalled.push((client, ending));
        }
        let request = padded(key::Metadata, 9, AnswerNow, 0, 0, 1_000_000);
        let (mut client, ending) = scene.connect().await;
        client.send(request[..250_000].to_vec()).await;
        for piece in request[250_000..].chunks(20_000) {
            client.send(piece.to_vec()).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        assert_eq!(client.ids(1).await, [9], "it only had to wait");
        assert!(ending.is_empty());
        let mut ended = 0;
        for (_client, mut ending) in stalled {
            let Ok(ended_by) = ending.try_recv() else { continue };
            let why = ended_by.unwrap_err();
            ended += usize::from(why.contains("less progress than 65536 bytes in 60 s"));
        }
        assert!(ended > 0);
        scene
    });
}

/// A connection that delivers bytes at once, then ends, and forgets what it is sent.
struct Rush(Bytes);

impl crate::env::ReadHalf for Rush {
    fn poll_read(&mut self, _: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        let len = self.0.len().min(into.capacity() - into.len());
        into.extend_from_slice(&self.0.split_to(len));
        Poll::Ready(Ok(len))
    }

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl crate::env::WriteHalf for Rush {
    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        parts: &mut VecDeque<OutPart>,
    ) -> Poll<io::Result<()>> {
        parts.clear();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_request_that_is_answered_at_once_costs_no_allocation_of_the_connections_own() {
    for padding in [100, 1_000, 16_000, 100_000] {
        in_scene(|| async {
            let scene = Scene::new(1, plain).await;
            let measure = |count: i32| {
                let address = "127.0.0.1:1".parse().unwrap();
                let requests: Vec<_> = (0..count)
                    .map(|id| padded(key::Produce, id, NotAnswer, 0, 0, padding))
                    .collect();
                let connection = Connection {
                    peer: address,
                    local: address,
                    reader: Box::new(Rush(Bytes::from(requests.concat()))),
                    writer: Box::new(Rush(Bytes::new())),
                };
                let info = ListenerInfo { name: "PLAINTEXT".into(), is_controller: false };
                let session = Session::new(connection, Arc::new(info), Arc::clone(&scene.broker));
                let mut session = std::pin::pin!(session.run());
                BEGUN.with_borrow_mut(|begun| begun.reserve(2_000));
                let memory = allocation_counter::measure(|| {
                    let mut cx = Context::from_waker(std::task::Waker::noop());
                    while session.as_mut().poll(&mut cx).is_pending() {} // It yields.
                });
                memory.count_total
            };
            measure(10);
            let (few, many) = (measure(100), measure(1_000));
            assert_eq!(begun().len(), 1_110);
            let more = many.saturating_sub(few);
            assert!(more < 10, "{more} allocations for 900 requests of {padding} bytes");
            scene
        });
    }
}

/// Bytes of memory that so many connections hold, after each has sent `last`.
fn memory_of_connections(count: usize, last: &[u8]) -> i64 {
    let runtime = paused_runtime();
    let mut scene = runtime.block_on(Scene::new(1, plain));
    let mut kept = Vec::new();
    let mut connect = |count: usize| {
        let memory = allocation_counter::measure(|| {
            for _ in 0..count {
                let (mut client, ending) = runtime.block_on(scene.connect());
                runtime.block_on(async {
                    client.send(metadata(1, AnswerNow, 0)).await;
                    client.ids(1).await;
                    client.received = BytesMut::new();
                    client.send(last.to_vec()).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                });
                kept.push((client, ending));
            }
        });
        memory.bytes_current
    };
    connect(10); // Buffers that the worker keeps.
    connect(count)
}

#[test]
fn a_connection_that_waits_holds_no_buffer() {
    let request = metadata(1, AnswerLater, 3_600_000);
    for last in [&[][..], &request, &request[..5]] {
        let each = memory_of_connections(100, last) / 100;
        assert!(each < 8 * 1024, "{each} bytes a connection, after {} bytes", last.len());
    }
}

#[test]
fn a_length_that_is_only_claimed_takes_no_memory() {
    let mut claim = padded(key::Metadata, 1, AnswerNow, 0, 0, 90_000_000);
    claim.truncate(30_000);
    let each = memory_of_connections(50, &claim) / 50;
    assert!(each < 300 * 1024, "{each} bytes a connection");
}

/// How often another task of the worker runs while a connection works off what `requests` are.
fn turns_of_others(requests: Vec<Vec<u8>>, answers: usize) -> usize {
    let mut turns = 0;
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        scene.world.set_latency(0);
        let (mut client, _) = scene.connect().await;
        let done = std::rc::Rc::new(std::cell::Cell::new(false));
        let flood = async {
            let (mut sent, mut got) = (VecDeque::new(), 0);
            sent.push_back(OutPart::Bytes(requests.concat().into()));
            // Sends and receives as fast as it goes.
            while got < answers || !sent.is_empty() {
                let mut buffer = BytesMut::with_capacity(1 << 20);
                poll_fn(|cx| {
                    let sends = client.connection.writer.poll_send(cx, &mut sent).is_ready();
                    let reads = client.connection.reader.poll_read(cx, &mut buffer).is_ready();
                    if reads || (sends && answers == 0) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                client.received.extend_from_slice(&buffer);
                while client.received.first_chunk().is_some_and(|prefix| {
                    client.received.len() >= 4 + u32::from_be_bytes(*prefix) as usize
                }) {
                    client.ids(1).await;
                    got += 1;
                }
            }
            done.set(true);
        };
        let other = async {
            while !done.get() || begun().len() < requests.len() {
                crate::env::threads::give_way().await;
                turns += 1;
            }
        };
        tokio::join!(flood, other);
        scene
    });
    turns
}

#[test]
fn a_flood_of_requests_lets_others_have_a_turn_after_each_slice() {
    let one_at_a_time = |does| (0..5_000).map(|id| metadata(id, does, 0)).collect::<Vec<_>>();
    let pipelined = |does| (0..5_000).map(|id| produce(id, does, 0)).collect::<Vec<_>>();
    let slices = 5_000 / super::super::slice::SLICE_REQUESTS_MAX;
    for (requests, answers) in [
        (one_at_a_time(AnswerNow), 5_000),
        (one_at_a_time(AnswerLater), 5_000),
        (pipelined(AnswerNow), 5_000),
        (pipelined(NotAnswer), 0),
    ] {
        let turns = turns_of_others(requests, answers);
        assert!(turns >= slices, "{turns} turns of others in {slices} slices");
    }
}

#[test]
fn a_flood_of_bytes_lets_others_have_a_turn_after_each_slice() {
    let requests: Vec<_> =
        (0..4).map(|id| padded(key::Metadata, id, AnswerNow, 0, 10, 10_000_000)).collect();
    let slices = 40_000_000 / super::super::slice::SLICE_LEN_MAX;
    let turns = turns_of_others(requests, 4);
    assert!(turns >= slices, "{turns} turns of others in {slices} slices");
}

#[test]
fn a_handler_with_a_long_loop_lets_others_have_a_turn() {
    let runtime = paused_runtime();
    runtime.block_on(async {
        let env = World::new(1).machine("broker").start();
        let (mut steps, mut turns) = (super::super::slice::Steps::new(env.clock), 0);
        let mut counted = 0;
        let working = std::cell::Cell::new(true);
        let work = async {
            for _ in 0..10_000 {
                steps.step().await;
                counted += 1;
            }
            for _ in 0..100 {
                steps.step_over(super::super::slice::SLICE_LEN_MAX).await;
                counted += 1;
            }
            working.set(false);
        };
        let other = async {
            while working.get() {
                crate::env::threads::give_way().await;
                turns += 1;
            }
        };
        tokio::join!(work, other);
        assert_eq!(counted, 10_100);
        let slices = 10_000 / super::super::slice::SLICE_STEPS_MAX + 100;
        assert!((slices..slices + 5).contains(&turns), "{turns} turns, {slices} slices");
    });
}

/// Bytes charged by connections that stall in the middle of a small request.
#[test]
fn incomplete_small_requests_are_charged_and_stop_at_the_reserve() {
    in_scene(|| async {
        let small = |s: &mut Scripted| {
            s.config.connections_max_idle = Duration::from_hours(1);
            s.budget = Budget::new(1_000_000);
        };
        let mut scene = Scene::new(1, small).await;
        let request = padded(key::Metadata, 1, AnswerNow, 0, 10, 60_000);
        let limit = 1_000_000 + super::super::budget::SMALL_RESERVE;
        let mut stalled = Vec::new();
        for number in 0..1_500 {
            let (mut client, ending) = scene.connect().await;
            client.send(request[..30_000].to_vec()).await;
            stalled.push((client, ending));
            if number == 9 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert_eq!(scene.broker.budget.used(), 10 * BUFFER_LEN as u64);
            }
        }
        for (client, _) in &mut stalled {
            client.send(request[30_000..60_000].to_vec()).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let used = scene.broker.budget.used();
        assert!((limit..limit + 2 * BUFFER_LEN as u64).contains(&used), "{used}");
        // Whoever sends whole requests is served all the while.
        let (mut client, _) = scene.connect().await;
        client.send(metadata(7, AnswerNow, 0)).await;
        assert_eq!(client.ids(1).await, [7]);
        // The stalled ones make room within two minutes.
        tokio::time::sleep(Duration::from_mins(3)).await;
        let used = scene.broker.budget.used();
        assert!(used < limit, "{used}");
        scene
    });
}

#[test]
fn requests_are_counted_with_their_times_when_their_answers_are_sent() {
    in_scene(|| async {
        let mut scene = Scene::new(1, plain).await;
        let (mut client, _) = scene.connect().await;
        // The second answer waits for the first, and the third has none.
        let requests =
            [produce(1, AnswerLater, 50), produce(2, AnswerNow, 0), produce(3, NotAnswer, 0)];
        client.send(requests.concat()).await;
        assert_eq!(client.ids(2).await, [1, 2]);
        let (mut lost, _) = scene.connect().await;
        lost.send(produce(4, AnswerLater, 50)).await;
        lost.hang_up().await;
        let text = rendered(&scene);
        let value = |series: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(series));
            line.unwrap_or_else(|| panic!("{series}: {text}")).trim()
        };
        let produce = "{request=\"Produce\"}";
        let of = |name: &str| value(&format!("kafka_network_requestmetrics_{name}{produce}"));
        let versions = "{request=\"Produce\",version=\"3\"}";
        assert_eq!(value(&format!("kafka_network_requestmetrics_requests_total{versions}")), "3");
        assert_eq!(of("totaltimems_count"), "3");
        assert!((50.0_f64..52.0).contains(&of("remotetimems_sum").parse().unwrap()), "{text}");
        assert!(
            (100.0_f64..104.0).contains(&of("responsequeuetimems_sum").parse().unwrap()),
            "{text}"
        );
        assert!((150.0_f64..156.0).contains(&of("totaltimems_sum").parse().unwrap()), "{text}");
        assert_eq!(of("requestbytes_sum"), "57");
        assert_eq!(of("responsebytes_sum"), "36");
        scene
    });
}

fn rendered(scene: &Scene) -> String {
    use crate::metrics::{Collect, Collector, Registry, prometheus};
    /// The metrics of a broker that the test shares.
    struct Shared(Arc<Scripted>);
    impl Collect for Shared {
        fn collect(&self, collector: &mut dyn Collector) {
            self.0.metrics.collect(collector);
        }
    }
    prometheus::render(&Registry::of([Arc::new(Shared(Arc::clone(&scene.broker))) as _]))
}
