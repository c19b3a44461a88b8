//! The planner of probes: which slots fire, which are skipped, and whose run is over (R218–R220).
//!
//! Both questions read an index of the state, soonest first, so that a pass costs what is due and not how many probes there are.

mod diagnosis;
mod late;

use reeve_state::State;
use reeve_state::command::{Command, EvaluateProbe, FireProbe, SkipSlot};
use reeve_state::id::{ProbeId, RunId};
use reeve_state::record::{OpenSlot, Probe, SkipReason};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::run::RunStatus;

use crate::Planned;
use late::{Missed, missed};

pub use diagnosis::{Pattern, diagnose};

/// Settings of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// How long after the end of a run its summary is waited for; without it only the outcomes are measured.
    pub summary_wait: Millis,
    /// A slot may fire so long after it was due at least, whatever its schedule.
    pub grace_least: Millis,
    /// And so long at most.
    pub grace_most: Millis,
    /// Most commands of one pass, so that thousands of probes that are due after an outage do not fill the log at once. At least 1; 0
    /// is taken as 1.
    pub most_per_pass: usize,
    /// When to look again after something was planned, in case it does not come through.
    pub retry: Millis,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            summary_wait: Millis::from_secs(30),
            grace_least: Millis::from_secs(60),
            grace_most: Millis::from_secs(15 * 60),
            most_per_pass: 500,
            retry: Millis::from_secs(1),
        }
    }
}

/// What is to be done about probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbePlan {
    /// To be proposed, in this order.
    pub commands: Vec<Planned>,
    /// When to look again if nothing changes; `None`: nothing will ever be due.
    pub next_wake: Option<Time>,
}

impl ProbePlan {
    fn wake(&mut self, at: Time) {
        self.next_wake = Some(self.next_wake.map_or(at, |before| before.min(at)));
    }
}

/// Plans what is due. `now` is cluster time. O(probes whose run is not settled + what is due).
///
/// A probe whose run is settled in this pass fires in the next: what is planned here is planned for the state as it is.
pub fn plan(state: &State, now: Time, config: &ProbeConfig) -> ProbePlan {
    let mut plan = ProbePlan::default();
    let most = config.most_per_pass.max(1);
    for probe in state.open_probes() {
        if plan.commands.len() >= most {
            break;
        }
        match settled_at(state, probe, config) {
            Some((at, open)) if at <= now => plan.commands.push(evaluate(state, probe, open)),
            Some((at, _)) => plan.wake(at),
            // The end of its run wakes us.
            None => {}
        }
    }
    for (due, id) in state.due_probes() {
        if now < due {
            plan.wake(due);
            break;
        }
        if plan.commands.len() >= most {
            break;
        }
        if let Some(probe) = state.probe(id) {
            plan.commands.extend(at_slot(state, probe, now, config));
        }
    }
    if !plan.commands.is_empty() {
        plan.wake(now + config.retry);
    }
    plan
}

/// When the run of a probe's open slot is to be judged: it is over, and summed up or not to be waited for any longer. `None`: it is
/// not over, or there is no open slot.
fn settled_at(state: &State, probe: &Probe, config: &ProbeConfig) -> Option<(Time, OpenSlot)> {
    let open = probe.open?;
    let Some(run) = state.run(open.run) else {
        return Some((Time(0), open));
    };
    let status = run.life.status();
    let ended = run.life.entered(status).filter(|_| status.is_terminal())?;
    let waits = match status {
        RunStatus::Completed => state.summary(run.id).is_none(),
        // These are not measured.
        RunStatus::Failed | RunStatus::CannotRunForNow => false,
        RunStatus::Pending | RunStatus::Queued | RunStatus::Running => true,
    };
    let at = if waits {
        // The next slot does not wait for a summary that does not come.
        let patience = ended + config.summary_wait;
        probe
            .next_due()
            .map_or(patience, |due| patience.min(due.max(ended)))
    } else {
        ended
    };
    Some((at, open))
}

fn evaluate(state: &State, probe: &Probe, open: OpenSlot) -> Planned {
    let command = EvaluateProbe {
        probe: probe.id,
        slot: open.slot,
    };
    let status = state.run(open.run).map(|run| run.life.status());
    let how = status.map_or_else(|| "gone".to_owned(), |status| status.to_string());
    Planned::new(
        Command::EvaluateProbe(command),
        format!("the run of probe {} is {how}", probe.definition.name),
    )
}

/// What becomes of the slots of a probe that are due. The last of them fires, unless it is too late or the run before is not over; those
/// before it were missed.
fn at_slot(state: &State, probe: &Probe, now: Time, config: &ProbeConfig) -> Vec<Planned> {
    let name = &probe.definition.name;
    let over = |open: OpenSlot| {
        state
            .run(open.run)
            .is_none_or(|run| run.life.status().is_terminal())
    };
    if probe.open.is_some_and(over) {
        // Its run is being settled in this pass.
        return Vec::new();
    }
    let late = missed(probe, now, config);
    let mut planned: Vec<Planned> = late
        .skips
        .iter()
        .map(|missed| skip_missed(probe, missed))
        .collect();
    if let Some(slot) = late.current {
        planned.push(match probe.open {
            Some(_) => {
                let reason = format!("the run before of probe {name} is not over");
                skip(probe.id, slot, SkipReason::PreviousStillRunning, 1, reason)
            }
            None if planned.is_empty() => fire(probe, slot),
            // Its revision is another one once the slots before are skipped: it fires in the next pass.
            None => return planned,
        });
    }
    planned
}

fn fire(probe: &Probe, slot: Time) -> Planned {
    let due = probe.definition.schedule.due(slot, probe.id);
    let command = FireProbe {
        probe: probe.id,
        slot,
        run: run_id(probe.id, due),
        revision: probe.revision,
    };
    Planned::new(
        Command::FireProbe(command),
        format!("probe {} is due", probe.definition.name),
    )
}

fn skip_missed(probe: &Probe, missed: &Missed) -> Planned {
    let (name, count) = (&probe.definition.name, missed.count);
    let reason = format!("nobody fired {count} slots of probe {name} in time");
    skip(probe.id, missed.slot, SkipReason::Missed, count, reason)
}

fn skip(probe: ProbeId, slot: Time, reason: SkipReason, count: u32, why: String) -> Planned {
    let command = SkipSlot {
        probe,
        slot,
        reason,
        count,
    };
    Planned::new(Command::SkipSlot(command), why)
}

/// The id of the run of a slot: the same whoever plans it and however often, so that even a plan that is repeated cannot make a second
/// run. A UUID of version 8 in the form of version 7, by time, so that it sorts among the others.
pub fn run_id(probe: ProbeId, due: Time) -> RunId {
    let time = due.0.to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&time[2..]);
    let of_probe = |seed: u64| {
        probe
            .as_bytes()
            .iter()
            .fold(mixed(seed ^ due.0), |sum, byte| mixed(sum ^ u64::from(*byte)))
    };
    bytes[6..8].copy_from_slice(&of_probe(1).to_be_bytes()[..2]);
    bytes[8..].copy_from_slice(&of_probe(2).to_be_bytes());
    bytes[6] = 0x80 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    RunId::from_bytes(bytes)
}

/// Spreads the bits of a number over all of it.
const fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
