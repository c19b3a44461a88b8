//! The thread: at each millisecond it visits the calls of that slot.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use super::EngineConfig;
use super::batch::{BATCH, Batch, errno};
use super::command::Command;
use super::ports::Ports;
use crate::call::{Call, Step};
use crate::clock::{Clock, Mono, Stamps};
use crate::health::{GeneratorHealth, Pulse};
use crate::interval::{Event, Interval};
use crate::session::SessionId;
use crate::stream::Direction;

/// Slots of 1 ms in the 20 ms between two packets of a call.
pub(super) const SLOTS: u64 = 20;
pub(super) const SLOT_NS: u64 = 1_000_000;
/// RTCP is read at each fifth visit of a call; the kernel's stamps make that exact enough.
const REPORT_VISITS: u64 = 5;
/// Batches of RTP that are read in one visit.
const BATCHES: usize = 8;
/// Two clocks that were read within this were read at one moment.
const TOGETHER: Duration = Duration::from_micros(20);
/// How often health is told.
const BEAT: Duration = Duration::from_secs(1);

/// One session, from open to close.
pub(super) struct Entry {
    pub(super) ports: Ports,
    pub(super) direction: Direction,
    pub(super) call: Option<Box<Call>>,
    /// Of its call.
    pub(super) slot: usize,
    /// Its end was told.
    pub(super) told: bool,
}

pub(super) struct Thread<F> {
    pub(super) config: EngineConfig,
    pub(super) clock: Clock,
    pub(super) inbox: Inbox<Command>,
    pub(super) tell: F,
    health: Arc<Mutex<GeneratorHealth>>,
    pub(super) entries: HashMap<SessionId, Entry>,
    /// The calls of each slot, in the order of their visits.
    pub(super) slots: [Vec<SessionId>; SLOTS as usize],
    pub(super) calls: usize,
    /// The next millisecond to do.
    pub(super) cursor: u64,
    pub(super) stamps: Stamps,
    wall: SystemTime,
    pub(super) batch: Batch,
    pub(super) pulse: Pulse,
    beat: (Mono, Duration),
}

impl<F: FnMut(Event)> Thread<F> {
    pub(super) fn new(
        config: EngineConfig,
        clock: Clock,
        inbox: Inbox<Command>,
        health: Arc<Mutex<GeneratorHealth>>,
        tell: F,
    ) -> Self {
        Self {
            config,
            clock,
            inbox,
            tell,
            health,
            entries: HashMap::new(),
            slots: std::array::from_fn(|_| Vec::new()),
            calls: 0,
            cursor: 0,
            stamps: Stamps::default(),
            wall: SystemTime::now(),
            batch: Batch::new(),
            pulse: Pulse::default(),
            beat: (Mono(0), Duration::ZERO),
        }
    }

    pub(super) fn run(mut self) {
        self.beat = (self.clock.now(), cpu_time());
        loop {
            #[cfg(any(test, feature = "testkit"))]
            self.config.brake.stop_if_pulled();
            self.look();
            let now = self.clock.now();
            self.visit_slots(now);
            self.tell_health(now);
            if !self.commands() || !self.wait() {
                break;
            }
        }
        let ids: Vec<SessionId> = self.entries.keys().copied().collect();
        for id in ids {
            self.end(id);
        }
    }

    /// Reads both clocks at one moment: if the thread was held up between them, again; if that does not help, what is known stays.
    fn look(&mut self) {
        for _ in 0..3 {
            let before = self.clock.now();
            self.wall = SystemTime::now();
            let after = self.clock.now();
            if after.since(before) < TOGETHER {
                let wall = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
                self.stamps.calibrate(before, wall.as_nanos() as i64);
                return;
            }
        }
    }

