//! Commands on evidence. No run is another afterwards, but each that is applied takes a revision.

use reeve_proto::internal as wire;

use super::world::{Refused, Touched, World};
use crate::checker::model::run::Status;

type Done = Result<(), Refused>;

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
}
