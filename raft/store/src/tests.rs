//! Faults that only a test inside the crate can cause.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use reeve_state::command::{Command, CreateWorker, EntryMeta, Envelope, RequestTag};
use reeve_state::id::{NodeId, TokenHash, WorkerId};
use reeve_state::record::{RequestKey, WorkerKind};
use reeve_state::transition::worker::LivenessProfile;
use reeve_state::{State, Step};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::lanes::{Item, Route};
use crate::{Consistency, Lane, MemberInfo, OpenError, ProposeError, Store, StoreConfig, UnavailableReason};

const PATIENCE: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn configs(dirs: &[TempDir]) -> Vec<StoreConfig> {
    let listeners: Vec<_> = dirs
        .iter()
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let addrs: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let members = (1..).zip(&addrs).map(|(id, addr)| MemberInfo {
        id: NodeId(id),
        name: format!("n{id}"),
        raft_addr: addr.to_string(),
        ..MemberInfo::default()
    });
    let members: Vec<_> = members.collect();
    let config = |(id, dir): (u64, &Path)| {
        let mut config = StoreConfig::new(NodeId(id), "test", dir.to_owned(), addrs[id as usize - 1]);
        config.members = members.clone();
        config
    };
    (1..).zip(dirs.iter().map(TempDir::path)).map(config).collect()
}

fn worker(number: u8) -> WorkerId {
    WorkerId::from_bytes([number; 16])
}

