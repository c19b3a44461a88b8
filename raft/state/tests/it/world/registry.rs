//! Words for the registry: ping workers, tokens, deletion, callers' keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::time::Millis;
use reeve_state::transition::worker::*;

use super::*;

pub const HOUR: Millis = Millis::from_secs(3_600);
pub const DAY: Millis = Millis::from_secs(24 * 3_600);

pub fn key_id(n: u8) -> KeyId {
    KeyId::from_bytes([n; 16])
}

pub fn issue(resource: Resource, percent: u8) -> HealthIssue {
    HealthIssue { resource, percent }
}

pub fn cpu(percent: u8) -> Vec<HealthIssue> {
    vec![issue(Resource::Cpu, percent)]
}

/// Ping worker `n` says who it is, under the name `pN`.
pub fn registration(n: u8) -> RegisterWorker {
    RegisterWorker {
        id: worker_id(n),
        name: format!("p{n}"),
        version: "1.0.0".to_owned(),
        ip_address: "10.0.0.1".to_owned(),
        function_blocks: BTreeSet::from(["acme/dial:1.0.0".to_owned()]),
        region: "eu-west".to_owned(),
        labels: BTreeMap::new(),
        capacity: Some(100),
    }
}

pub fn register(n: u8) -> Command {
    Command::RegisterWorker(registration(n))
}

pub fn ping(n: u8) -> Command {
    ping_with(n, Vec::new())
}

pub fn ping_with(n: u8, health: Vec<HealthIssue>) -> Command {
    Command::PingWorker(PingWorker {
        worker: worker_id(n),
        node: NodeId(1),
        health,
    })
}

pub fn unregister(n: u8) -> Command {
    Command::UnregisterWorker(UnregisterWorker { worker: worker_id(n) })
}

pub fn regenerate(n: u8, hash: u8) -> Command {
    Command::RegenerateToken(RegenerateToken {
        worker: worker_id(n),
        token_hash: token(hash),
        token_ttl: None,
    })
}

pub fn expire(n: u8) -> Command {
    Command::ExpireToken(ExpireToken { worker: worker_id(n) })
}

pub fn delete(n: u8) -> Command {
    delete_if(n, None, false)
}

pub fn delete_if(n: u8, offline_for: Option<Millis>, force: bool) -> Command {
    Command::DeleteWorker(DeleteWorker {
        worker: worker_id(n),
        offline_for,
        force,
    })
}

pub fn purge(n: u8, retention: Millis) -> Command {
    Command::PurgeWorker(PurgeWorker {
        worker: worker_id(n),
        retention,
    })
}

pub fn undrain(n: u8) -> Command {
    Command::SetDrain(SetDrain {
        worker: worker_id(n),
        drain: None,
    })
}

pub fn order(actor: DrainActor, then: AfterDrain) -> DrainOrder {
    DrainOrder {
        actor,
        reason: "maintenance".to_owned(),
        timeout: Millis::from_secs(60),
        then,
    }
}

pub fn drain_order(n: u8, order: DrainOrder) -> Command {
    Command::SetDrain(SetDrain {
        worker: worker_id(n),
        drain: Some(order),
    })
}

pub fn new_key(n: u8, role: Role) -> CreateKey {
    CreateKey {
        id: key_id(n),
        name: format!("k{n}"),
        role,
        project: "default".to_owned(),
        hash: KeyHash([n; 32]),
        ttl: None,
        bootstrap: false,
    }
}

pub fn revoke(n: u8) -> Command {
    Command::RevokeKey(RevokeKey { key: key_id(n) })
}

/// What a request is answered whose object this command made or changed.
pub fn about(worker: u8, created: bool) -> Reply {
    Reply::Object {
        object: ObjectRef::Worker(worker_id(worker)),
        created,
        replayed: false,
    }
}

/// The fields that a refusal names, in its order.
pub fn fields(refusal: &Refusal) -> Vec<&str> {
    match refusal {
        Refusal::Invalid { violations } => violations.iter().map(|v| v.field.as_str()).collect(),
        other => panic!("{other:?} names no fields"),
    }
}

/// The status for which a refusal was given.
pub fn refused_status(refusal: &Refusal) -> &str {
    match refusal {
        Refusal::WrongStatus { status, .. } => status,
        other => panic!("{other:?} names no status"),
    }
}

impl World {
    /// A cluster with `workers` ping workers that are ONLINE.
    pub fn with_ping_workers(workers: u8) -> Self {
        let mut world = Self::default();
        for n in 1..=workers {
            world.ok(register(n));
            world.ok(ping(n));
        }
        world
    }

    pub fn pass(&mut self, span: Millis) {
        self.now += span.0;
    }

    pub fn leave(&self, n: u8) -> Command {
        Command::DisconnectWorker(DisconnectWorker {
            worker: worker_id(n),
            epoch: self.worker(n).last_epoch,
            reason: "drained".to_owned(),
        })
    }

    pub fn health(&self, n: u8, issues: Vec<HealthIssue>) -> Command {
        Command::SetHealth(SetHealth {
            worker: worker_id(n),
            epoch: self.worker(n).last_epoch,
            issues,
        })
    }

    /// Applies a command that a caller with this key asks for.
    pub fn as_caller(&mut self, key: u8, command: Command) -> Result<Reply, Refusal> {
        let envelope = Envelope {
            principal: Some(key_id(key)),
            ..Envelope::internal(command)
        };
        self.apply(TERM, envelope).result
    }

    pub fn events(&self, n: u8) -> Vec<Arc<WorkerEvent>> {
        self.state.worker_events(worker_id(n)).cloned().collect()
    }

    /// Whether a run would be placed on the worker now, as apply sees it.
    pub fn takes_new_work(&self, n: u8) -> bool {
        let mut world = self.clone();
        world.apply_test(200, definition("takes-new-work", 1));
        world.start_run(200, 200);
        world.queue_run(200);
        let place = world.place(200, Vec::new(), vec![Self::placement(n, 0, 0, 1)]);
        match world.when(place) {
            Ok(_) => true,
            Err(Refusal::Placement(PlacementFault::NotOnline { .. })) => false,
            Err(other) => panic!("{other}"),
        }
    }
}
