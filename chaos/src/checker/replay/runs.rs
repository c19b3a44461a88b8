//! Commands on tests and runs.

use std::collections::BTreeMap;

use reeve_proto::internal as wire;

use super::world::{
    Assignment, CLOSED, Id, LOST, OFFERED, OSERROR, PHASE_CLOSED, READY, Refused, RequestId, Run, STARTED,
    STOPPING, Test, Touched, WorkerStatus, World,
};
use crate::checker::model::run::Status;

type Done = Result<(), Refused>;

/// Command 10 with mode 1 refuses a name that is taken.
const CREATE_ONLY: u32 = 1;

impl World {
    pub fn apply_test(&mut self, command: &wire::ApplyTest, by: Option<RequestId>) -> Result<Id, Refused> {
        let definition = command.definition.clone().unwrap_or_default();
        let project = project(&command.project);
        let named = self
            .tests
            .iter()
            .find(|(_, test)| test.name == definition.name && test.project == project);
        let named = named.map(|(id, _)| id.clone());
        let Some(id) = named else {
            if self.tests.contains_key(&command.id) {
                return Err(Refused::Taken);
            }
            let test = Test {
                name: definition.name.clone(),
                project,
                version: 1,
                definition,
                created_by: by,
            };
            self.tests.insert(command.id.clone(), test);
            self.touch(Touched::Test(command.id.clone()));
            return Ok(command.id.clone());
        };
        if command.mode == CREATE_ONLY {
            return Err(Refused::Taken);
        }
        let test = self.tests.get_mut(&id).ok_or(Refused::Missing)?;
        if test.definition != definition {
            test.version += 1;
            test.definition = definition;
            self.touch(Touched::Test(id.clone()));
        }
        Ok(id)
    }

    pub fn delete_test(&mut self, command: &wire::DeleteTest) -> Done {
        let test = self.tests.get(&command.test).ok_or(Refused::Missing)?.clone();
        let used = self
            .runs
            .values()
            .any(|run| run.test == command.test && !run.status().is_terminal());
        let probed = self
            .probes
            .values()
            .any(|probe| probe.definition.test == command.test);
        if used || probed {
            return Err(Refused::Status);
        }
        if let Some(request) = &test.created_by {
            self.requests.remove(request);
        }
        self.test_gone(&test.name);
        self.tests.remove(&command.test);
        self.touch(Touched::Other);
        Ok(())
    }

    pub fn start_run(&mut self, command: &wire::StartRun) -> Done {
        let test = self.tests.get(&command.test).ok_or(Refused::Missing)?;
        if self.runs.contains_key(&command.run) {
            return Err(Refused::Taken);
        }
        let run = Run {
            test: command.test.clone(),
            project: test.project.clone(),
            definition: test.definition.clone(),
            timeline: vec![Status::Pending],
            stop_requested: false,
            assignments: 0,
            ended_at: None,
            created_by: None,
            revision: super::world::Stamp::default(),
        };
        self.runs.insert(command.run.clone(), run);
        self.touch(Touched::Run(command.run.clone()));
        Ok(())
    }

    pub fn stop_run(&mut self, command: &wire::StopRun) -> Done {
        let run = self.runs.get(&command.run).ok_or(Refused::Missing)?;
        match run.status() {
            Status::Pending | Status::Queued => {
                self.give_back(&command.run);
                self.enter(&command.run, Status::CannotRunForNow)
            }
            Status::Running if run.stop_requested => Ok(()),
            Status::Running => {
                for (key, mut row) in self.of_run(&command.run) {
                    if row.status == STARTED {
                        row.status = STOPPING;
                        self.put_assignment(key, row);
                    }
                }
                if let Some(run) = self.runs.get_mut(&command.run) {
                    run.stop_requested = true;
                }
                self.touch(Touched::Run(command.run.clone()));
                Ok(())
            }
            Status::Completed | Status::Failed | Status::CannotRunForNow => Err(Refused::Status),
        }
    }

    pub fn queue_run(&mut self, command: &wire::QueueRun) -> Done {
        self.planned(&command.run, command.revision, &[Status::Pending])?;
        self.enter(&command.run, Status::Queued)
    }

