//! Calls that go well, and how connections begin and end.

use super::super::{ConnectError, UnsentReason};
use super::*;
use crate::codec::shape::Versions;

#[test]
fn calls_share_one_connection_and_use_the_newest_common_version() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        assert!(client.versions().is_none());
        let calls = async {
            for number in 0..20 {
                assert_eq!(call(&client, number, SECOND).await, Ok(number));
            }
            let versions = client.versions().unwrap();
            assert_eq!(versions.api(key::Heartbeat), Some(Versions { first: 0, last: 3 }));
            drop(client);
        };
        let answers = async {
            let mut session = peer.accept_ready().await;
            for number in 0..20 {
                let request = session.request().await.unwrap();
                assert_eq!((request.number(), request.version), (number, 3));
                assert_eq!(request.client_id.as_deref(), Some("1"));
                session.echo(&request).await;
            }
            assert!(session.request().await.is_none(), "a dropped client closes its connection");
        };
        tokio::join!(calls, answers);
    });
}

#[test]
fn api_versions_names_the_node_that_is_meant() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        let answers = async {
            let mut session = peer.accept().await;
            let request = session.request().await.unwrap();
            assert_eq!((request.key, request.version), (key::ApiVersions, 5));
            let body = ApiVersionsRequest::decode_body(request.body.clone(), 5).unwrap();
            assert_eq!(body.cluster_id.as_deref(), Some("cluster"));
            assert_eq!((body.node_id, &*body.client_software_name), (2, "blumfeld"));
            let refused = api_versions(ErrorCode::RebootstrapRequired, &[]);
            session.answer(&request, 5, &refused).await;
            session
        };
        let (result, _session) = tokio::join!(call(&client, 1, SECOND), answers);
        let Err(CallError::Unsent { reason, .. }) = result else { panic!("{result:?}") };
        assert_eq!(reason, UnsentReason::Connect(ConnectError::WrongNode));
    });
}

#[test]
fn api_versions_names_node_and_cluster_together_or_neither() {
    for (id, cluster_id) in [(None, Some("cluster")), (Some(2), None), (None, None)] {
        in_world(1, |scene| async move {
            let mut peer = scene.listen().await;
            let node = NodeAddress { id, host: "far".to_owned(), port: PORT };
            let settings =
                ClientSettings { cluster_id: cluster_id.map(str::to_owned), ..settings() };
            let client = NodeClient::new(&scene.env, node, settings, Arc::new(Plaintext));
            let asked = async {
                let request = peer.accept().await.request().await.unwrap();
                let body = ApiVersionsRequest::decode_body(request.body, 5).unwrap();
                assert_eq!((body.cluster_id, body.node_id), (None, -1));
            };
            tokio::join!(call(&client, 1, SECOND), asked).0.unwrap_err();
        });
    }
}

#[test]
fn a_node_that_lacks_the_newest_api_versions_is_asked_again_at_its_own() {
    // What the node offers of ApiVersions in its refusal, and the version that is asked for next.
    let cases: [(&[(i16, i16, i16)], i16); 4] = [
        (&[(key::ApiVersions, 0, 3)], 3),
        (&[(key::ApiVersions, 0, 0)], 0),
        (&[], 0),
        (&[(key::ApiVersions, 0, 99)], 4),
    ];
    for (offered, expected) in cases {
        in_world(1, |scene| async move {
            let mut peer = scene.listen().await;
            let client = scene.client(settings());
            let answers = async {
                let mut session = peer.accept().await;
                let request = session.request().await.unwrap();
                let refusal = api_versions(ErrorCode::UnsupportedVersion, offered);
                session.answer(&request, 0, &refusal).await;
                let request = session.request().await.unwrap();
                assert_eq!(request.version, expected);
                let versions = api_versions(ErrorCode::None, OFFERED);
                session.answer(&request, expected, &versions).await;
                let request = session.request().await.unwrap();
                session.echo(&request).await;
                session
            };
            let (result, _session) = tokio::join!(call(&client, 7, SECOND), answers);
            assert_eq!(result, Ok(7));
        });
    }
}

#[test]
fn a_node_that_refuses_every_version_of_api_versions_is_left() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        let answers = async {
            let mut session = peer.accept().await;
            let mut versions = Vec::new();
            while let Some(request) = session.request().await {
                versions.push(request.version);
                let refusal =
                    api_versions(ErrorCode::UnsupportedVersion, &[(key::ApiVersions, 0, i16::MAX)]);
                session.answer(&request, 0, &refusal).await;
            }
            versions
        };
        let (result, versions) = tokio::join!(call(&client, 7, SECOND), answers);
        assert_eq!(versions, [5, 4, 3, 2, 1, 0]);
        let refused = ConnectError::Refused(ErrorCode::UnsupportedVersion);
        let Err(CallError::Unsent { reason, .. }) = result else { panic!("{result:?}") };
        assert_eq!(reason, UnsentReason::Connect(refused));
    });
}

