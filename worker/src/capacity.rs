//! How many endpoints this process takes (R93): what its processors and its memory allow, and no more than it was told.

mod sip;

use crate::error::ConfigError;
use crate::health::Allowance;

pub use sip::{SipCapacity, SipRule};

/// Most endpoints that a worker may claim to hold.
const MOST_CAPACITY: u32 = 10_000_000;

/// How the capacity follows from CPU and memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityRules {
    /// An upper bound that somebody chose; None: none.
    pub configured: Option<u32>,
    /// Endpoints for each processor of the allowance.
    pub endpoints_per_core: u32,
    /// Memory of the allowance for each endpoint.
    pub memory_per_endpoint_bytes: u64,
    /// How many of them may be of SIP.
    pub sip: SipRule,
}

impl CapacityRules {
    /// A simulated endpoint changes its phase a few times in its life and costs next to nothing between: two processors hold
    /// 100,000 at once, which a test shows.
    pub const ENDPOINTS_PER_CORE: u32 = 50_000;
    /// A simulated endpoint takes 64 bytes at most, so this is no measure of it: it leaves room for the process itself, for what
    /// runs beside it in the same container, and for the reports that wait while the cluster is away. So memory does not run
    /// out by endpoints alone (R107), and a worker with 2 GiB for each core is bound by CPU.
    pub const MEMORY_PER_ENDPOINT_BYTES: u64 = 16 * 1_024;

    /// Checks every rule; the error names the field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let bounded = |field, value: u32| {
            if (1..=MOST_CAPACITY).contains(&value) {
                return Ok(());
            }
            let rule = format!("must be between 1 and {MOST_CAPACITY} endpoints, is {value}");
            Err(ConfigError::field(field, rule))
        };
        if let Some(configured) = self.configured {
            bounded("capacity", configured)?;
        }
        bounded("endpoints_per_core", self.endpoints_per_core)?;
        if let SipRule::Given(endpoints) = self.sip {
            bounded("sip_capacity", endpoints)?;
        }
        if self.memory_per_endpoint_bytes == 0 {
            return Err(ConfigError::field(
                "memory_per_endpoint",
                "must be at least 1 byte",
            ));
        }
        Ok(())
    }

    /// The smallest of the bounds, and at least one endpoint. Measures what a SIP call costs, if it is to; that takes about 0.1 s of CPU.
    pub fn derive(&self, allowance: Allowance) -> Capacity {
        // Saturating by definition of `as`.
        let by_cpu = (allowance.cores * f64::from(self.endpoints_per_core)).floor() as u32;
        let by_memory = allowance.memory_bytes / self.memory_per_endpoint_bytes.max(1);
        let by_memory = u32::try_from(by_memory).unwrap_or(u32::MAX);
        let (mut endpoints, mut bound) = (by_cpu, Bound::Cpu);
        if by_memory < endpoints {
            (endpoints, bound) = (by_memory, Bound::Memory);
        }
        if let Some(configured) = self.configured.filter(|configured| *configured <= endpoints) {
            (endpoints, bound) = (configured, Bound::Configured);
        }
        Capacity {
            endpoints: endpoints.clamp(1, MOST_CAPACITY),
            bound,
            by_cpu,
            by_memory,
            sip: self.sip.derive(allowance),
            rules: self.clone(),
            allowance,
        }
    }
}

impl Default for CapacityRules {
    fn default() -> Self {
        Self {
            configured: None,
            endpoints_per_core: Self::ENDPOINTS_PER_CORE,
            memory_per_endpoint_bytes: Self::MEMORY_PER_ENDPOINT_BYTES,
            sip: SipRule::default(),
        }
    }
}

/// Which bound is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `--capacity`.
    Configured,
    /// Processors.
    Cpu,
    /// Memory.
    Memory,
}

impl Bound {
    /// As the status page shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Configured => "CONFIGURED",
            Self::Cpu => "CPU",
            Self::Memory => "MEMORY",
        }
    }
}