    pub fn place_run(&mut self, command: &wire::PlaceRun) -> Done {
        self.planned(&command.run, command.revision, &[Status::Queued])?;
        let rows = self.of_run(&command.run);
        for ordinal in &command.withdraw {
            let known = rows.iter().any(|((_, of), row)| of == ordinal && !row.started);
            if !known {
                return Err(Refused::Placement);
            }
        }
        self.may_take(&command.run, &command.placements)?;
        let kept = rows
            .iter()
            .filter(|((_, ordinal), row)| row.is_current() && !command.withdraw.contains(ordinal))
            .map(|(_, row)| (row.group, row.first, row.count));
        let new = command
            .placements
            .iter()
            .map(|one| (one.group, one.first, one.count));
        self.covered(&command.run, kept.chain(new))?;
        for (key, row) in rows {
            if command.withdraw.contains(&key.1) && row.is_current() {
                self.end(key, row, LOST, OSERROR);
            }
        }
        let run = self.runs.get_mut(&command.run).ok_or(Refused::Missing)?;
        let first = run.assignments;
        run.assignments += command.placements.len() as u32;
        self.touch(Touched::Run(command.run.clone()));
        for (ordinal, one) in (first..).zip(&command.placements) {
            let row = Assignment {
                worker: one.worker.clone(),
                group: one.group,
                first: one.first,
                count: one.count,
                epoch: u64::from(ordinal) + 1,
                status: OFFERED,
                ..Assignment::default()
            };
            self.put_assignment((command.run.clone(), ordinal), row);
        }
        Ok(())
    }

    /// Workers take new work only while they are ONLINE, match, and have the capacity.
    fn may_take(&self, run: &Id, placements: &[wire::Placement]) -> Done {
        let mut asked: BTreeMap<&Id, u32> = BTreeMap::new();
        for one in placements {
            *asked.entry(&one.worker).or_default() += one.count;
        }
        for (id, asked) in asked {
            let worker = self.workers.get(id).ok_or(Refused::Placement)?;
            match worker.status() {
                WorkerStatus::Online => {}
                WorkerStatus::Draining => return Err(Refused::Draining),
                WorkerStatus::Offline | WorkerStatus::Troubled | WorkerStatus::Deleted => {
                    return Err(Refused::NotOnline);
                }
            }
            if asked > worker.capacity().saturating_sub(self.reserved(id)) {
                return Err(Refused::Capacity);
            }
        }
        let groups = &self.runs.get(run).ok_or(Refused::Missing)?.definition.groups;
        for one in placements {
            let group = groups.get(one.group as usize).ok_or(Refused::Placement)?;
            let worker = self.workers.get(&one.worker).ok_or(Refused::Placement)?;
            let selector = group.selector.clone().unwrap_or_default();
            let matches = selector.worker.is_none_or(|id| id == one.worker)
                && selector.region.is_none_or(|region| region == worker.region)
                && selector
                    .labels
                    .iter()
                    .all(|(name, value)| worker.labels.get(name) == Some(value));
            if !matches {
                return Err(Refused::Placement);
            }
        }
        Ok(())
    }

    /// Every endpoint of every group is in exactly one range.
    fn covered(&self, run: &Id, ranges: impl Iterator<Item = (u32, u32, u32)>) -> Done {
        let mut ranges: Vec<(u32, u32, u32)> = ranges.collect();
        ranges.sort_unstable();
        let groups = &self.runs.get(run).ok_or(Refused::Missing)?.definition.groups;
        let mut at = ranges.into_iter().peekable();
        for (number, group) in (0u32..).zip(groups) {
            let mut next = 0;
            while let Some((_, first, count)) = at.next_if(|(of, _, _)| *of == number) {
                if first != next || count == 0 {
                    return Err(Refused::Placement);
                }
                next += count;
            }
            if next != group.endpoints {
                return Err(Refused::Placement);
            }
        }
        if at.next().is_some() {
            return Err(Refused::Placement);
        }
        Ok(())
    }

    pub fn begin_run(&mut self, command: &wire::BeginRun) -> Done {
        self.planned(&command.run, command.revision, &[Status::Queued])?;
        let mut current = self.of_run(&command.run);
        current.retain(|(_, row)| row.is_current());
        let ranges = current.iter().map(|(_, row)| (row.group, row.first, row.count));
        self.covered(&command.run, ranges)?;
        if current.iter().any(|(_, row)| row.status != READY) {
            return Err(Refused::NotYet);
        }
        for (key, mut row) in current {
            row.status = STARTED;
            row.started = true;
            row.endpoints = vec![(1, 0); row.count as usize];
            self.put_assignment(key, row);
        }
        self.enter(&command.run, Status::Running)
    }

    pub fn complete_run(&mut self, command: &wire::CompleteRun) -> Done {
        self.planned(&command.run, command.revision, &[Status::Running])?;
        let mut started = self.of_run(&command.run);
        started.retain(|(_, row)| row.started);
        let stopped = self.runs.get(&command.run).is_some_and(|run| run.stop_requested);
        let all_lost = started.iter().all(|(_, row)| row.lost);
        if started.iter().any(|(_, row)| !row.all_closed()) || (!stopped && all_lost) {
            return Err(Refused::NotYet);
        }
        self.enter(&command.run, Status::Completed)
    }

