//! Peers and networks that fail.

use super::super::{ConnectError, ExponentialBackoff, LostReason, UnsentReason};
use super::*;
use crate::env::sim::Crash;

fn unsent(result: Result<i16, CallError>) -> UnsentReason {
    let Err(CallError::Unsent { reason, .. }) = result else { panic!("{result:?}") };
    reason
}

fn unknown(result: Result<i16, CallError>) -> LostReason {
    let Err(CallError::OutcomeUnknown { reason, .. }) = result else { panic!("{result:?}") };
    reason
}

#[test]
fn a_connection_cut_after_any_byte_tells_whether_the_request_was_sent() {
    let versions = encode_response(&api_versions(ErrorCode::None, OFFERED), 5, i32::MIN).unwrap();
    let response = HeartbeatResponse::default().with_error_code(7);
    let response = encode_response(&response, 3, 0).unwrap();
    for cut in 0..=versions.len() + response.len() {
        let (versions, response) = (versions.clone(), response.clone());
        in_world(cut as u64, |scene| async move {
            let mut peer = scene.listen().await;
            let client = scene.client(settings());
            let answers = async {
                let mut session = peer.accept().await;
                session.request().await.unwrap();
                session.send(versions.slice(..cut.min(versions.len()))).await;
                if let Some(rest) = cut.checked_sub(versions.len()) {
                    session.request().await.unwrap();
                    session.send(response.slice(..rest)).await;
                }
                // The session is dropped: the connection ends here.
            };
            let (result, ()) = tokio::join!(call(&client, 7, 5 * SECOND), answers);
            if cut < versions.len() {
                let closed = UnsentReason::Connect(ConnectError::ClosedByPeer);
                assert_eq!(unsent(result), closed, "cut after {cut}");
            } else if cut < versions.len() + response.len() {
                assert_eq!(unknown(result), LostReason::ClosedByPeer, "cut after {cut}");
            } else {
                assert_eq!(result, Ok(7));
            }
            assert!(scene.elapsed() < SECOND, "it does not wait for a deadline");
        });
    }
}

#[test]
fn a_peer_that_never_answers_api_versions_costs_the_setup_timeout() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let timeout = ExponentialBackoff { initial: SECOND, max: SECOND };
        let client = scene.client(ClientSettings { setup_timeout: timeout, ..settings() });
        let mute = async {
            let mut session = peer.accept().await;
            session.request().await.unwrap();
            assert!(session.request().await.is_none(), "the client closes the connection");
        };
        let (result, ()) = tokio::join!(call(&client, 1, 10 * SECOND), mute);
        let reason = unsent(result);
        assert!(matches!(reason, UnsentReason::Connect(ConnectError::Timeout(_))), "{reason}");
        assert!(scene.elapsed() < 2 * SECOND);
    });
}

#[test]
fn a_peer_that_stops_answering_fails_all_in_flight_and_the_next_call_reconnects() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(ClientSettings { in_flight_max: 5, ..settings() });
        let calls = async {
            let results = tokio::join!(
                call(&client, 1, 2 * SECOND),
                call(&client, 2, 60 * SECOND),
                call(&client, 3, 60 * SECOND)
            );
            assert_eq!(unknown(results.0), LostReason::DeadlinePassed);
            assert_eq!(unknown(results.1), LostReason::PeerUnresponsive);
            assert_eq!(unknown(results.2), LostReason::PeerUnresponsive);
            assert!(scene.elapsed() < 3 * SECOND);
            assert_eq!(call(&client, 4, SECOND).await, Ok(4));
            drop(client);
        };
        let answers = async {
            let mut mute = peer.accept_ready().await;
            for number in 1..=3 {
                assert_eq!(mute.request().await.unwrap().number(), number);
            }
            assert!(mute.request().await.is_none(), "the client closes the connection");
            assert_eq!(peer.accept_ready().await.echo_all().await, 1);
        };
        tokio::join!(calls, answers);
    });
}

#[test]
fn a_peer_without_power_is_given_up_at_the_deadline_and_found_again() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        let (result, session) = tokio::join!(call(&client, 1, SECOND), async {
            let mut session = peer.accept_ready().await;
            let request = session.request().await.unwrap();
            session.echo(&request).await;
            session
        });
        assert_eq!(result, Ok(1));
        scene.far.crash(Crash::PowerLoss);
        drop((session, peer));
        // The connection is half open: the request leaves, and nothing comes back.
        assert_eq!(unknown(call(&client, 2, SECOND).await), LostReason::DeadlinePassed);
        // Nobody answers the dial either.
        assert_eq!(unsent(call(&client, 3, SECOND).await), UnsentReason::DeadlinePassed);
        let env = scene.far.start();
        let mut peer = Peer { listener: env.net.listen("", PORT).await.unwrap() };
        let answers = async { peer.accept_ready().await.echo_all().await };
        let calls = async {
            assert_eq!(call(&client, 4, 5 * SECOND).await, Ok(4));
            drop(client);
        };
        assert_eq!(tokio::join!(calls, answers).1, 1);
    });
}

