//! Evidence, on real nodes.

use reeve_node::NodeArgs;
use reeve_proto::v1;
use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use sha2::{Digest, Sha256};
use tonic::Code;

use crate::moving::Moving;
use crate::node::Node;

// Covers: R91
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_accepts_no_token_by_what_it_alone_remembers() {
    let nodes = Node::start_three(NodeArgs::default()).await;
    nodes[0].create_test("smoke").await;
    let moving = Moving::start(&nodes[0], "smoke", "w1").await;
    let chunk = v1::PutChunkRequest {
        token: moving.token.clone(),
        run_id: moving.run.id.clone(),
        epoch: moving.epoch,
        kind: v1::EvidenceKind::Metrics.into(),
        sha256: Sha256::digest([]).to_vec(),
        ..Default::default()
    };
    let [left, second, third] = nodes;
    let mut gateway = WorkerGatewayClient::new(left.channel.clone());
    for _ in 0..2 {
        gateway.put_chunk(chunk.clone()).await.unwrap();
    }
    second.stop().await.unwrap();
    third.stop().await.unwrap();
    // The others may have replaced the token meanwhile: the chunk is known here, and that is no answer.
    let status = gateway.put_chunk(chunk).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    left.stop().await.unwrap();
}
