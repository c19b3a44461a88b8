//! The exchange with another node, on the node-to-node listener.

use reeve_proto::internal::node_exchange_client::NodeExchangeClient;
use reeve_proto::internal::{ExchangeRequest, SessionAge};
use reeve_state::id::SessionEpoch;
use reeve_state::transition::worker::LivenessProfile;
use tonic::Code;

use super::fake::{Fake, hello};
use super::world::{World, patient};

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_of_another_node_is_taken_in_and_answered_with_the_time() {
    let world = World::start(patient()).await;
    let (id, token) = world.worker("w1").await;
    let (_fake, welcome) = Fake::connect(&world, hello(&token)).await;
    let config = &world.context.config;
    let mut peer = NodeExchangeClient::connect(format!("http://{}", config.raft_addr))
        .await
        .unwrap();
    let session = |epoch| SessionAge {
        worker_id: id.as_bytes().to_vec().into(),
        epoch,
        age_ms: 90_000,
        active_endpoints: 8,
        ..SessionAge::default()
    };
    let newer = welcome.session_epoch + 1;
    let request = ExchangeRequest {
        cluster_id: config.cluster_id.clone(),
        from_node: 2,
        to_node: config.id.0,
        wall_ms: 1,
        sessions: vec![session(newer)],
        ages_unknown: false,
    };
    let answer = peer.exchange(request.clone()).await.unwrap().into_inner();
    assert!(answer.leader && answer.cluster_time_ms > 0 && answer.wall_ms > 0);
    let heard = world
        .context
        .liveness
        .heard(id, LivenessProfile::Session)
        .unwrap();
    assert_eq!(
        (heard.epoch, heard.missed, heard.vitals.active_endpoints),
        (SessionEpoch(newer), 3, 8)
    );

    let old = ExchangeRequest {
        sessions: vec![session(newer - 1)],
        ..request.clone()
    };
    peer.exchange(old).await.unwrap();
    assert_eq!(
        world
            .context
            .liveness
            .heard(id, LivenessProfile::Session)
            .unwrap()
            .epoch,
        SessionEpoch(newer),
        "an old session is ignored"
    );

    for wrong in [
        ExchangeRequest {
            cluster_id: "other".into(),
            ..request.clone()
        },
        ExchangeRequest {
            to_node: 9,
            ..request
        },
    ] {
        assert_eq!(
            peer.exchange(wrong).await.unwrap_err().code(),
            Code::FailedPrecondition
        );
    }
}