/// Registers a worker; without a request id it is not repeated.
fn create(number: u8, name: &str, repeatable: bool) -> Envelope {
    Envelope {
        request: repeatable.then(|| RequestTag {
            key: RequestKey {
                caller: "test".into(),
                request_id: format!("create-{number}").into(),
            },
            hash: [number; 32],
        }),
        fence_term: None,
        principal: None,
        command: Command::CreateWorker(CreateWorker {
            id: worker(number),
            name: name.to_owned(),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Session,
            region: "eu".to_owned(),
            labels: Default::default(),
            capacity: Some(10),
            token_hash: TokenHash([number; 32]),
            token_ttl: None,
        }),
    }
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = soon();
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Breaks on one command, as a bug in `apply` would.
fn breaks(state: &mut State, entry: &EntryMeta, envelope: &Envelope) -> Step {
    if let Command::CreateWorker(command) = &envelope.command
        && command.name == "bad"
    {
        panic!("a bug");
    }
    reeve_state::apply(state, entry, envelope)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_apply_stops_the_node_and_names_the_command_and_the_revision() {
    let dirs = [TempDir::new().unwrap()];
    let config = configs(&dirs).remove(0);
    let store = Store::open_with(config.clone(), None, std::sync::Arc::new(breaks))
        .await
        .unwrap();
    store
        .propose(create(1, "good", false), Lane::Users, soon())
        .await
        .unwrap();
    let revision = store.local().meta().revision;
    let bad = store.propose(create(2, "bad", true), Lane::Users, soon()).await;
    assert_eq!(bad, Err(ProposeError::OutcomeUnknown), "it is in the log");
    eventually("the fault", || store.fatal().borrow().is_some()).await;
    let message = store.fatal().borrow().clone().unwrap().message;
    let number = create(2, "bad", false).command.number();
    assert!(
        message.contains(&format!("command {number} (")) && message.contains(&format!("revision {revision}")),
        "{message}"
    );
    let after = store.propose(create(3, "late", false), Lane::Users, soon()).await;
    assert!(matches!(after, Err(ProposeError::Fatal(_))), "{after:?}");
    store.shutdown().await;
    drop(store);
    let again = Store::open_with(config.clone(), None, std::sync::Arc::new(breaks))
        .await
        .err();
    if let Some(error) = again {
        assert!(
            matches!(&error, OpenError::Raft(text) if text.contains("command")),
            "{error}"
        );
    }
    // With the bug mended everything that was acknowledged is there, and so is what was in the log.
    let store = Store::open(config, None).await.unwrap();
    let state = store.read(Consistency::Linearizable, soon()).await.unwrap();
    assert!(state.worker(worker(1)).is_some() && state.worker(worker(2)).is_some());
    assert!(state.worker(worker(3)).is_none(), "it was said not to be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_leaves_its_neighbours_in_the_entry_alone() {
    let dirs = [TempDir::new().unwrap()];
    let store = Store::open(configs(&dirs).remove(0), None).await.unwrap();
    eventually("a leader", || store.leadership().borrow().established).await;
    let before = store.local_with_index().0;
    let commands = [
        create(1, "first", false),
        create(1, "the same id again", false),
        create(2, "last", false),
    ];
    let deadline = soon();
    let (items, tickets): (Vec<_>, Vec<_>) = commands
        .iter()
        .map(|envelope| {
            let bytes = crate::encode_envelope(envelope);
            Item::new(bytes, Lane::Users, deadline, Route::Anywhere, false)
        })
        .unzip();
    store.shared().lanes.push(items);
    let mut results = Vec::new();
    for ticket in tickets {
        results.push(ticket.wait(|| UnavailableReason::Overdue).await.unwrap());
    }
    assert_eq!(store.local_with_index().0, before + 1, "one entry");
    assert!(
        results[0].result.is_ok() && results[2].result.is_ok(),
        "{results:?}"
    );
    assert!(results[1].result.is_err(), "{results:?}");
    assert_eq!(
        results[2].revision.0,
        results[0].revision.0 + 1,
        "refused: no revision"
    );
    let state = store.local();
    assert_eq!(state.worker(worker(1)).unwrap().name, "first");
    assert!(state.worker(worker(2)).is_some());
}

async fn three(dirs: &[TempDir]) -> Vec<Store> {
    let mut stores = Vec::new();
    for config in configs(dirs) {
        stores.push(Store::open(config, None).await.unwrap());
    }
    eventually("a leader", || {
        stores.iter().any(|store| store.leadership().borrow().established)
    })
    .await;
    stores
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_leader_does_not_know_does_not_hold_up_its_neighbours() {
    let dirs = [(); 3].map(|()| TempDir::new().unwrap());
    let stores = three(&dirs).await;
    let follower = stores
        .iter()
        .find(|store| !store.leadership().borrow().established)
        .unwrap();
    eventually("the follower knows the leader", || {
        follower.leadership().borrow().leader.is_some()
    })
    .await;
    let item = |bytes, deadline| Item::new(bytes, Lane::Users, deadline, Route::Anywhere, false);
    let until = Instant::now() + Duration::from_secs(3);
    let (unknown, unknown_ticket) = item(bytes::Bytes::from_static(b"\xff\xff"), until);
    let (good, ticket) = item(crate::encode_envelope(&create(1, "good", false)), until);
    follower.shared().lanes.push([unknown, good]);
    let why = || UnavailableReason::Overdue;
    assert!(ticket.wait(why).await.unwrap().result.is_ok());
    let refused = unknown_ticket.wait(why).await;
    assert!(
        matches!(
            refused,
            Err(ProposeError::Unavailable { .. } | ProposeError::OutcomeUnknown)
        ),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_a_node_shuts_down_is_told_so_at_once() {
    let dirs = [(); 3].map(|()| TempDir::new().unwrap());
    let mut stores = three(&dirs).await;
    let left = stores.remove(0);
    drop(stores);
    eventually("the leader is gone", || {
        left.leadership().borrow().leader.is_none() || left.status().leader.is_none()
    })
    .await;
    let far = Instant::now() + Duration::from_secs(3_600);
    let write = tokio::spawn({
        let store = left.clone();
        async move { store.propose(create(1, "one", true), Lane::Users, far).await }
    });
    let read = tokio::spawn({
        let store = left.clone();
        async move { store.read(Consistency::Linearizable, far).await }
    });
    tokio::time::timeout(PATIENCE, left.shutdown()).await.unwrap();
    let write = tokio::time::timeout(PATIENCE, write).await.unwrap().unwrap();
    assert!(
        matches!(
            write,
            Err(ProposeError::OutcomeUnknown
                | ProposeError::Unavailable {
                    reason: UnavailableReason::ShuttingDown
                })
        ),
        "{write:?}"
    );
    let read = tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    assert!(read.is_err());
}
