//! Phases and outcomes of endpoints, one byte each, in chunks of 1,024 (R142, D13).

/// The eight phases, in order. Forward only; phases may be skipped; `Closed` is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EndpointPhase {
    /// Being set up.
    Initializing = 1,
    /// Registered.
    Registered = 2,
    /// Placing its call.
    Calling = 3,
    /// The other side rings.
    Ringing = 4,
    /// Agreeing on media.
    Negotiating = 5,
    /// In its call.
    Incall = 6,
    /// Hanging up.
    Disconnecting = 7,
    /// Done.
    Closed = 8,
}

impl EndpointPhase {
    /// All phases in order.
    pub const ALL: [Self; 8] = [
        Self::Initializing,
        Self::Registered,
        Self::Calling,
        Self::Ringing,
        Self::Negotiating,
        Self::Incall,
        Self::Disconnecting,
        Self::Closed,
    ];

    /// From its byte, which is also its number on the wire.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Initializing),
            2 => Some(Self::Registered),
            3 => Some(Self::Calling),
            4 => Some(Self::Ringing),
            5 => Some(Self::Negotiating),
            6 => Some(Self::Incall),
            7 => Some(Self::Disconnecting),
            8 => Some(Self::Closed),
            _ => None,
        }
    }

    /// Position in [`EndpointPhase::ALL`].
    pub const fn index(self) -> usize {
        self as usize - 1
    }
}

/// How an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EndpointOutcome {
    /// As planned.
    Success = 1,
    /// With issues that were not fatal.
    CompletedWithWarnings = 2,
    /// R163.
    RegistrationFailed = 3,
    /// R165.
    CallFailed = 4,
    /// R164.
    NegotiationFailed = 5,
    /// No answer in time.
    Timeout = 6,
    /// Infrastructure: the worker was lost, or could not go on (R22).
    Oserror = 7,
    /// Could not hang up in order.
    TeardownError = 8,
}

impl EndpointOutcome {
    /// All outcomes.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::CompletedWithWarnings,
        Self::RegistrationFailed,
        Self::CallFailed,
        Self::NegotiationFailed,
        Self::Timeout,
        Self::Oserror,
        Self::TeardownError,
    ];

    /// From its byte, which is also its number on the wire; 0 and unknown bytes are `None`.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Success),
            2 => Some(Self::CompletedWithWarnings),
            3 => Some(Self::RegistrationFailed),
            4 => Some(Self::CallFailed),
            5 => Some(Self::NegotiationFailed),
            6 => Some(Self::Timeout),
            7 => Some(Self::Oserror),
            8 => Some(Self::TeardownError),
            _ => None,
        }
    }

    /// A higher severity replaces a lower one, never the other way round (D13).
    pub const fn severity(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::CompletedWithWarnings => 1,
            Self::RegistrationFailed
            | Self::CallFailed
            | Self::NegotiationFailed
            | Self::Timeout
            | Self::Oserror
            | Self::TeardownError => 10,
        }
    }

    /// Position in [`EndpointOutcome::ALL`].
    pub const fn index(self) -> usize {
        self as usize - 1
    }
}

/// Phase and outcome of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointState {
    phase: EndpointPhase,
    outcome: Option<EndpointOutcome>,
}

impl EndpointState {
    /// Every endpoint begins here.
    pub const BEGIN: Self = Self {
        phase: EndpointPhase::Initializing,
        outcome: None,
    };

    /// The current phase.
    pub const fn phase(self) -> EndpointPhase {
        self.phase
    }

    /// The outcome, if it is known.
    pub const fn outcome(self) -> Option<EndpointOutcome> {
        self.outcome
    }

    /// The table: what a report makes of an endpoint. Phases only move forward, a closed endpoint does not change at all,
    /// an outcome gives way only to a higher severity, and nothing closes without an outcome (then it is OSERROR).
    #[must_use]
    pub fn observe(self, phase: EndpointPhase, outcome: Option<EndpointOutcome>) -> Self {
        if self.phase == EndpointPhase::Closed {
            return self;
        }
        let phase = self.phase.max(phase);
        let outcome = match (self.outcome, outcome) {
            (Some(kept), Some(new)) if new.severity() > kept.severity() => Some(new),
            (None, new) => new,
            (kept @ Some(_), _) => kept,
        };
        match (phase, outcome) {
            (EndpointPhase::Closed, None) => Self {
                phase,
                outcome: Some(EndpointOutcome::Oserror),
            },
            (_, outcome) => Self { phase, outcome },
        }
    }
}

/// Most endpoints in one chunk.
pub const CHUNK_ENDPOINTS: u32 = 1_024;

/// Up to [`CHUNK_ENDPOINTS`] neighbouring endpoints of an assignment: two bytes each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointChunk {
    phases: Vec<u8>,
    outcomes: Vec<u8>,
}

impl EndpointChunk {
    /// `len` endpoints in [`EndpointState::BEGIN`].
    pub fn begin(len: u32) -> Self {
        let len = len as usize;
        Self {
            phases: vec![EndpointPhase::Initializing as u8; len],
            outcomes: vec![0; len],
        }
    }

    /// A chunk read back from disk or the wire; `None` if a byte is no phase or outcome, or the lengths differ.
    pub fn restore(phases: Vec<u8>, outcomes: Vec<u8>) -> Option<Self> {
        let legal = phases.len() == outcomes.len()
            && phases.len() <= CHUNK_ENDPOINTS as usize
            && phases
                .iter()
                .all(|byte| EndpointPhase::from_byte(*byte).is_some())
            && outcomes
                .iter()
                .all(|byte| *byte == 0 || EndpointOutcome::from_byte(*byte).is_some());
        legal.then_some(Self { phases, outcomes })
    }

    /// Number of endpoints.
    pub fn len(&self) -> usize {
        self.phases.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty()
    }

    /// The phases' bytes.
    pub fn phases(&self) -> &[u8] {
        &self.phases
    }

    /// The outcomes' bytes; 0 is “not known yet”.
    pub fn outcomes(&self) -> &[u8] {
        &self.outcomes
    }

    /// The endpoint at `offset` within the chunk.
    pub fn get(&self, offset: usize) -> Option<EndpointState> {
        let phase = EndpointPhase::from_byte(*self.phases.get(offset)?)?;
        Some(EndpointState {
            phase,
            outcome: EndpointOutcome::from_byte(*self.outcomes.get(offset)?),
        })
    }

    /// Applies a report to one endpoint; the state before and after, or `None` if there is no such endpoint.
    pub(crate) fn observe(
        &mut self,
        offset: usize,
        phase: EndpointPhase,
        outcome: Option<EndpointOutcome>,
    ) -> Option<(EndpointState, EndpointState)> {
        let before = self.get(offset)?;
        let after = before.observe(phase, outcome);
        self.phases[offset] = after.phase as u8;
        self.outcomes[offset] = after.outcome.map_or(0, |outcome| outcome as u8);
        Some((before, after))
    }
}