    pub fn fail_run(&mut self, command: &wire::FailRun) -> Done {
        self.planned(&command.run, command.revision, &[Status::Running])?;
        let outcome = u8::try_from(command.outcome).unwrap_or(OSERROR);
        for (key, row) in self.of_run(&command.run) {
            if row.is_current() {
                self.end(key, row, LOST, outcome);
            }
        }
        self.enter(&command.run, Status::Failed)
    }

    pub fn reject_run(&mut self, command: &wire::RejectRun) -> Done {
        let before = [Status::Pending, Status::Queued];
        self.planned(&command.run, command.revision, &before)?;
        self.give_back(&command.run);
        self.enter(&command.run, Status::CannotRunForNow)
    }

    pub fn abandon(&mut self, command: &wire::AbandonAssignments) -> Done {
        self.planned(&command.run, command.revision, &[Status::Running])?;
        for (key, row) in self.of_run(&command.run) {
            if row.is_current() && command.ordinals.contains(&key.1) {
                self.given_up.insert((key.0.clone(), row.epoch));
                self.end(key, row, LOST, OSERROR);
            }
        }
        Ok(())
    }

    pub fn report(&mut self, command: &wire::Report) -> Done {
        use wire::report::Event;
        let of_epoch = self.of_run(&command.run).into_iter();
        let found = of_epoch.into_iter().find(|(_, row)| row.epoch == command.epoch);
        let Some((key, mut row)) = found else {
            return Err(Refused::Report);
        };
        let event = command.event.as_ref().ok_or(Refused::Report)?;
        if row.worker != command.worker {
            return Err(Refused::Report);
        }
        let closes = matches!(event, Event::Closed(_));
        match row.status {
            CLOSED if command.seq > row.acked => return Err(Refused::Report),
            LOST if !closes => return Err(Refused::Report),
            LOST => {
                row.acked = command.seq.max(row.acked);
                row.status = CLOSED;
                self.put_assignment(key, row);
                return Ok(());
            }
            _ => {}
        }
        if command.seq <= row.acked {
            return Ok(());
        }
        if command.seq != row.acked + 1 {
            return Err(Refused::Report);
        }
        row.acked = command.seq;
        match event {
            Event::Ready(_) if row.status == OFFERED => {
                row.status = READY;
                self.put_assignment(key, row);
            }
            Event::NotReady(_) if !row.started => self.end(key, row, CLOSED, OSERROR),
            Event::Ready(_) | Event::NotReady(_) => return Err(Refused::Report),
            Event::Progress(progress) => {
                if !matches!(row.status, STARTED | STOPPING)
                    || progress.offsets.iter().any(|offset| *offset >= row.count)
                {
                    return Err(Refused::Report);
                }
                let told = progress.phases.iter().zip(&progress.outcomes);
                for (offset, (phase, outcome)) in progress.offsets.iter().zip(told) {
                    row.observe(*offset as usize, *phase, *outcome);
                }
                self.put_assignment(key, row);
            }
            // How late is shown with the assignment; nothing that is modelled depends on it.
            Event::StartedLateMs(_) if matches!(row.status, STARTED | STOPPING) => {
                self.put_assignment(key, row);
            }
            Event::StartedLateMs(_) => return Err(Refused::Report),
            Event::Closed(_) => self.end(key, row, CLOSED, OSERROR),
        }
        Ok(())
    }

    /// An epoch is over: what is still open ends here.
    pub fn end(&mut self, key: (Id, u32), mut row: Assignment, status: u32, outcome: u8) {
        if row.started && !row.all_closed() {
            for offset in 0..row.endpoints.len() {
                row.observe(offset, PHASE_CLOSED, outcome);
            }
            row.lost = true;
        }
        row.status = status;
        self.put_assignment(key, row);
    }

    fn give_back(&mut self, run: &Id) {
        for (key, row) in self.of_run(run) {
            if row.is_current() {
                self.end(key, row, LOST, OSERROR);
            }
        }
    }

    fn planned(&mut self, id: &Id, revision: u64, allowed: &[Status]) -> Done {
        let run = self.runs.get(id).ok_or(Refused::Missing)?;
        if !allowed.contains(&run.status()) {
            return Err(Refused::Status);
        }
        let row = run.revision;
        if !row.may_be(revision) {
            return Err(Refused::Stale);
        }
        self.learn(row, revision);
        Ok(())
    }

    fn enter(&mut self, id: &Id, to: Status) -> Done {
        let now = self.now;
        let run = self.runs.get_mut(id).ok_or(Refused::Missing)?;
        if !run.status().edge_to(to) {
            return Err(Refused::Status);
        }
        run.timeline.push(to);
        if to.is_terminal() {
            run.ended_at = Some(now);
        }
        self.touch(Touched::Run(id.clone()));
        Ok(())
    }
}

/// No name is the default's.
pub fn project(name: &str) -> String {
    if name.is_empty() { "default" } else { name }.to_owned()
}
