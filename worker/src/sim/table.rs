//! All scripted endpoints of the process, whatever assignment they belong to, on one timer wheel. No I/O and no clock:
//! the caller says what time it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};

use super::draw::{Draw, seed};
use super::script::{Script, SimSpec, TEARDOWN_MS};
use crate::clock::MonoMs;
use crate::executor::{AssignmentKey, EndpointChange, Event, Samples, Work};
use crate::wheel::Wheel;

/// One tick of the wheel.
pub const TICK_MS: i64 = 10;
/// Quality is said once in this time.
const SECOND_MS: i64 = 1_000;

/// One endpoint. Its script is drawn again at each step rather than kept.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Index of its assignment.
    assignment: u32,
    offset: u32,
    /// The next step of the script.
    step: u8,
    phase: Phase8,
    /// Set once it was told to hang up: then it ends so, whatever the script says.
    ending: Option<Outcome8>,
}

/// A phase in one byte.
type Phase8 = u8;
/// An outcome in one byte.
type Outcome8 = u8;

#[derive(Debug)]
struct Assignment {
    work: Arc<Work>,
    spec: SimSpec,
    seed: u64,
    start: MonoMs,
    /// When this process was told to start.
    told: MonoMs,
    /// Row of each endpoint by offset; empty until the start.
    rows: Vec<u32>,
}

impl Assignment {
    fn script(&self, offset: u32) -> Script {
        self.spec
            .script(Draw::new(self.seed, self.work.first_endpoint + offset))
    }

    fn begins(&self, offset: u32) -> MonoMs {
        self.work
            .ramp
            .begins(self.start, self.told, self.work.first_endpoint + offset)
    }
}

/// The table.
#[derive(Debug)]
pub struct Table {
    next_sample: MonoMs,
    wheel: Wheel,
    rows: Vec<Row>,
    free: Vec<u32>,
    assignments: Vec<Option<Assignment>>,
    by_key: BTreeMap<AssignmentKey, u32>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            next_sample: MonoMs(i64::MIN),
            wheel: Wheel::default(),
            rows: Vec::new(),
            free: Vec::new(),
            assignments: Vec::new(),
            by_key: BTreeMap::new(),
        }
    }
}

/// Bytes that one endpoint costs here: its row, its place in the wheel, and the two lists of row numbers.
pub const BYTES_PER_ENDPOINT: usize = size_of::<Row>() + Wheel::BYTES_PER_ID + 2 * size_of::<u32>();

impl Table {
    /// Takes an assignment in; nothing moves before its start.
    pub fn prepare(&mut self, work: &Arc<Work>, spec: SimSpec) {
        let seed = seed(&work.key.run_id, &work.group);
        let unset = MonoMs(0);
        let prepared = Assignment {
            work: Arc::clone(work),
            spec,
            seed,
            start: unset,
            told: unset,
            rows: Vec::new(),
        };
        let vacant = self.assignments.iter().position(Option::is_none);
        let index = vacant.unwrap_or(self.assignments.len());
        if vacant.is_none() {
            self.assignments.push(None);
        }
        self.assignments[index] = Some(prepared);
        self.by_key.insert(work.key.clone(), row_number(index));
    }

    /// Puts all endpoints of an assignment on the wheel.
    pub fn start(&mut self, key: &AssignmentKey, start: MonoMs, now: MonoMs) {
        let Some(index) = self.by_key.get(key).copied() else {
            return;
        };
        let Some(assignment) = self.assignments[index as usize].as_mut() else {
            return;
        };
        if !assignment.rows.is_empty() {
            return;
        }
        self.wheel.advance_idle(tick(now));
        assignment.start = start;
        assignment.told = now;
        assignment.rows.reserve_exact(assignment.work.endpoints as usize);
        for offset in 0..assignment.work.endpoints {
            let row = Row {
                assignment: index,
                offset,
                step: 0,
                phase: 0,
                ending: None,
            };
            let id = self.free.pop().unwrap_or_else(|| row_number(self.rows.len()));
            if (id as usize) < self.rows.len() {
                self.rows[id as usize] = row;
            } else {
                self.rows.push(row);
            }
            assignment.rows.push(id);
            self.wheel.insert(id, tick(assignment.begins(offset)));
        }
    }