#[test]
fn a_response_that_is_not_the_next_one_closes_the_connection() {
    // By how much the correlation id of the answer to the first of two requests is wrong.
    for wrong in [1, 2, -1, 1_000, i32::MIN] {
        in_world(1, |scene| async move {
            let mut peer = scene.listen().await;
            let client = scene.client(ClientSettings { in_flight_max: 2, ..settings() });
            let answers = async {
                let mut session = peer.accept_ready().await;
                let mut request = session.request().await.unwrap();
                session.request().await.unwrap();
                request.correlation_id = request.correlation_id.wrapping_add(wrong);
                session.echo(&request).await;
                assert!(session.request().await.is_none(), "the client closes the connection");
            };
            let (first, second, ()) =
                tokio::join!(call(&client, 1, 60 * SECOND), call(&client, 2, 60 * SECOND), answers);
            for result in [first, second] {
                assert!(matches!(unknown(result), LostReason::Violation(_)), "{wrong}");
            }
        });
    }
}

#[test]
fn a_response_without_a_request_closes_the_connection() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        let answers = async {
            let mut session = peer.accept_ready().await;
            let request = session.request().await.unwrap();
            session.echo(&request).await;
            session.echo(&request).await;
            assert!(session.request().await.is_none(), "the client closes the connection");
            assert_eq!(peer.accept_ready().await.echo_all().await, 1);
        };
        let calls = async {
            assert_eq!(call(&client, 1, SECOND).await, Ok(1));
            tokio::time::sleep(SECOND).await;
            assert_eq!(call(&client, 2, SECOND).await, Ok(2));
            drop(client);
        };
        tokio::join!(calls, answers);
    });
}

#[test]
fn frames_of_impossible_lengths_close_the_connection_and_cost_no_memory() {
    for len in [1_001, i32::MAX, -1, i32::MIN, 0, 3] {
        let memory = allocation_counter::measure(|| {
            in_world(1, |scene| async move {
                let mut peer = scene.listen().await;
                let client = scene.client(ClientSettings { response_len_max: 1_000, ..settings() });
                let answers = async {
                    let mut session = peer.accept_ready().await;
                    session.request().await.unwrap();
                    let frame = [&len.to_be_bytes()[..], &[0; 100]].concat();
                    session.send(frame.into()).await;
                    assert!(session.request().await.is_none(), "the client closes the connection");
                };
                let (result, ()) = tokio::join!(call(&client, 1, 60 * SECOND), answers);
                assert!(matches!(unknown(result), LostReason::Violation(_)), "{len}");
            });
        });
        assert!(memory.bytes_max < 2 * 1024 * 1024, "{} bytes for {len}", memory.bytes_max);
    }
}

#[test]
fn a_long_response_takes_no_more_memory_than_has_arrived_of_it() {
    let claimed = 90 * 1024 * 1024_i32;
    let memory = allocation_counter::measure(|| {
        in_world(1, |scene| async move {
            let mut peer = scene.listen().await;
            let client = scene.client(settings());
            let answers = async {
                let mut session = peer.accept_ready().await;
                session.request().await.unwrap();
                let part = vec![0; 100_000];
                session.send([&claimed.to_be_bytes()[..], &part].concat().into()).await;
                session
            };
            let (result, _session) = tokio::join!(call(&client, 1, SECOND), answers);
            assert_eq!(unknown(result), LostReason::DeadlinePassed);
        });
    });
    assert!(memory.bytes_max < 2 * 1024 * 1024, "{} bytes", memory.bytes_max);
}

#[test]
fn a_malformed_body_fails_its_call_and_closes_the_connection() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(ClientSettings { in_flight_max: 2, ..settings() });
        let answers = async {
            let mut session = peer.accept_ready().await;
            let request = session.request().await.unwrap();
            session.request().await.unwrap();
            let header = request.correlation_id.to_be_bytes();
            session.send([&[0, 0, 0, 5][..], &header, &[9]].concat().into()).await;
            assert!(session.request().await.is_none(), "the client closes the connection");
        };
        let (first, second, ()) =
            tokio::join!(call(&client, 1, 60 * SECOND), call(&client, 2, 60 * SECOND), answers);
        for result in [first, second] {
            assert!(matches!(unknown(result), LostReason::Malformed(_)));
        }
    });
}

