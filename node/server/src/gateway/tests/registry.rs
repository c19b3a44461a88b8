//! What the planner of the registry does to live sessions.

use reeve_state::command::{Command, RegenerateToken};
use reeve_state::record::WorkerEventKind;
use reeve_state::time::Millis;
use reeve_state::transition::worker::WorkerStatus;
use tonic::Code;

use super::fake::{Fake, hello};
use super::world::{World, patient};
use crate::gateway::decode;

// Covers: R42
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_runs_out_ends_its_live_session() {
    let world = World::start(patient()).await;
    let (id, _) = world.worker("w1").await;
    let token = format!("cmw_{}", "7".repeat(64));
    let regenerate = RegenerateToken {
        worker: id,
        token_hash: decode::token_hash(&token).unwrap(),
        token_ttl: Some(Millis(3_000)),
    };
    world.propose(Command::RegenerateToken(regenerate)).await.unwrap();
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    let state = world.until_status(id, WorkerStatus::Error).await;
    let told = state.worker_events(id).next_back().unwrap();
    assert_eq!(
        (told.kind, told.actor.as_str()),
        (WorkerEventKind::TokenExpired, "reconciler")
    );
    assert!(told.at >= state.worker(id).unwrap().token_expires_at.unwrap());
    assert_eq!(
        fake.end().await,
        Some((Code::Unauthenticated, "TOKEN_EXPIRED".to_owned()))
    );
    assert_eq!(
        world.context.store.local().worker(id).unwrap().status(),
        WorkerStatus::Error,
        "what it holds goes on until it would be given up"
    );
}