    /// Hangs up every endpoint of an assignment, see [`crate::Executor::hang_up`].
    pub fn hang_up(&mut self, key: &AssignmentKey, outcome: Option<Outcome>, now: MonoMs) -> Option<Event> {
        let index = self.by_key.get(key).copied()?;
        let assignment = self.assignments[index as usize].as_ref()?;
        let before_call = outcome.unwrap_or(Outcome::CompletedWithWarnings);
        if assignment.rows.is_empty() {
            let closed = |offset| EndpointChange {
                offset,
                phase: Phase::Closed,
                outcome: before_call,
            };
            return Some(Event::Changed(
                key.clone(),
                now,
                (0..assignment.work.endpoints).map(closed).collect(),
            ));
        }
        let mut changes = Vec::new();
        for id in &assignment.rows {
            let row = &mut self.rows[*id as usize];
            if row.phase >= Phase::Disconnecting as u8 {
                continue;
            }
            if row.phase == Phase::Incall as u8 {
                row.phase = Phase::Disconnecting as u8;
                row.ending = Some(outcome.unwrap_or(Outcome::Success) as u8);
                self.wheel.insert(*id, tick(MonoMs(now.0 + TEARDOWN_MS as i64)));
                changes.push(change(row.offset, Phase::Disconnecting, Outcome::Unspecified));
            } else {
                row.phase = Phase::Closed as u8;
                self.wheel.cancel(*id);
                changes.push(change(row.offset, Phase::Closed, before_call));
            }
        }
        Some(Event::Changed(key.clone(), now, changes))
    }

    /// Forgets an assignment and frees its rows.
    pub fn release(&mut self, key: &AssignmentKey) {
        let Some(index) = self.by_key.remove(key) else {
            return;
        };
        let Some(assignment) = self.assignments[index as usize].take() else {
            return;
        };
        for id in assignment.rows {
            self.wheel.cancel(id);
            self.free.push(id);
        }
    }

    /// Lets time pass and gives what happened, one event per assignment.
    pub fn advance(&mut self, now: MonoMs) -> Vec<Event> {
        let mut fired = Vec::new();
        self.wheel.advance(tick_passed(now), &mut fired);
        let mut changes: BTreeMap<u32, Vec<EndpointChange>> = BTreeMap::new();
        for id in fired {
            let assignment = self.rows[id as usize].assignment;
            self.step(id, now, changes.entry(assignment).or_default());
        }
        let event = |(index, changes): (u32, Vec<EndpointChange>)| {
            let assignment = self.assignments[index as usize].as_ref()?;
            Some(Event::Changed(assignment.work.key.clone(), now, changes))
        };
        changes.into_iter().filter_map(event).collect()
    }

    /// Once a second, what the calls sound like, where that is scripted (D14a).
    pub fn sample(&mut self, now: MonoMs) -> Vec<Event> {
        if now < self.next_sample {
            return Vec::new();
        }
        self.next_sample = MonoMs((now.0.div_euclid(SECOND_MS) + 1) * SECOND_MS);
        let scripted = |assignment: &&Assignment| !assignment.spec.quality.is_empty();
        let assignments = self.assignments.iter().flatten().filter(scripted);
        let samples = assignments.map(|assignment| (assignment, self.samples_of(assignment, now)));
        samples
            .filter(|(_, samples)| !samples.is_empty())
            .map(|(assignment, samples)| Event::Sampled(assignment.work.key.clone(), samples))
            .collect()
    }

    fn samples_of(&self, assignment: &Assignment, now: MonoMs) -> Samples {
        let since = now.0.saturating_sub(assignment.start.0).max(0).unsigned_abs();
        let mut samples = Samples {
            at: now,
            metrics: assignment.spec.quality.iter().map(|(name, ..)| *name).collect(),
            offsets: Vec::new(),
            values: Vec::new(),
            responses: Vec::new(),
        };
        for id in &assignment.rows {
            let row = self.rows[*id as usize];
            if row.phase == Phase::Incall as u8 {
                let index = assignment.work.first_endpoint + row.offset;
                let draw = Draw::of_second(assignment.seed, index, since / SECOND_MS.unsigned_abs());
                assignment.spec.figures(draw, &mut samples.values);
                samples.offsets.push(row.offset);
            }
        }
        samples
    }

