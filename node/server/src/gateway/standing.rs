//! Whether a session is still the one in force.

use reeve_state::State;
use reeve_state::id::TokenHash;

use super::end::SessionEnd;
use super::hub::Handle;

/// Whether a session is in force, as far as this node's state tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// This node has not applied the connect yet.
    NotYet,
    /// It is the worker's newest.
    InForce,
    /// It ends, for this reason.
    Over(SessionEnd),
}

/// Compares a session with the worker's record.
pub(super) fn standing(state: &State, handle: &Handle, token_hash: TokenHash) -> Standing {
    let Some(worker) = state.worker(handle.worker) else {
        return Standing::NotYet;
    };
    if worker.last_epoch < handle.epoch {
        return Standing::NotYet;
    }
    if worker.facts.deleted_at.is_some() {
        return Standing::Over(SessionEnd::Deleted);
    }
    if worker.token_hash != Some(token_hash) {
        return Standing::Over(SessionEnd::TokenRejected);
    }
    if worker.facts.credential_rejected.is_some() {
        return Standing::Over(SessionEnd::TokenExpired);
    }
    match worker.session {
        Some(session) if session.epoch > handle.epoch => {
            Standing::Over(handle.replaced_by(session.incarnation))
        }
        Some(_) => Standing::InForce,
        None => Standing::Over(SessionEnd::Over),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use reeve_state::apply;
    use reeve_state::command::{Command, ConnectWorker, CreateWorker, EntryMeta, Envelope, SetLink};
    use reeve_state::id::{Incarnation, NodeId, SessionEpoch, WorkerId};
    use reeve_state::record::WorkerKind;
    use reeve_state::time::Time;
    use reeve_state::transition::worker::{Link, LivenessProfile};

    use super::*;

    const WORKER: WorkerId = WorkerId::from_bytes([1; 16]);
    const TOKEN: TokenHash = TokenHash([2; 32]);
    const PROCESS: Incarnation = Incarnation([3; 16]);

    fn commit(state: &mut State, command: Command) {
        let index = state.meta().revision.0 + 1;
        let entry = EntryMeta {
            term: 1,
            index,
            stamp: Time(index),
        };
        let step = apply(state, &entry, &Envelope::internal(command));
        step.applied.result.expect("the command is good");
    }

    fn registered() -> State {
        let mut state = State::default();
        let create = CreateWorker {
            id: WORKER,
            name: "w1".into(),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Session,
            region: "eu-west".into(),
            labels: Default::default(),
            capacity: None,
            token_hash: TOKEN,
            token_ttl: None,
        };
        commit(&mut state, Command::CreateWorker(create));
        state
    }

    fn connect(state: &mut State, incarnation: Incarnation) {
        let connect = ConnectWorker {
            token_hash: TOKEN,
            node: NodeId(1),
            incarnation,
            capacity: 10,
            sip_capacity: None,
            health: Vec::new(),
            held: Vec::new(),
            draining: None,
            version: String::new(),
            attempt: 0,
        };
        commit(state, Command::ConnectWorker(connect));
    }

    fn of(state: &State, epoch: u64) -> Standing {
        standing(state, &Handle::new(WORKER, SessionEpoch(epoch), PROCESS), TOKEN)
    }

    #[test]
    fn a_session_is_in_force_from_its_connect_until_a_newer_one() {
        let mut state = registered();
        assert_eq!(of(&state, 1), Standing::NotYet);
        connect(&mut state, PROCESS);
        assert_eq!(of(&state, 1), Standing::InForce);
        assert_eq!(of(&state, 2), Standing::NotYet, "this node lags");
        connect(&mut state, PROCESS);
        assert_eq!(of(&state, 1), Standing::Over(SessionEnd::Replaced));
        assert_eq!(of(&state, 2), Standing::InForce);
        connect(&mut state, Incarnation([9; 16]));
        assert_eq!(of(&state, 2), Standing::Over(SessionEnd::Superseded));
    }

    #[test]
    fn a_session_that_was_declared_down_is_over() {
        let mut state = registered();
        connect(&mut state, PROCESS);
        let down = SetLink {
            worker: WORKER,
            epoch: SessionEpoch(1),
            link: Link::Down,
            reason: "silent".into(),
        };
        commit(&mut state, Command::SetLink(down));
        assert_eq!(of(&state, 1), Standing::Over(SessionEnd::Over));
    }

    #[test]
    fn a_session_ends_when_its_token_is_not_the_worker_s_any_more() {
        let mut state = registered();
        connect(&mut state, PROCESS);
        let handle = Handle::new(WORKER, SessionEpoch(1), PROCESS);
        assert_eq!(
            standing(&state, &handle, TokenHash([8; 32])),
            Standing::Over(SessionEnd::TokenRejected)
        );
    }
}
