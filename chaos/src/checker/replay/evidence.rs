//! Commands on evidence. No run is another afterwards, but each that is applied takes a revision.

use reeve_proto::internal as wire;

use super::world::{CLOSED, Refused, Touched, World};
use crate::checker::model::run::Status;

type Done = Result<(), Refused>;

/// Most endpoints of a run of which late reports are kept.
const MOST_LATE: usize = 1_000;

impl World {
    /// A chunk is recorded once; the same one again changes nothing.
    pub fn record_chunk(&mut self, command: &wire::RecordChunk) -> Done {
        if !self.runs.contains_key(&command.run) {
            return Err(Refused::Missing);
        }
        let of_worker = self
            .of_run(&command.run)
            .into_iter()
            .find(|(_, row)| row.epoch == command.epoch && row.worker == command.worker);
        let (key, row) = of_worker.ok_or(Refused::Missing)?;
        if !row.started {
            return Err(Refused::NotYet);
        }
        let name = (key, command.kind, command.seq);
        match self.chunks.get(&name) {
            Some(known) if *known == command.sha256 => Ok(()),
            Some(_) => Err(Refused::Taken),
            None => {
                self.chunks.insert(name, command.sha256.clone());
                self.touch(Touched::Other);
                Ok(())
            }
        }
    }

    /// Once for each run that is over and had endpoints.
    pub fn record_summary(&mut self, command: &wire::RecordSummary) -> Done {
        let run = self.runs.get(&command.run).ok_or(Refused::Missing)?;
        if !matches!(run.status(), Status::Completed | Status::Failed) {
            return Err(Refused::Status);
        }
        if !self.summaries.insert(command.run.clone()) {
            return Err(Refused::Taken);
        }
        self.touch(Touched::Other);
        Ok(())
    }

    /// Late reports are kept as evidence: the last word of each endpoint, for as many endpoints of the run as there is room for.
    pub fn keep_late(&mut self, command: &wire::KeepLateReports) -> Done {
        let rows = self.of_run(&command.run);
        let found = rows.iter().find(|(_, row)| row.epoch == command.epoch);
        let (key, row) = found.cloned().ok_or(Refused::Report)?;
        if row.worker != command.worker || !row.lost {
            return Err(Refused::Report);
        }
        let kept: usize = rows.iter().map(|(_, row)| row.late.len()).sum();
        let mut room = MOST_LATE.saturating_sub(kept);
        let mut next = row.clone();
        let reports = command.reports.clone().unwrap_or_default();
        let said = reports.phases.iter().zip(&reports.outcomes);
        for (offset, (phase, outcome)) in reports.offsets.iter().zip(said) {
            if *offset >= row.count {
                continue;
            }
            if next.late.contains_key(offset) {
                next.late.insert(*offset, (*phase, *outcome));
            } else if room > 0 {
                next.late.insert(*offset, (*phase, *outcome));
                room -= 1;
            } else {
                next.late_left_out = next.late_left_out.saturating_add(1);
            }
        }
        if (&next.late, next.late_left_out) != (&row.late, row.late_left_out) {
            self.put_assignment(key, next);
        }
        Ok(())
    }

    /// A run is forgotten only after the time that was promised has passed since its end.
    pub fn purge_run(&mut self, command: &wire::PurgeRun) -> Done {
        let run = self.runs.get(&command.run).ok_or(Refused::Missing)?;
        let due = run
            .ended_at
            .is_some_and(|at| self.now.saturating_sub(at) >= command.retention_ms);
        if !due {
            return Err(Refused::NotYet);
        }
        if let Some(request) = run.created_by.clone() {
            self.requests.remove(&request);
        }
        for (key, mut row) in self.of_run(&command.run) {
            // What it held is free, if it held anything yet.
            row.status = CLOSED;
            self.put_assignment(key.clone(), row);
            self.assignments.remove(&key);
        }
        self.chunks.retain(|((run, _), _, _), _| *run != command.run);
        self.summaries.remove(&command.run);
        self.run_gone(&command.run);
        self.runs.remove(&command.run);
        self.touch(Touched::Other);
        Ok(())
    }
}