    /// Endpoints on the wheel. While there are none, time need not be told.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.wheel.pending()
    }

    /// Makes the steps of one endpoint that are due, and puts it back on the wheel for the next one.
    fn step(&mut self, id: u32, now: MonoMs, changes: &mut Vec<EndpointChange>) {
        let row = &mut self.rows[id as usize];
        let Some(assignment) = self.assignments[row.assignment as usize].as_ref() else {
            return;
        };
        if let Some(ending) = row.ending {
            row.phase = Phase::Closed as u8;
            let outcome = Outcome::try_from(i32::from(ending)).unwrap_or(Outcome::Success);
            changes.push(change(row.offset, Phase::Closed, outcome));
            return;
        }
        let script = assignment.script(row.offset);
        let begins = assignment.begins(row.offset);
        while let Some(step) = script.step(usize::from(row.step)) {
            let due = MonoMs(begins.0.saturating_add_unsigned(step.at_ms));
            if tick(due) > tick_passed(now) {
                self.wheel.insert(id, tick(due));
                return;
            }
            row.step += 1;
            row.phase = step.phase as u8;
            changes.push(change(row.offset, step.phase, step.outcome));
        }
    }
}

fn change(offset: u32, phase: Phase, outcome: Outcome) -> EndpointChange {
    EndpointChange {
        offset,
        phase,
        outcome,
    }
}

/// The tick at which an instant has come: rounded up, so that nothing happens early.
fn tick(at: MonoMs) -> u64 {
    u64::try_from(at.0.saturating_add(TICK_MS - 1) / TICK_MS).unwrap_or(0)
}

/// The last tick that has passed.
fn tick_passed(at: MonoMs) -> u64 {
    u64::try_from(at.0 / TICK_MS).unwrap_or(0)
}

