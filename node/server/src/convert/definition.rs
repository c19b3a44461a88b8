//! A test definition from the wire and back. Defaults are applied here, limits are the state's.

use std::collections::BTreeSet;

use reeve_proto::v1;
use reeve_state::command::FieldViolation;
use reeve_state::definition::{DEFAULT_QUEUE_TIMEOUT, MAX_GROUPS, default_max_execution, validate};
use reeve_state::record::{
    Executor, Group, OnWorkerLoss, OutcomeShare, Selector, SimExecutor, SimQuality, Span, TestDefinition,
};
use reeve_state::time::Millis;

use super::{enums, sip, time};
use crate::error::ApiError;

/// Decodes a definition, fills in its defaults, and checks it.
///
/// # Errors
/// Every field that breaks a rule, whether of syntax or of meaning (D9).
pub fn decode(wire: Option<&v1::TestDefinition>) -> Result<TestDefinition, ApiError> {
    let Some(wire) = wire else {
        return Err(ApiError::invalid("definition", "is required"));
    };
    let mut decoder = Decoder {
        violations: Vec::new(),
    };
    let definition = decoder.definition(wire);
    let mut violations = decoder.violations;
    let known: BTreeSet<String> = violations
        .iter()
        .map(|violation| violation.field.clone())
        .collect();
    // A field that could not be decoded has a stand-in, whose rules say nothing.
    let semantic = validate(&definition);
    violations.extend(
        semantic
            .into_iter()
            .filter(|violation| !known.contains(&violation.field)),
    );
    if violations.is_empty() {
        Ok(definition)
    } else {
        Err(ApiError::Invalid(violations))
    }
}

pub(super) struct Decoder {
    violations: Vec<FieldViolation>,
}

impl Decoder {
    pub(super) fn violation(&mut self, field: impl Into<String>, rule: impl Into<String>) {
        self.violations.push(FieldViolation {
            field: field.into(),
            rule: rule.into(),
        });
    }

    fn definition(&mut self, wire: &v1::TestDefinition) -> TestDefinition {
        let duration = self.span("duration", wire.duration.as_ref()).unwrap_or_else(|| {
            if wire.duration.is_none() {
                self.violation("duration", "is required");
            }
            Millis::from_secs(1)
        });
        let buildup = self.span("buildup", wire.buildup.as_ref()).unwrap_or_default();
        let queue_timeout = self
            .span("queue_timeout", wire.queue_timeout.as_ref())
            .unwrap_or(DEFAULT_QUEUE_TIMEOUT);
        let max_execution = self.span("max_execution", wire.max_execution.as_ref());
        let found = wire.groups.len();
        if found > MAX_GROUPS {
            // Nothing is said of each of them.
            self.violation("groups", format!("at most {MAX_GROUPS} groups, found {found}"));
        }
        let groups = wire
            .groups
            .iter()
            .filter(|_| found <= MAX_GROUPS)
            .enumerate()
            .map(|(index, group)| self.group(index, group))
            .collect();
        let mut definition = TestDefinition {
            name: wire.name.clone(),
            duration,
            buildup,
            queue_timeout,
            max_execution: Millis(0),
            groups,
            on_worker_loss: self.on_worker_loss(wire.on_worker_loss.as_ref()),
        };
        definition.max_execution = max_execution.unwrap_or_else(|| default_max_execution(&definition));
        definition
    }

    fn group(&mut self, index: usize, wire: &v1::Group) -> Group {
        let path = format!("groups[{index}]");
        let callee = wire.callee.as_ref();
        let uri = callee
            .map(|callee| callee.uri.as_str())
            .filter(|uri| !uri.is_empty());
        let executor = match &wire.executor {
            Some(v1::group::Executor::Sim(sim)) => {
                if uri.is_some() {
                    let rule = "endpoints of sim call a group: only those of sip can call a URI";
                    self.violation(format!("{path}.callee.uri"), rule);
                }
                Executor::Sim(self.sim(&path, sim))
            }
            Some(v1::group::Executor::Sip(sip)) => Executor::Sip(sip::decode(self, &path, sip, uri)),
            None => {
                self.violation(format!("{path}.executor"), "is required: sim or sip");
                Executor::Sim(SimExecutor {
                    setup_min: Millis(0),
                    setup_max: Millis(0),
                    outcomes: Vec::new(),
                    quality: None,
                })
            }
        };
        Group {
            name: wire.name.clone(),
            endpoints: wire.endpoints,
            selector: self.selector(&path, wire.selector.as_ref()),
            executor,
            // One that names neither is one that names a group wrongly.
            callee: callee
                .filter(|callee| uri.is_none() || !callee.group.is_empty())
                .map(|callee| callee.group.clone()),
        }
    }

    fn on_worker_loss(&mut self, wire: Option<&v1::OnWorkerLoss>) -> OnWorkerLoss {
        let Some(wire) = wire else {
            return OnWorkerLoss::default();
        };
        match v1::on_worker_loss::Policy::try_from(wire.policy) {
            Ok(v1::on_worker_loss::Policy::Unspecified | v1::on_worker_loss::Policy::Continue) => {
                OnWorkerLoss::Continue
            }
            Ok(v1::on_worker_loss::Policy::Fail) => OnWorkerLoss::Fail,
            Ok(v1::on_worker_loss::Policy::FailAbove) => OnWorkerLoss::FailAbove {
                share_ppm: wire.above_ppm,
            },
            Err(_) => {
                self.violation(
                    "on_worker_loss.policy",
                    format!("{} is not a Policy", wire.policy),
                );
                OnWorkerLoss::Continue
            }
        }
    }

