//! How many SIP calls this process carries: what one costs is measured on this machine, at the start (R93).

use std::time::Duration;

use reeve_media::{EngineConfig, cost_of_a_call};
use tracing::warn;

use crate::health::Allowance;

/// Where the number comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SipRule {
    /// Nowhere: only the capacity for all endpoints holds.
    #[default]
    Unlimited,
    /// From what a call costs.
    Measured,
    /// From somebody who knows.
    Given(u32),
}

/// What a call in its own time costs beside one that is played as fast as it goes: waking for it, and packets that come from another
/// processor. 1.45 to 1.6 where it was tried, with 300 to 2,000 calls.
const IN_TIME: f64 = 1.5;
/// What the process does for a call beside its packets: signalling now and then, a row a second, evidence.
const BESIDE: f64 = 1.25;
/// Of a processor, or of the allowance: the rest is for bursts. Beyond it packets are late.
const USABLE: f64 = 0.9;
/// What waking once a millisecond takes of a processor, however few calls there are.
const AWAKE: f64 = 0.05;

/// What a call takes with its trace, its sockets left aside: about 75 KiB where it was tried, and some for the process.
const MEMORY_BYTES: u64 = 100 * 1_024;

/// SIP endpoints at once, with what they follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SipCapacity {
    /// Most at once, other bounds left aside.
    pub endpoints: u32,
    /// CPU time of a second of a call; `None`: it was not measured, the number was given.
    pub cost: Option<Duration>,
}

impl SipRule {
    /// Takes about 0.1 s of CPU if it is to be measured. `None`: not limited, or it could not be measured.
    pub(crate) fn derive(self, allowance: Allowance) -> Option<SipCapacity> {
        match self {
            Self::Unlimited => None,
            Self::Given(endpoints) => Some(SipCapacity {
                endpoints,
                cost: None,
            }),
            Self::Measured => match cost_of_a_call(&EngineConfig::default()) {
                Ok(cost) => Some(carried(cost, allowance)),
                Err(error) => {
                    warn!(
                        "what a SIP call costs here could not be measured, so only the capacity for all endpoints limits them; give \
                         --sip-capacity: {error}"
                    );
                    None
                }
            },
        }
    }
}

/// Media has one thread, so one processor at most; everything together has the allowance, of memory too.
fn carried(rehearsed: Duration, allowance: Allowance) -> SipCapacity {
    let media = rehearsed.as_secs_f64() * IN_TIME;
    let usable = |cores: f64| (USABLE * cores - AWAKE).max(0.0);
    let by_thread = usable(1.0) / media;
    let by_allowance = usable(allowance.cores) / (media * BESIDE);
    let by_memory = u32::try_from(allowance.memory_bytes / MEMORY_BYTES).unwrap_or(u32::MAX);
    SipCapacity {
        // Saturating by definition of `as`.
        endpoints: (by_thread.min(by_allowance).floor() as u32).min(by_memory).max(1),
        cost: Some(Duration::from_secs_f64(media)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(cores: f64) -> Allowance {
        Allowance {
            cores,
            memory_bytes: 1 << 30,
        }
    }

    // Covers: R93
    #[test]
    fn one_processor_is_what_media_can_use_and_less_of_it_is_shared_with_the_rest() {
        let cost = Duration::from_micros(200);
        let endpoints = |cores| carried(cost, on(cores)).endpoints;
        assert_eq!(endpoints(8.0), 2_833);
        assert_eq!(endpoints(2.0), 2_833);
        assert_eq!(endpoints(1.0), 2_266);
        assert_eq!(endpoints(0.1), 106);
        assert_eq!(endpoints(0.000_01), 1);
        let small = Allowance {
            cores: 8.0,
            memory_bytes: 100 << 20,
        };
        assert_eq!(carried(cost, small).endpoints, 1_024, "memory is a bound too");
    }

    #[test]
    fn a_given_number_is_not_measured() {
        let given = SipRule::Given(7).derive(on(1.0));
        assert_eq!(given.map(|sip| (sip.endpoints, sip.cost)), Some((7, None)));
        assert_eq!(SipRule::Unlimited.derive(on(1.0)), None);
    }

    #[test]
    fn a_measured_number_is_of_this_machine() {
        let measured = SipRule::Measured.derive(on(1.0));
        assert!(
            measured.is_some_and(|sip| sip.endpoints > 10 && sip.cost.is_some()),
            "{measured:?}"
        );
    }
}