/// The capacity of one process, with what it follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Most endpoints at once.
    pub endpoints: u32,
    /// Which bound decided.
    pub bound: Bound,
    /// What the processors would allow.
    pub by_cpu: u32,
    /// What the memory would allow.
    pub by_memory: u32,
    /// What it carries of SIP endpoints, if that is limited.
    pub sip: Option<SipCapacity>,
    rules: CapacityRules,
    allowance: Allowance,
}

impl Capacity {
    /// What was configured, if anything.
    pub fn configured(&self) -> Option<u32> {
        self.rules.configured
    }

    /// Of the endpoints at most so many of SIP; `None`: any.
    pub fn sip_endpoints(&self) -> Option<u32> {
        self.sip.map(|sip| sip.endpoints.min(self.endpoints))
    }

    /// One line for the log: what decided, and what else there was.
    pub fn explanation(&self) -> String {
        let configured = match self.rules.configured {
            Some(configured) => format!("{configured} configured"),
            None => "none configured".to_owned(),
        };
        let sip = match (self.sip_endpoints(), self.sip.and_then(|sip| sip.cost)) {
            (None, _) => String::new(),
            (Some(sip), None) => format!("; {sip} of them may be of SIP, as given"),
            (Some(sip), Some(cost)) => {
                let micros = cost.as_micros();
                format!(
                    "; {sip} of them may be of SIP, {micros} us of CPU for a second of a call as measured"
                )
            }
        };
        format!(
            "capacity {} endpoints, bound by {}: {} by CPU ({:.2} cores x {} endpoints), {} by memory ({} MiB / {} bytes), {configured}{sip}",
            self.endpoints,
            self.bound.name(),
            self.by_cpu,
            self.allowance.cores,
            self.rules.endpoints_per_core,
            self.by_memory,
            self.allowance.memory_bytes / (1_024 * 1_024),
            self.rules.memory_per_endpoint_bytes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1_024 * 1_024;

    // Covers: R93, R112
    #[test]
    fn the_smallest_bound_wins_and_is_named() {
        let table = [
            (None, 2.0, 24_000 * MIB, 100_000, Bound::Cpu),
            (None, 0.5, 24_000 * MIB, 25_000, Bound::Cpu),
            (None, 2.0, 256 * MIB, 16_384, Bound::Memory),
            (Some(1_000), 2.0, 256 * MIB, 1_000, Bound::Configured),
            (Some(50_000), 2.0, 256 * MIB, 16_384, Bound::Memory),
            (Some(100_000), 2.0, 24_000 * MIB, 100_000, Bound::Configured),
            (Some(200_000), 2.0, 24_000 * MIB, 100_000, Bound::Cpu),
            (None, 0.000_001, 24_000 * MIB, 1, Bound::Cpu),
        ];
        for (configured, cores, memory_bytes, endpoints, bound) in table {
            let rules = CapacityRules {
                configured,
                ..CapacityRules::default()
            };
            let capacity = rules.derive(Allowance { cores, memory_bytes });
            assert_eq!((capacity.endpoints, capacity.bound), (endpoints, bound));
        }
    }

    // Covers: R93
    #[test]
    fn one_line_says_what_decided_and_why() {
        let capacity = CapacityRules::default().derive(Allowance {
            cores: 1.5,
            memory_bytes: 512 * MIB,
        });
        assert_eq!(
            capacity.explanation(),
            "capacity 32768 endpoints, bound by MEMORY: 75000 by CPU (1.50 cores x 50000 endpoints), 32768 by memory (512 MiB / 16384 bytes), none configured"
        );
        let given = CapacityRules {
            sip: SipRule::Given(40_000),
            ..CapacityRules::default()
        };
        let line = given
            .derive(Allowance {
                cores: 1.5,
                memory_bytes: 512 * MIB,
            })
            .explanation();
        assert!(
            line.ends_with("none configured; 32768 of them may be of SIP, as given"),
            "{line}"
        );
    }
}