    fn selector(&mut self, path: &str, wire: Option<&v1::Selector>) -> Selector {
        let Some(wire) = wire else {
            return Selector::default();
        };
        let worker = (!wire.worker_id.is_empty()).then(|| wire.worker_id.parse());
        if let Some(Err(error)) = &worker {
            self.violation(format!("{path}.worker"), format!("{error}"));
        }
        Selector {
            region: (!wire.region.is_empty()).then(|| wire.region.clone()),
            worker: worker.and_then(Result::ok),
            labels: wire.labels.clone(),
        }
    }

    fn sim(&mut self, path: &str, wire: &v1::SimExecutor) -> SimExecutor {
        let min = self.span(&format!("{path}.sim.setup"), wire.setup_min.as_ref());
        let max = self.span(&format!("{path}.sim.setup"), wire.setup_max.as_ref());
        let outcomes = wire
            .outcomes
            .iter()
            .enumerate()
            .filter_map(|(index, share)| {
                let outcome = enums::outcome_from(share.outcome);
                if outcome.is_none() {
                    let field = format!("{path}.sim.outcomes[{index}].outcome");
                    self.violation(field, format!("{} is not an EndpointOutcome", share.outcome));
                }
                Some(OutcomeShare {
                    outcome: outcome?,
                    share_ppm: share.share_ppm,
                })
            })
            .collect();
        // One of the two alone is both.
        SimExecutor {
            setup_min: min.or(max).unwrap_or_default(),
            setup_max: max.or(min).unwrap_or_default(),
            outcomes,
            quality: wire.quality.as_ref().map(quality),
        }
    }

    /// `None` if it is unset, or wrong and reported.
    pub(super) fn span(&mut self, field: &str, wire: Option<&prost_types::Duration>) -> Option<Millis> {
        let wire = wire?;
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(wire.seconds), u64::try_from(wire.nanos)) else {
            self.violation(field, "must not be negative");
            return None;
        };
        if nanos % 1_000_000 != 0 || nanos >= 1_000_000_000 {
            self.violation(field, "must be a whole number of milliseconds");
            return None;
        }
        Some(Millis(
            seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000),
        ))
    }
}

/// To the wire.
pub fn encode(definition: &TestDefinition) -> v1::TestDefinition {
    v1::TestDefinition {
        name: definition.name.clone(),
        duration: Some(time::duration(definition.duration)),
        buildup: Some(time::duration(definition.buildup)),
        queue_timeout: Some(time::duration(definition.queue_timeout)),
        max_execution: Some(time::duration(definition.max_execution)),
        groups: definition.groups.iter().map(encode_group).collect(),
        on_worker_loss: encode_loss(definition.on_worker_loss),
    }
}

/// The default is left out.
fn encode_loss(policy: OnWorkerLoss) -> Option<v1::OnWorkerLoss> {
    let (policy, above_ppm) = match policy {
        OnWorkerLoss::Continue => return None,
        OnWorkerLoss::Fail => (v1::on_worker_loss::Policy::Fail, 0),
        OnWorkerLoss::FailAbove { share_ppm } => (v1::on_worker_loss::Policy::FailAbove, share_ppm),
    };
    Some(v1::OnWorkerLoss {
        policy: policy.into(),
        above_ppm,
    })
}

fn encode_group(group: &Group) -> v1::Group {
    let (executor, uri) = match &group.executor {
        Executor::Sim(sim) => (v1::group::Executor::Sim(encode_sim(sim)), None),
        Executor::Sip(sip) => (v1::group::Executor::Sip(sip::encode(sip)), sip.uri.clone()),
    };
    let callee = v1::Callee {
        group: group.callee.clone().unwrap_or_default(),
        uri: uri.unwrap_or_default(),
    };
    v1::Group {
        name: group.name.clone(),
        endpoints: group.endpoints,
        callee: (callee != v1::Callee::default()).then_some(callee),
        selector: encode_selector(&group.selector),
        executor: Some(executor),
    }
}

fn encode_sim(sim: &SimExecutor) -> v1::SimExecutor {
    v1::SimExecutor {
        setup_min: Some(time::duration(sim.setup_min)),
        setup_max: Some(time::duration(sim.setup_max)),
        outcomes: sim
            .outcomes
            .iter()
            .map(|share| v1::OutcomeShare {
                outcome: enums::outcome(share.outcome).into(),
                share_ppm: share.share_ppm,
            })
            .collect(),
        quality: sim.quality.as_ref().map(encode_quality),
    }
}

/// What each figure may be is checked with the definition.
fn quality(wire: &v1::SimQuality) -> SimQuality {
    let span = |wire: &Option<v1::MilliRange>| {
        wire.as_ref().map(|range| Span {
            min_milli: range.min_milli,
            max_milli: range.max_milli,
        })
    };
    SimQuality {
        mos: span(&wire.mos),
        jitter_ms: span(&wire.jitter_ms),
        rtt_ms: span(&wire.rtt_ms),
        fraction_lost: span(&wire.fraction_lost),
    }
}

/// To the wire.
pub fn encode_quality(quality: &SimQuality) -> v1::SimQuality {
    let range = |span: Option<Span>| {
        span.map(|span| v1::MilliRange {
            min_milli: span.min_milli,
            max_milli: span.max_milli,
        })
    };
    v1::SimQuality {
        mos: range(quality.mos),
        jitter_ms: range(quality.jitter_ms),
        rtt_ms: range(quality.rtt_ms),
        fraction_lost: range(quality.fraction_lost),
    }
}

/// To the wire; unset if it points nowhere in particular.
pub(super) fn encode_selector(selector: &Selector) -> Option<v1::Selector> {
    let wire = v1::Selector {
        region: selector.region.clone().unwrap_or_default(),
        worker_id: selector.worker.map(|id| id.to_string()).unwrap_or_default(),
        labels: selector.labels.clone(),
    };
    (*selector != Selector::default()).then_some(wire)
}