/// Rows are limited by the worker's capacity, a `u32`.
fn row_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::time::Duration;

    use reeve_proto::v1::offer::Executor as Spec;
    use reeve_proto::v1::{OutcomeShare, SimExecutor};

    use super::*;
    use crate::ramp::Ramp;

    fn work(run: &str, endpoints: u32, definition: SimExecutor) -> Arc<Work> {
        Arc::new(Work {
            key: AssignmentKey::new(run, 1),
            group: "callers".to_owned(),
            first_endpoint: 0,
            endpoints,
            ramp: Ramp {
                buildup: Duration::from_secs(5),
                group_endpoints: endpoints,
            },
            duration: Duration::from_secs(20),
            spec: Spec::Sim(definition),
        })
    }

    fn definition(ms: i32) -> SimExecutor {
        let time = prost_types::Duration {
            seconds: 0,
            nanos: ms * 1_000_000,
        };
        SimExecutor {
            setup_min: Some(time),
            setup_max: Some(time),
            outcomes: Vec::new(),
            quality: None,
        }
    }

    fn started(table: &mut Table, work: &Arc<Work>, start: MonoMs, now: MonoMs) {
        let Spec::Sim(definition) = &work.spec else {
            panic!("not a sim")
        };
        table.prepare(work, SimSpec::new(definition, work.duration).unwrap());
        table.start(&work.key, start, now);
    }

    fn changes(events: Vec<Event>) -> Vec<EndpointChange> {
        let of = |event| match event {
            Event::Changed(_, _, changes) => changes,
            Event::Prepared(..) | Event::Sampled(..) | Event::Traced(..) => panic!("not here"),
        };
        events.into_iter().flat_map(of).collect()
    }

    // Covers: R139, R142, R145
    #[test]
    fn endpoints_start_on_the_ramp_and_close_after_their_call() {
        let mut table = Table::default();
        let work = work("r", 5, definition(500));
        started(&mut table, &work, MonoMs(1_000), MonoMs(0));
        assert!(changes(table.advance(MonoMs(999))).is_empty());
        let first = changes(table.advance(MonoMs(1_000)));
        assert_eq!(first, [change(0, Phase::Initializing, Outcome::Unspecified)]);
        let at_end_of_buildup = changes(table.advance(MonoMs(5_000)));
        assert_eq!(
            at_end_of_buildup
                .iter()
                .filter(|c| c.phase == Phase::Incall)
                .count(),
            4
        );
        assert!(at_end_of_buildup.contains(&change(4, Phase::Initializing, Outcome::Unspecified)));
        let rest = changes(table.advance(MonoMs(60_000)));
        let closed: Vec<_> = rest
            .iter()
            .filter(|c| c.phase == Phase::Closed)
            .map(|c| c.outcome)
            .collect();
        assert_eq!(closed, [Outcome::Success; 5]);
        assert_eq!(table.pending(), 0);
    }

    #[test]
    fn a_worker_that_missed_the_start_begins_at_once_and_its_calls_last_their_full_time() {
        let mut table = Table::default();
        let work = work("r", 5, definition(500));
        started(&mut table, &work, MonoMs(-100_000), MonoMs(3_000));
        let first = changes(table.advance(MonoMs(3_010)));
        assert_eq!(first.len(), 5);
        assert!(first.iter().all(|c| c.phase == Phase::Initializing));
        assert!(
            !changes(table.advance(MonoMs(23_490)))
                .iter()
                .any(|c| c.phase == Phase::Disconnecting)
        );
        assert_eq!(changes(table.advance(MonoMs(23_500))).len(), 5);
    }

    #[test]
    fn hanging_up_ends_calls_with_success_and_the_others_with_a_warning() {
        let mut table = Table::default();
        let work = work("r", 2, definition(500));
        started(&mut table, &work, MonoMs(0), MonoMs(0));
        table.advance(MonoMs(1_000));
        let event = table.hang_up(&work.key, None, MonoMs(1_000)).unwrap();
        assert_eq!(
            changes(vec![event]),
            [
                change(0, Phase::Disconnecting, Outcome::Unspecified),
                change(1, Phase::Closed, Outcome::CompletedWithWarnings)
            ]
        );
        assert!(changes(table.advance(MonoMs(1_090))).is_empty());
        let last = changes(table.advance(MonoMs(1_100)));
        assert_eq!(last, [change(0, Phase::Closed, Outcome::Success)]);
        assert!(changes(vec![table.hang_up(&work.key, None, MonoMs(1_200)).unwrap()]).is_empty());
    }

    #[test]
    fn hanging_up_with_an_outcome_gives_it_to_all_that_have_not_ended() {
        let mut table = Table::default();
        let not_started = work("r", 3, definition(500));
        let Spec::Sim(definition) = &not_started.spec else {
            panic!("not a sim")
        };
        table.prepare(
            &not_started,
            SimSpec::new(definition, not_started.duration).unwrap(),
        );
        let event = table
            .hang_up(&not_started.key, Some(Outcome::Oserror), MonoMs(0))
            .unwrap();
        let closed = changes(vec![event]);
        assert_eq!(closed.len(), 3);
        assert!(
            closed
                .iter()
                .all(|c| c.phase == Phase::Closed && c.outcome == Outcome::Oserror)
        );
    }

    #[test]
    fn a_released_assignment_is_silent_and_its_rows_are_used_again() {
        let mut table = Table::default();
        let (old, new) = (
            work("old", 100, definition(500)),
            work("new", 100, definition(500)),
        );
        started(&mut table, &old, MonoMs(0), MonoMs(0));
        table.advance(MonoMs(2_000));
        table.release(&old.key);
        assert_eq!(table.pending(), 0);
        started(&mut table, &new, MonoMs(2_000), MonoMs(2_000));
        assert_eq!(table.rows.len(), 100);
        let closed = changes(table.advance(MonoMs(60_000)));
        assert_eq!(closed.iter().filter(|c| c.phase == Phase::Closed).count(), 100);
    }

    #[test]
    fn a_share_of_an_assignment_has_the_outcomes_that_the_whole_would_have() {
        let mut mixed = definition(0);
        let share = |outcome: Outcome, share_ppm| OutcomeShare {
            outcome: outcome.into(),
            share_ppm,
        };
        mixed.outcomes = vec![
            share(Outcome::Success, 500_000),
            share(Outcome::CallFailed, 500_000),
        ];
        let outcomes = |first, count| {
            let mut part = (*work("r", 1_000, mixed.clone())).clone();
            (part.first_endpoint, part.endpoints) = (first, count);
            let mut table = Table::default();
            started(&mut table, &Arc::new(part), MonoMs(0), MonoMs(0));
            let mut closed = changes(table.advance(MonoMs(100_000)));
            closed.retain(|c| c.phase == Phase::Closed);
            closed.sort_by_key(|c| c.offset);
            closed.iter().map(|c| c.outcome).collect::<Vec<_>>()
        };
        let whole = outcomes(0, 1_000);
        assert_eq!([outcomes(0, 300), outcomes(300, 700)].concat(), whole);
    }

    // Covers: R153 (D14a)
    #[test]
    fn scripted_quality_is_said_once_a_second_of_calls_only_and_stays_within_its_range() {
        use reeve_proto::v1::{MilliRange, SimQuality};
        let mut scripted = definition(500);
        let range = |min_milli, max_milli| Some(MilliRange { min_milli, max_milli });
        scripted.quality = Some(SimQuality {
            mos: range(3_800, 4_400),
            fraction_lost: range(0, 2),
            ..SimQuality::default()
        });
        let mut table = Table::default();
        let work = work("r", 5, scripted);
        started(&mut table, &work, MonoMs(0), MonoMs(0));
        let mut values = Vec::new();
        for now in (0..30_000).step_by(10) {
            table.advance(MonoMs(now));
            for event in table.sample(MonoMs(now)) {
                let Event::Sampled(key, samples) = event else {
                    panic!("{event:?}")
                };
                assert_eq!((key, samples.at), (work.key.clone(), MonoMs(now)));
                assert_eq!(samples.metrics, ["mos", "fraction_lost"]);
                values.extend(
                    samples
                        .rows()
                        .map(|(offset, values)| (offset, values[0], values[1])),
                );
            }
        }
        let count = |offset| values.iter().filter(|(of, ..)| *of == offset).count();
        assert_eq!(
            (0..5).map(count).collect::<Vec<_>>(),
            [20; 5],
            "twenty seconds of call each"
        );
        assert!(
            values
                .iter()
                .all(|(_, mos, lost)| (3_800..=4_400).contains(mos) && (0..=2).contains(lost))
        );
        let distinct: std::collections::BTreeSet<_> = values.iter().map(|(_, mos, _)| mos).collect();
        assert!(distinct.len() > 50, "drawn anew each second");
    }

    #[test]
    fn one_worker_holds_100_000_endpoints_in_bounded_memory() {
        const ENDPOINTS: u32 = 100_000;
        const {
            assert!(
                BYTES_PER_ENDPOINT + crate::fleet::BYTES_PER_ENDPOINT + crate::evidence::BYTES_PER_ENDPOINT
                    <= 64,
                "bytes per endpoint"
            )
        };
        let mut table = Table::default();
        let works = ["r1", "r2", "r3", "r4"].map(|run| work(run, ENDPOINTS / 4, definition(500)));
        for work in &works {
            started(&mut table, work, MonoMs(0), MonoMs(0));
        }
        assert_eq!(table.pending(), ENDPOINTS as usize);
        let (mut steps, mut closed) = (0, 0);
        for now in (0..30_000).step_by(10) {
            for change in changes(table.advance(MonoMs(now))) {
                steps += 1;
                closed += u32::from(change.phase == Phase::Closed);
            }
        }
        assert_eq!(
            (closed, steps),
            (ENDPOINTS, ENDPOINTS * 8),
            "every endpoint made every step once"
        );
        for work in &works {
            table.release(&work.key);
        }
        assert_eq!(table.rows.len(), ENDPOINTS as usize);
        assert_eq!(table.free.len(), ENDPOINTS as usize);
    }
}
