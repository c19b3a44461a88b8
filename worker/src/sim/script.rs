//! The scripted walk of one endpoint: which phase it enters when, and how it ends. A pure function of the definition
//! and the endpoint's draw.

use std::time::Duration;

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase, SimExecutor};

use super::draw::Draw;

/// From hanging up to CLOSED.
pub const TEARDOWN_MS: u64 = 100;
const MILLION: u32 = 1_000_000;
const LONGEST_SETUP_MS: u64 = 24 * 3600 * 1000;

/// A checked definition.
#[derive(Clone, Debug, PartialEq)]
pub struct SimSpec {
    setup_min_ms: u64,
    setup_max_ms: u64,
    duration_ms: u64,
    /// Upper ends of the shares, in parts per million, rising to a million.
    outcomes: Vec<(u32, Outcome)>,
}

/// Enters `phase` at `at_ms` after the endpoint's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the endpoint's start.
    pub at_ms: u64,
    /// The phase.
    pub phase: Phase,
    /// Unspecified but for CLOSED.
    pub outcome: Outcome,
}

/// The steps of one endpoint, in order of time; the last is CLOSED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    steps: [Step; 8],
    len: usize,
}

impl SimSpec {
    /// Checks a definition; the error names field and rule.
    pub fn new(definition: &SimExecutor, duration: Duration) -> Result<Self, String> {
        let setup_min_ms = setup_ms("sim.setup_min", definition.setup_min.as_ref())?;
        let setup_max_ms = setup_ms("sim.setup_max", definition.setup_max.as_ref())?;
        if setup_min_ms > setup_max_ms {
            return Err("sim.setup_min: must not exceed setup_max".to_owned());
        }
        let mut upper = 0u32;
        let mut outcomes = Vec::new();
        for share in &definition.outcomes {
            let outcome = Outcome::try_from(share.outcome)
                .ok()
                .filter(|outcome| *outcome != Outcome::Unspecified);
            let outcome =
                outcome.ok_or("sim.outcomes: every share needs an outcome that this worker knows")?;
            upper = upper.saturating_add(share.share_ppm);
            outcomes.push((upper, outcome));
        }
        if outcomes.is_empty() {
            outcomes.push((MILLION, Outcome::Success));
        } else if upper != MILLION {
            return Err(format!(
                "sim.outcomes: the shares must sum to {MILLION} ppm, they sum to {upper}"
            ));
        }
        let duration_ms = u64::try_from(duration.as_millis()).map_err(|_| "duration_ms: too long")?;
        Ok(Self {
            setup_min_ms,
            setup_max_ms,
            duration_ms,
            outcomes,
        })
    }

    /// The walk of one endpoint.
    #[must_use]
    pub fn script(&self, mut draw: Draw) -> Script {
        let ppm = draw.below(u64::from(MILLION));
        let outcome = self.outcomes.iter().find(|(upper, _)| ppm < u64::from(*upper));
        let outcome = outcome.map_or(Outcome::Success, |(_, outcome)| *outcome);
        let setup_ms = self.setup_min_ms + draw.below(self.setup_max_ms - self.setup_min_ms + 1);
        let hang_up_ms = setup_ms + self.duration_ms;
        let fifth = |n: u64| setup_ms * n / 5;
        let whole = [
            (0, Phase::Initializing),
            (fifth(1), Phase::Registered),
            (fifth(2), Phase::Calling),
            (fifth(3), Phase::Ringing),
            (fifth(4), Phase::Negotiating),
            (setup_ms, Phase::Incall),
            (hang_up_ms, Phase::Disconnecting),
        ];
        // When it closes; the steps of the whole walk that come before `kept` are made, the others skipped.
        let (closed_ms, kept) = match outcome {
            Outcome::RegistrationFailed => (fifth(1), 1),
            Outcome::CallFailed if draw.below(2) == 0 => (fifth(3), 3),
            Outcome::CallFailed => (fifth(4), 4),
            Outcome::NegotiationFailed => (setup_ms, 5),
            Outcome::Timeout => (fifth(2) + self.setup_max_ms, 3),
            Outcome::Oserror => {
                let at_ms = draw.below(hang_up_ms + 1);
                (
                    at_ms,
                    whole.iter().take_while(|(step_ms, _)| *step_ms <= at_ms).count(),
                )
            }
            Outcome::Unspecified
            | Outcome::Success
            | Outcome::CompletedWithWarnings
            | Outcome::TeardownError => (hang_up_ms + TEARDOWN_MS, whole.len()),
        };
        let mut steps = [Step {
            at_ms: closed_ms,
            phase: Phase::Closed,
            outcome,
        }; 8];
        for (step, (at_ms, phase)) in steps.iter_mut().zip(whole).take(kept) {
            *step = Step {
                at_ms,
                phase,
                outcome: Outcome::Unspecified,
            };
        }
        Script { steps, len: kept + 1 }
    }
}

impl Script {
    /// Step `n`, counted from 0; None after CLOSED.
    #[must_use]
    pub fn step(&self, n: usize) -> Option<Step> {
        self.steps.get(n).copied().filter(|_| n < self.len)
    }
}