#[test]
fn an_api_without_a_common_version_is_not_sent_and_others_are() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        let calls = async {
            let only_new = Versions { first: 4, last: 4 };
            let result = client.send_within(only_new, SECOND, |_| numbered(1)).await;
            assert_eq!(
                result.unwrap_err().to_string(),
                "Heartbeat was not sent to node 2 at far:9093: versions 4 to 4 are needed, the \
                 node has 0 to 3"
            );
            let result = client.send(ApiVersionsRequest::default(), SECOND);
            assert!(result.await.is_ok());
            let vote = crate::protocol::messages::VoteRequest::default();
            let error = client.send(vote, SECOND).await.unwrap_err();
            assert!(!error.was_sent() && error.to_string().contains("does not have the API"));
            let old = Versions { first: 0, last: 1 };
            let response = client.send_within(old, SECOND, numbered).await.unwrap();
            assert_eq!(response.error_code, 1, "the request is built for its version");
            drop(client);
        };
        let answers = async {
            let mut session = peer.accept_ready().await;
            let request = session.request().await.unwrap();
            let versions = api_versions(ErrorCode::None, OFFERED);
            session.answer(&request, request.version, &versions).await;
            assert_eq!(session.echo_all().await, 1);
        };
        tokio::join!(calls, answers);
    });
}

#[test]
fn requests_are_pipelined_up_to_the_limit_and_keep_their_order() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(ClientSettings { in_flight_max: 3, ..settings() });
        let calls = async {
            let calls = (0..10).map(|number| {
                let client = client.clone();
                async move { call(&client, number, SECOND).await }
            });
            let mut results = Vec::new();
            for running in calls.map(tokio::spawn).collect::<Vec<_>>() {
                results.push(running.await.unwrap());
            }
            results
        };
        let answers = async {
            let mut session = peer.accept_ready().await;
            let mut open = VecDeque::new();
            for _ in 0..10 {
                open.push_back(session.request().await.unwrap());
                if open.len() == 3 {
                    let more = tokio::time::timeout(SECOND / 10, session.request()).await;
                    assert!(more.is_err(), "a fourth request in flight");
                    session.echo(&open.pop_front().unwrap()).await;
                }
            }
            for request in &open {
                session.echo(request).await;
            }
            session
        };
        let (results, _session) = tokio::join!(calls, answers);
        assert_eq!(results, (0..10).map(Ok).collect::<Vec<_>>());
    });
}

#[test]
fn an_abandoned_call_leaves_its_response_to_nobody() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        let calls = async {
            let abandoned = tokio::time::timeout(SECOND, call(&client, 1, 10 * SECOND)).await;
            assert!(abandoned.is_err());
            assert_eq!(call(&client, 2, 10 * SECOND).await, Ok(2));
        };
        let answers = async {
            let mut session = peer.accept_ready().await;
            let first = session.request().await.unwrap();
            tokio::time::sleep(2 * SECOND).await;
            session.echo(&first).await;
            let second = session.request().await.unwrap();
            session.echo(&second).await;
            session
        };
        tokio::join!(calls, answers);
    });
}

#[test]
fn close_waits_for_what_is_in_flight_and_fails_the_rest() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(settings());
        let (first, second, other) = (client.clone(), client.clone(), client.clone());
        let calls = async {
            let closing = async {
                tokio::time::sleep(SECOND).await;
                client.close().await;
            };
            let first = call(&first, 1, 10 * SECOND);
            let second = call(&second, 2, 10 * SECOND);
            tokio::join!(first, second, closing)
        };
        let answers = async {
            let mut session = peer.accept_ready().await;
            let request = session.request().await.unwrap();
            tokio::time::sleep(3 * SECOND).await;
            session.echo(&request).await;
            assert!(session.request().await.is_none());
        };
        let ((answered, queued, ()), ()) = tokio::join!(calls, answers);
        assert_eq!(answered, Ok(1));
        for result in [queued, call(&other, 3, SECOND).await] {
            let Err(CallError::Unsent { reason, .. }) = result else { panic!("{result:?}") };
            assert_eq!(reason, UnsentReason::Closed);
        }
        other.close().await;
    });
}

#[test]
fn an_idle_connection_is_closed_before_the_peer_closes_it() {
    in_world(1, |scene| async move {
        let mut peer = scene.listen().await;
        let client = scene.client(ClientSettings { idle_max: 60 * SECOND, ..settings() });
        let calls = async {
            assert_eq!(call(&client, 1, SECOND).await, Ok(1));
            tokio::time::sleep(50 * SECOND).await;
            assert_eq!(call(&client, 2, SECOND).await, Ok(2));
            tokio::time::sleep(100 * SECOND).await;
            assert_eq!(call(&client, 3, SECOND).await, Ok(3));
            drop(client);
        };
        let answers = async {
            assert_eq!(peer.accept_ready().await.echo_all().await, 2);
            assert_eq!(peer.accept_ready().await.echo_all().await, 1);
        };
        tokio::join!(calls, answers);
    });
}