#[test]
fn noise_instead_of_api_versions_is_no_node() {
    let noise: [&'static [u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\0\0\0\x06\0\0\0\0\0\0",
        b"\0\0\0\x02\0\0",
        b"\x7f\xff\xff\xff",
    ];
    for bytes in noise {
        in_world(1, |scene| async move {
            let mut peer = scene.listen().await;
            let client = scene.client(settings());
            let answers = async {
                let mut session = peer.accept().await;
                session.request().await.unwrap();
                session.send(Bytes::from_static(bytes)).await;
                assert!(session.request().await.is_none(), "the client closes the connection");
            };
            let (result, ()) = tokio::join!(call(&client, 1, 5 * SECOND), answers);
            let reason = unsent(result);
            let malformed = matches!(reason, UnsentReason::Connect(ConnectError::Malformed(_)));
            assert!(malformed, "{bytes:?}: {reason}");
        });
    }
}

#[test]
fn a_queued_call_fails_at_its_deadline_and_one_too_many_at_once() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(ClientSettings { pending_max: 2, ..settings() });
        let calls = async {
            let third = async {
                tokio::time::sleep(SECOND / 2).await;
                call(&client, 3, SECOND).await
            };
            let (first, second, third) =
                tokio::join!(call(&client, 1, 10 * SECOND), call(&client, 2, SECOND), third);
            assert_eq!(first, Ok(1));
            assert_eq!(unsent(second), UnsentReason::DeadlinePassed);
            assert_eq!(unsent(third), UnsentReason::TooManyPending(2));
        };
        let answers = async {
            let mut session = peer.accept_ready().await;
            let request = session.request().await.unwrap();
            tokio::time::sleep(3 * SECOND).await;
            session.echo(&request).await;
            session
        };
        tokio::join!(calls, answers);
    });
}

#[test]
fn attempts_to_connect_back_off_and_begin_anew_after_a_success() {
    in_world(1, |scene| async move {
        let client = scene.client(settings());
        let mut pauses = Vec::new();
        for number in 0..8 {
            let before = scene.elapsed();
            let reason = unsent(call(&client, number, 60 * SECOND).await);
            assert!(matches!(reason, UnsentReason::Connect(ConnectError::Io(_))), "{reason}");
            pauses.push(scene.elapsed().saturating_sub(before).as_millis());
        }
        assert!(pauses[0] < 10, "the first attempt does not wait: {pauses:?}");
        // 50 ms doubled up to 1 s, a fifth more or less, and a round trip.
        for (pause, expected) in pauses[1..].iter().zip([50, 100, 200, 400, 800, 1_000, 1_000]) {
            let range = expected * 4 / 5..=(expected * 6 / 5).min(1_000) + 10;
            assert!(range.contains(pause), "{pauses:?}");
        }
        let mut peer = scene.listen().await;
        let serve_one = async {
            let mut session = peer.accept_ready().await;
            let request = session.request().await.unwrap();
            session.echo(&request).await;
        };
        assert_eq!(tokio::join!(call(&client, 1, 5 * SECOND), serve_one).0, Ok(1));
        drop(peer);
        tokio::time::sleep(SECOND / 10).await;
        let before = scene.elapsed();
        unsent(call(&client, 1, 60 * SECOND).await);
        assert!(scene.elapsed().saturating_sub(before) < SECOND / 10, "the back-off began anew");
    });
}

#[test]
fn a_name_without_an_address_is_an_error_that_says_so() {
    in_world(1, |scene| async move {
        let node = NodeAddress { id: None, host: "nowhere".to_owned(), port: 1 };
        let client = NodeClient::new(&scene.env, node, settings(), Arc::new(Plaintext));
        assert_eq!(
            call(&client, 1, SECOND).await.unwrap_err().to_string(),
            "Heartbeat was not sent to nowhere:1: cannot connect: no machine is called nowhere"
        );
    });
}

#[test]
fn a_call_whose_driver_ends_with_the_process_has_an_unknown_outcome() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        let kill = async {
            let mut session = peer.accept_ready().await;
            session.request().await.unwrap();
            scene.near.crash(Crash::Kill);
            session
        };
        let (result, _session) = tokio::join!(call(&client, 1, SECOND), kill);
        assert_eq!(unknown(result), LostReason::Stopped);
    });
}