fn setup_ms(field: &str, value: Option<&prost_types::Duration>) -> Result<u64, String> {
    let Some(value) = value else { return Ok(0) };
    let time = Duration::try_from(*value).map_err(|_| format!("{field}: must not be negative"))?;
    let time = u64::try_from(time.as_millis())
        .ok()
        .filter(|ms| *ms <= LONGEST_SETUP_MS);
    time.ok_or_else(|| format!("{field}: must be at most 24 h"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use reeve_proto::v1::OutcomeShare;

    use super::super::draw::seed;
    use super::*;

    fn definition(min_ms: i64, max_ms: i64, shares: &[(Outcome, u32)]) -> SimExecutor {
        let time = |ms: i64| prost_types::Duration {
            seconds: ms / 1000,
            nanos: (ms % 1000) as i32 * 1_000_000,
        };
        let share = |(outcome, share_ppm): &(Outcome, u32)| OutcomeShare {
            outcome: (*outcome).into(),
            share_ppm: *share_ppm,
        };
        SimExecutor {
            setup_min: Some(time(min_ms)),
            setup_max: Some(time(max_ms)),
            outcomes: shares.iter().map(share).collect(),
            quality: None,
        }
    }

    fn scripts(shares: &[(Outcome, u32)]) -> Vec<Vec<Step>> {
        let spec = SimSpec::new(&definition(200, 800, shares), Duration::from_secs(20)).unwrap();
        let seed = seed("run", "callers");
        let steps = |index| {
            let script = spec.script(Draw::new(seed, index));
            (0..).map_while(|n| script.step(n)).collect()
        };
        (0..10_000).map(steps).collect()
    }

    fn phases(steps: &[Step]) -> Vec<Phase> {
        steps.iter().map(|step| step.phase).collect()
    }

    // Covers: R142
    #[test]
    fn a_successful_endpoint_walks_through_all_phases_with_its_drawn_setup_time() {
        let mut setups = Vec::new();
        for steps in scripts(&[]) {
            assert_eq!(
                phases(&steps),
                [
                    Phase::Initializing,
                    Phase::Registered,
                    Phase::Calling,
                    Phase::Ringing,
                    Phase::Negotiating,
                    Phase::Incall,
                    Phase::Disconnecting,
                    Phase::Closed
                ]
            );
            let setup = steps[5].at_ms;
            assert_eq!(steps[0].at_ms, 0);
            assert_eq!(steps[6].at_ms, setup + 20_000);
            assert_eq!(steps[7].at_ms, setup + 20_000 + TEARDOWN_MS);
            assert_eq!(steps[7].outcome, Outcome::Success);
            setups.push(setup);
        }
        assert_eq!(
            (setups.iter().min(), setups.iter().max()),
            (Some(&200), Some(&800))
        );
        let mean = setups.iter().sum::<u64>() / setups.len() as u64;
        assert!((490..510).contains(&mean), "{mean}");
    }

    // Covers: R163, R164, R165
    #[test]
    fn each_failure_closes_where_it_happens() {
        let last = |outcome| {
            let mut ends = BTreeMap::new();
            for steps in scripts(&[(outcome, MILLION)]) {
                assert!(steps.is_sorted_by_key(|step| step.at_ms), "{steps:?}");
                assert!(
                    steps.is_sorted_by(|a, b| a.phase < b.phase),
                    "forward only: {steps:?}"
                );
                assert!(
                    steps
                        .iter()
                        .all(|step| (step.phase == Phase::Closed) == (step.outcome == outcome))
                );
                *ends.entry(steps[steps.len() - 2].phase).or_insert(0) += 1;
            }
            ends.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(last(Outcome::RegistrationFailed), [Phase::Initializing]);
        assert_eq!(last(Outcome::CallFailed), [Phase::Calling, Phase::Ringing]);
        assert_eq!(last(Outcome::NegotiationFailed), [Phase::Negotiating]);
        assert_eq!(last(Outcome::Timeout), [Phase::Calling]);
        assert_eq!(last(Outcome::TeardownError), [Phase::Disconnecting]);
        assert_eq!(last(Outcome::CompletedWithWarnings), [Phase::Disconnecting]);
        assert!(last(Outcome::Oserror).len() > 3, "anywhere");
    }

    #[test]
    fn a_time_out_stays_in_calling_for_the_longest_setup_time() {
        for steps in scripts(&[(Outcome::Timeout, MILLION)]) {
            assert_eq!(steps[3].at_ms - steps[2].at_ms, 800);
        }
    }

    #[test]
    fn outcomes_come_in_their_shares() {
        let all = scripts(&[
            (Outcome::Success, 900_000),
            (Outcome::CallFailed, 70_000),
            (Outcome::Oserror, 30_000),
        ]);
        let count = |outcome| {
            all.iter()
                .filter(|steps| steps[steps.len() - 1].outcome == outcome)
                .count()
        };
        assert!((8_850..9_150).contains(&count(Outcome::Success)));
        assert!((600..800).contains(&count(Outcome::CallFailed)));
        assert!((240..360).contains(&count(Outcome::Oserror)));
    }

    #[test]
    fn a_bad_definition_is_refused_with_field_and_rule() {
        let refused = |definition| SimSpec::new(&definition, Duration::ZERO).unwrap_err();
        assert_eq!(
            refused(definition(800, 200, &[])),
            "sim.setup_min: must not exceed setup_max"
        );
        assert_eq!(
            refused(definition(-1, 200, &[])),
            "sim.setup_min: must not be negative"
        );
        assert!(refused(definition(0, i64::from(i32::MAX) * 1000, &[])).starts_with("sim.setup_max: "));
        let short = refused(definition(0, 0, &[(Outcome::Success, 999_999)]));
        assert_eq!(
            short,
            "sim.outcomes: the shares must sum to 1000000 ppm, they sum to 999999"
        );
        assert!(refused(definition(0, 0, &[(Outcome::Unspecified, MILLION)])).starts_with("sim.outcomes: "));
    }
}
