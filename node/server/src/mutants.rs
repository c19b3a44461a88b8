//! Which known bug this node has, and what some of them need ([`reeve_state::mutant`]). Without the feature `mutants` there is none.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::Duration;

use futures::future::try_join_all;
use parking_lot::Mutex;
use reeve_plan::Planned;
use reeve_state::State;
use reeve_state::command::{Applied, ConnectWorker, Envelope, Report, ReportEvent};
use reeve_state::id::{KeyHash, TokenHash, WorkerId};
use reeve_state::mutant::{self, Mutant};
use reeve_state::record::{Access, ApiKey};
use reeve_store::{Lane, ProposeError, Store};

/// Names the mutant that this node is to be.
const VARIABLE: &str = "REEVE_MUTANT";
/// Between two attempts to hand a plan on, and how long each may take.
const PAUSE: Duration = Duration::from_millis(50);
const ATTEMPT: Duration = Duration::from_secs(2);

/// Becomes the mutant that the environment names. Whoever names one must not get a node that has no such bug.
pub(crate) fn choose() -> Result<(), String> {
    let Some(mutant) = asked(std::env::var_os(VARIABLE).as_deref())? else {
        return Ok(());
    };
    let name = mutant.name();
    mutant::choose(mutant).map_err(|why| format!("{VARIABLE}={name}: this node cannot be it: {why}"))?;
    tracing::error!(
        mutant = name,
        "THIS NODE HAS A KNOWN BUG, PUT IN ON PURPOSE FOR TESTS: IT LOSES DATA OR LIES. NEVER USE IT FOR ANYTHING ELSE"
    );
    Ok(())
}

fn asked(name: Option<&OsStr>) -> Result<Option<Mutant>, String> {
    let Some(name) = name else { return Ok(None) };
    let name = name.to_string_lossy();
    let unknown = || {
        let known = Mutant::ALL.map(Mutant::name).join(", ");
        format!("{VARIABLE}={name}: there is no such mutant; there are {known}")
    };
    Mutant::named(&name).map(Some).ok_or_else(unknown)
}

/// How plans go to the log if not as they should: `None`, they go as they should. Of `no-fence` and `offline-local-clock`.
///
/// They go to whoever leads, until they are through; nothing ends that but the process.
pub(crate) async fn hand_on(
    store: &Store,
    term: u64,
    planner: &str,
    plans: &[Planned],
) -> Option<Result<Vec<Applied>, ProposeError>> {
    let fence = if mutant::is(Mutant::NoFence) {
        Some(term)
    } else if mutant::is(Mutant::OfflineLocalClock) && planner == "liveness" {
        None
    } else {
        return None;
    };
    let through = plans.iter().map(|plan| {
        let envelope = Envelope {
            fence_term: fence,
            ..Envelope::internal(plan.command.clone())
        };
        until_through(store.clone(), envelope)
    });
    let through = tokio::spawn(try_join_all(through.collect::<Vec<_>>()));
    Some(through.await.unwrap_or(Err(ProposeError::OutcomeUnknown)))
}

async fn until_through(store: Store, envelope: Envelope) -> Result<Applied, ProposeError> {
    loop {
        let deadline = tokio::time::Instant::now() + ATTEMPT;
        match store.propose(envelope.clone(), Lane::Reconciler, deadline).await {
            Ok(applied) => return Ok(applied),
            Err(ProposeError::Fatal(fault)) => return Err(ProposeError::Fatal(fault)),
            Err(
                ProposeError::NotLeader
                | ProposeError::OutcomeUnknown
                | ProposeError::Unavailable { .. }
                | ProposeError::LaneFull { .. },
            ) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Whom this node has let in. Of `token-cache`: it never forgets anybody.
static KEYS: Mutex<BTreeMap<KeyHash, ApiKey>> = Mutex::new(BTreeMap::new());
static TOKENS: Mutex<BTreeMap<TokenHash, WorkerId>> = Mutex::new(BTreeMap::new());

/// A key that was let in once, if its role allows this.
pub(crate) fn key_let_in(hash: KeyHash, access: Access) -> Option<ApiKey> {
    let known = mutant::is(Mutant::TokenCache).then(|| KEYS.lock().get(&hash).cloned())?;
    known.filter(|key| key.role.allows(access))
}

/// A key is let in.
pub(crate) fn let_key_in(hash: KeyHash, key: &ApiKey) {
    if mutant::is(Mutant::TokenCache) {
        KEYS.lock().insert(hash, key.clone());
    }
}

/// A token that was let in once stands for its worker, whatever that one's token is by now.
pub(crate) fn token_let_in(state: &State, connect: &mut ConnectWorker) {
    if mutant::is(Mutant::TokenCache)
        && let Some(worker) = TOKENS.lock().get(&connect.token_hash)
        && let Some(current) = state.worker(*worker).and_then(|worker| worker.token_hash)
    {
        connect.token_hash = current;
    }
}

/// A worker is let in with this token.
pub(crate) fn let_token_in(token: TokenHash, worker: WorkerId) {
    if mutant::is(Mutant::TokenCache) {
        TOKENS.lock().insert(token, worker);
    }
}

/// How long a report may take to get through. Of `lost-outcome`: shorter than an election.
pub(crate) fn report_timeout(usual: Duration) -> Duration {
    if mutant::is(Mutant::LostOutcome) {
        Duration::from_millis(150)
    } else {
        usual
    }
}

/// What goes to the log in the place of a report that did not get through at once. Of `lost-outcome`: the same number, and nothing in it.
pub(crate) fn left_of(report: &Report) -> Option<Report> {
    let lost = mutant::is(Mutant::LostOutcome) && matches!(report.event, ReportEvent::Progress(_));
    lost.then(|| Report {
        event: ReportEvent::Progress(Vec::new()),
        ..report.clone()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_the_mutant_that_is_named_or_does_not_start() {
        assert_eq!(asked(None), Ok(None));
        assert_eq!(asked(Some(OsStr::new("no-fence"))), Ok(Some(Mutant::NoFence)));
        for wrong in ["", "fence", "NO-FENCE", "no-fence "] {
            let error = asked(Some(OsStr::new(wrong))).unwrap_err();
            assert!(
                error.starts_with(&format!("REEVE_MUTANT={wrong}: there is no such mutant")),
                "{error}"
            );
        }
    }

    #[cfg(feature = "mutants")]
    #[test]
    fn the_mutant_lost_outcome_repeats_a_report_without_what_it_said() {
        use reeve_state::command::EndpointReport;
        use reeve_state::id::{AssignmentEpoch, RunId};
        use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};

        let closed = EndpointReport {
            offset: 0,
            phase: EndpointPhase::Closed,
            outcome: Some(EndpointOutcome::Success),
        };
        let report = |event| Report {
            worker: WorkerId::from_bytes([1; 16]),
            run: RunId::from_bytes([2; 16]),
            epoch: AssignmentEpoch(1),
            seq: 3,
            event,
        };
        let said = report(ReportEvent::Progress(vec![closed]));
        assert_eq!(left_of(&said), None);
        mutant::choose(Mutant::LostOutcome).unwrap();
        assert_eq!(left_of(&said), Some(report(ReportEvent::Progress(Vec::new()))));
        assert_eq!(left_of(&report(ReportEvent::Closed)), None);
    }
}
