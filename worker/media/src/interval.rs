//! What is told of a call: one row a second, and the totals at its end.

use std::time::{Duration, SystemTime};

use crate::session::SessionId;

/// Told by the engine's thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A second of a call is over.
    Interval(SessionId, Interval),
    /// A call has ended: by [`crate::Session::end`], because its session was dropped, or with the engine. Nothing follows.
    Ended(SessionId, Totals),
}

/// One second of a call. The last one may be shorter: it has counts, and no quality figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// 0 for the first, without gaps.
    pub seq: u32,
    /// When it ended.
    pub at: SystemTime,
    /// When it ended, since the call began.
    pub since_begin: Duration,
    /// One second, but for the last.
    pub duration: Duration,
    /// Packets that were due.
    pub tx_due: u32,
    /// Packets that were handed to the kernel.
    pub tx_sent: u32,
    /// Packets that were not sent because their time was over.
    pub tx_skipped: u32,
    /// Packets that the kernel refused. `tx_due` is the sum of the three.
    pub tx_refused: u32,
    /// How late the latest visit to this call was, µs, whether or not it sent.
    pub tx_late_max_us: u64,
    /// Bytes of RTP that were sent, headers included.
    pub tx_bytes: u64,
    /// Different packets of the stream that came. Not those counted as `dup` or `foreign`.
    pub rx: u32,
    /// Bytes of RTP that came, headers included.
    pub rx_bytes: u64,
    /// Packets whose fate was settled: a packet counts as lost once eight later ones could have come (160 ms).
    pub expected: u32,
    /// Those of them that had not come. Negative: some came after they had been settled as lost.
    pub lost: i64,
    /// Packets that came again.
    pub dup: u32,
    /// Packets that came after a later one.
    pub ooo: u32,
    /// Packets that came too late for the simulated playout buffer.
    pub discarded: u32,
    /// Packets from another source than the latched one, and what is not RTP of this call at all.
    pub foreign: u32,
    /// Interarrival jitter by RFC 3550 at the end of the interval, µs.
    pub jitter_us: Option<u32>,
    /// Mean of the round trips measured in the interval, µs. A negative one counts as 0 and is flagged in [`Totals`].
    pub rtt_us: Option<u32>,
    /// Jitter in the peer's last report of the interval, µs.
    pub remote_jitter_us: Option<u32>,
    /// By how much the peer's count of our lost packets grew.
    pub remote_lost: Option<i64>,
    /// Packets that the peer says it has sent since its call began.
    pub peer_sent: Option<u32>,
    /// Transmission rating of the reduced E-model.
    pub r: Option<f64>,
    /// Mean opinion score from `r`, 1.0 to 4.5. `None` if fewer than ten packets were expected; so also in a second in which none came: what
    /// was lost in it shows when the next one comes, and `rx` says 0.
    pub mos: Option<f64>,
    /// Every packet that was due was sent, none of them too late. Otherwise there are no quality figures.
    pub valid: bool,
    /// Packets were expected during the whole interval: the call was not on hold and the peer had not said BYE.
    pub expecting: bool,
}

/// Of all valid intervals that have a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many.
    pub count: u32,
}

impl Summary {
    /// With one figure more.
    #[must_use]
    pub fn and(before: Option<Self>, value: f64) -> Self {
        let Some(before) = before else {
            return Self {
                mean: value,
                min: value,
                max: value,
                count: 1,
            };
        };
        let count = before.count + 1;
        Self {
            mean: before.mean + (value - before.mean) / f64::from(count),
            min: before.min.min(value),
            max: before.max.max(value),
            count,
        }
    }
}

/// A whole call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// From begin to end. Zero for a call that never began.
    pub duration: Duration,
    /// Intervals that were told.
    pub intervals: u32,
    /// Those of them that are invalid.
    pub invalid_intervals: u32,
    /// Packets that were due.
    pub tx_due: u64,
    /// Packets that were handed to the kernel.
    pub tx_sent: u64,
    /// Packets that were not sent because their time was over.
    pub tx_skipped: u64,
    /// Packets that the kernel refused.
    pub tx_refused: u64,
    /// The latest visit, µs.
    pub tx_late_max_us: u64,
    /// Bytes of RTP that were sent, headers included.
    pub tx_bytes: u64,
    /// Different packets that came.
    pub rx: u64,
    /// Bytes of RTP that came, headers included.
    pub rx_bytes: u64,
    /// Packets between the first and the last that came, by their sequence numbers.
    pub expected: u64,
    /// Those of them that did not come.
    pub lost: i64,
    /// Packets that came again.
    pub dup: u64,
    /// Packets that came after a later one.
    pub ooo: u64,
    /// Packets that came too late for the simulated playout buffer.
    pub discarded: u64,
    /// Packets from another source, and what is not RTP of this call.
    pub foreign: u64,
    /// Round trips, µs.
    pub rtt_us: Option<Summary>,
    /// Jitter, µs.
    pub jitter_us: Option<Summary>,
    /// Mean opinion scores.
    pub mos: Option<Summary>,
    /// There was a full, valid second in which packets were expected and none came.
    pub one_way: bool,
    /// Whether the peer ever sent a sender or receiver report.
    pub rtcp_seen: bool,
    /// A round trip was negative, because of a coarse clock of the peer.
    pub rtt_negative: bool,
    /// The peer said BYE by RTCP.
    pub peer_bye: bool,
    /// Packets that the peer has sent by its last sender report.
    pub peer_sent: Option<u32>,
    /// Packets that the peer says it has sent and that no sequence number showed: lost before the first or after the last that came.
    /// At the peer's last report; packets under way make it a few too high for a moment.
    pub unseen: Option<u32>,
    /// What the peer's last report says of our lost packets.
    pub remote_lost: Option<i64>,
    /// Digits that were sent to the end.
    pub dtmf_sent: u32,
    /// Digits that were asked for and could not be sent: no payload type, too many waiting, or the call ended.
    pub dtmf_refused: u32,
    /// Digits that came.
    pub dtmf_received: u32,
    /// The last error of the operating system when sending, an errno.
    pub send_error: Option<i32>,
    /// The E-model's robustness against loss that the scores were worked out with (Bpl).
    pub bpl: f64,
    /// The simulated playout buffer that `discarded` was worked out with.
    pub jitter_buffer: Duration,
}
