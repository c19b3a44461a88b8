//! What would help a run whose SIP groups name what is not there (R120–R122).

use reeve_state::command::SipFault;
use reeve_state::record::{ChangeKind, Explanation, SuggestedChange, TestDefinition};

use super::limits::step;
use crate::placement::Unplaceable;

/// Why the run is not queued, and what would help.
pub(super) fn unavailable(fault: &SipFault, definition: &TestDefinition) -> Unplaceable {
    Unplaceable {
        code: fault.code(),
        message: fault.to_string(),
        explanation: Explanation {
            groups: Vec::new(),
            suggestion: fault.suggestion(),
            changes: changes(fault, definition),
        },
    }
}

fn changes(fault: &SipFault, definition: &TestDefinition) -> Vec<SuggestedChange> {
    match fault {
        SipFault::NoRegistrar { group, registrar, .. } => {
            let text = format!("create the registrar {registrar}, or name another in group {group}");
            vec![of_group(group, definition, text)]
        }
        SipFault::NoMedia { group, media, .. } => {
            let text = format!(
                "upload the media file {media}, or name another in group {group}, or none for a tone"
            );
            vec![of_group(group, definition, text)]
        }
        SipFault::TooFewAccounts {
            pool,
            needed,
            total,
            free,
            in_use,
            ..
        } => {
            let missing = needed.saturating_sub(*free);
            let more =
                format!("{missing} more accounts in pool {pool}, or {missing} fewer endpoints that use it");
            let more = step(1, ChangeKind::ChangeDefinition, u64::from(missing), more);
            // However many end, a pool that is too small stays too small.
            let wait = *in_use > 0 && needed <= total;
            let text = "wait until other runs that use the pool end".to_owned();
            let wait = wait.then(|| step(2, ChangeKind::Wait, u64::from(missing), text));
            [Some(more), wait].into_iter().flatten().collect()
        }
    }
}

fn of_group(name: &str, definition: &TestDefinition, text: String) -> SuggestedChange {
    let group = definition.groups.iter().find(|group| group.name == name);
    let endpoints = group.map_or(0, |group| u64::from(group.endpoints));
    SuggestedChange {
        groups: vec![name.to_owned()],
        ..step(1, ChangeKind::ChangeDefinition, endpoints, text)
    }
}
