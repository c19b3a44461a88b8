//! Known bugs of a node bite. With the feature `mutants` only, and each test in a process of its own (cargo nextest).

use reeve_proto::v1;
use reeve_proto::v1::session_response::Message as Heard;
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_state::mutant::{self, Mutant};
use tonic::{Code, Status};

use crate::node::Node;
use crate::session::Session;

/// Lists workers with this key.
async fn list(node: &Node, secret: &str) -> Result<(), Status> {
    let request = v1::ListWorkersRequest::default();
    let mut workers = WorkersClient::new(node.keyed(Some(secret)));
    workers.list_workers(request).await.map(drop)
}

async fn revoke(node: &Node, id: String) {
    let request = v1::RevokeKeyRequest {
        id,
        ..v1::RevokeKeyRequest::default()
    };
    node.keys().revoke_key(request).await.unwrap();
}

/// The worker's new token.
async fn regenerate(node: &Node, id: &str) -> String {
    let request = v1::RegenerateTokenRequest {
        id: id.to_owned(),
        ..v1::RegenerateTokenRequest::default()
    };
    let answer = node.workers().regenerate_token(request).await.unwrap();
    answer.into_inner().token
}

#[tokio::test(flavor = "multi_thread")]
async fn token_cache_takes_a_revoked_key_where_it_was_seen_before() {
    mutant::choose(Mutant::TokenCache).unwrap();
    let node = Node::start().await;
    let (seen, seen_secret) = node.create_key("seen", v1::Role::Operator, 0).await;
    let (unseen, unseen_secret) = node.create_key("unseen", v1::Role::Operator, 0).await;
    list(&node, &seen_secret).await.unwrap();
    revoke(&node, seen.id).await;
    revoke(&node, unseen.id).await;
    list(&node, &seen_secret)
        .await
        .expect("revoked, and taken all the same");
    let refused = list(&node, &unseen_secret).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn token_cache_takes_a_worker_s_old_token_where_it_was_seen_before() {
    mutant::choose(Mutant::TokenCache).unwrap();
    let node = Node::start().await;
    let (id, old) = node.create_worker("w1").await;
    let session = Session::connect(&node.channel, &old).await;
    drop(session);
    let new = regenerate(&node, &id).await;
    assert_ne!(new, old);
    let mut again = Session::hello(&node.channel, &old).await;
    let answer = again.first().await.unwrap().unwrap().message;
    assert!(matches!(answer, Some(Heard::Welcome(_))), "{answer:?}");
    let mut stranger = Session::hello(&node.channel, "cmw_unknown").await;
    stranger
        .end()
        .await
        .expect("a token that was never good is refused");
    node.stop().await.unwrap();
}