    /// All slots up to now; of a long delay, each slot once: a call makes up by itself for what it missed.
    fn visit_slots(&mut self, now: Mono) {
        let last = now.0 / SLOT_NS;
        let mut tick = self.cursor.max((last + 1).saturating_sub(SLOTS));
        while tick <= last {
            let slot = (tick % SLOTS) as usize;
            let mut ids = std::mem::take(&mut self.slots[slot]);
            for id in &ids {
                self.visit(*id);
            }
            // Nothing is added to a slot during a visit.
            std::mem::swap(&mut self.slots[slot], &mut ids);
            tick += 1;
        }
        self.cursor = self.cursor.max(tick);
    }

    /// One call: what came, what is due.
    pub(super) fn visit(&mut self, id: SessionId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let Some(call) = &mut entry.call else {
            return;
        };
        let now = self.clock.now();
        if now < call.next() {
            return;
        }
        let reports = (id.0 + call.slots()).is_multiple_of(REPORT_VISITS);
        read(&mut self.batch, &entry.ports, call, reports, &self.stamps, now);
        let (clock, tell) = (&self.clock, &mut self.tell);
        serve(
            &entry.ports,
            call,
            (now, || clock.now()),
            self.wall,
            &mut self.pulse,
            |interval| tell(Event::Interval(id, interval)),
        );
    }

    /// Until the next slot with calls, the next second's health, or a command. False: nobody is left who could send one.
    fn wait(&mut self) -> bool {
        let slots = self.cursor..self.cursor + SLOTS;
        let busy = slots
            .into_iter()
            .find(|tick| !self.slots[(tick % SLOTS) as usize].is_empty());
        let beat = self.beat.0.plus(BEAT);
        let due = busy.map_or(beat, |tick| beat.min(Mono(tick * SLOT_NS)));
        let left = due.since(self.clock.now());
        if left.is_zero() {
            return true;
        }
        match self.inbox.recv_timeout(left) {
            Ok(command) => self.command(command),
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    fn tell_health(&mut self, now: Mono) {
        let (last, cpu_before) = self.beat;
        let wall = now.since(last);
        if wall < BEAT {
            return;
        }
        let cpu = cpu_time();
        let busy = cpu.saturating_sub(cpu_before).as_secs_f64() / wall.as_secs_f64();
        self.beat = (now, cpu);
        let health = self.pulse.beat(self.calls, busy);
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// What has come for a call.
pub(super) fn read(
    batch: &mut Batch,
    ports: &Ports,
    call: &mut Call,
    reports: bool,
    stamps: &Stamps,
    now: Mono,
) {
    let v6 = ports.local.is_ipv6();
    // RTP first: a sender report counts packets that came before it.
    let full = (0..BATCHES).all(|_| {
        let count = batch.read(&ports.rtp, v6, |from, bytes, stamp| {
            call.receive(from, bytes, stamps.arrival(stamp, now));
        });
        count == BATCH
    });
    if full {
        call.backlog();
    }
    if reports {
        batch.read(&ports.rtcp, v6, |_, bytes, stamp| {
            call.receive_report(bytes, stamps.arrival(stamp, now));
        });
    }
}

/// Sends what is due for a call. `clock` is looked at after each packet.
pub(super) fn serve(
    ports: &Ports,
    call: &mut Call,
    (mut now, clock): (Mono, impl Fn() -> Mono),
    wall: SystemTime,
    pulse: &mut Pulse,
    mut tell: impl FnMut(Interval),
) {
    loop {
        match call.poll(now, wall, pulse) {
            Step::Packet(bytes, to) => {
                let result = ports.rtp.send_to(bytes, to);
                now = clock();
                call.sent(result.map(drop).map_err(|error| errno(&error)), now, pulse);
            }
            Step::Report(bytes, to) => {
                // A report that cannot be sent is missed like one that is lost.
                let _ = ports.rtcp.send_to(bytes, to);
            }
            Step::Interval(interval) => tell(interval),
            Step::Wait => break,
        }
    }
}

/// CPU time of this thread.
pub(super) fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
