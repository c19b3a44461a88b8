//! Commands on probes, as far as they start runs and keep tests. Their health is about none of the invariants, and whether a slot is
//! one of the schedule's is believed: only a leader's planner names slots.

use reeve_proto::internal as wire;

use super::runs::project;
use super::world::{Id, Probe, Refused, Stamp, Touched, World};

type Done = Result<(), Refused>;

/// Modes of putting.
const CREATE: u32 = 1;
const UPDATE: u32 = 3;

impl World {
    pub fn put_probe(&mut self, command: &wire::PutProbe) -> Result<Id, Refused> {
        let definition = command.definition.clone().unwrap_or_default();
        let of = project(&command.project);
        let taken = self.probe_named(&of, &definition.name);
        if command.mode == UPDATE {
            let known = self.probes.get(&command.id).ok_or(Refused::Missing)?;
            let namesake = self.probe_named(&known.project, &definition.name);
            if namesake.is_some_and(|other| other != command.id) {
                return Err(Refused::Taken);
            }
            return self.update_probe(&command.id, definition);
        }
        match taken {
            Some(_) if command.mode == CREATE => Err(Refused::Taken),
            Some(id) => self.update_probe(&id, definition),
            None if self.probes.contains_key(&command.id) => Err(Refused::Taken),
            None => {
                self.usable_test(&definition.test, &of)?;
                let probe = Probe {
                    project: of,
                    definition,
                    paused: false,
                    cursor: self.now,
                    open: None,
                    revision: Stamp::default(),
                };
                self.probes.insert(command.id.clone(), probe);
                self.touch(Touched::Probe(command.id.clone()));
                Ok(command.id.clone())
            }
        }
    }

    fn update_probe(&mut self, id: &Id, definition: wire::ProbeDefinition) -> Result<Id, Refused> {
        let of = self.probes.get(id).ok_or(Refused::Missing)?.project.clone();
        self.usable_test(&definition.test, &of)?;
        let now = self.now;
        let probe = self.probes.get_mut(id).ok_or(Refused::Missing)?;
        if probe.definition != definition {
            if probe.definition.schedule != definition.schedule {
                probe.cursor = probe.cursor.max(now);
            }
            probe.definition = definition;
            self.touch(Touched::Probe(id.clone()));
        }
        Ok(id.clone())
    }

    fn usable_test(&self, test: &Id, of: &str) -> Done {
        let known = self.tests.get(test).ok_or(Refused::Missing)?;
        if known.project == of {
            Ok(())
        } else {
            Err(Refused::Missing)
        }
    }

    fn probe_named(&self, of: &str, name: &str) -> Option<Id> {
        let mut named = self
            .probes
            .iter()
            .filter(|(_, probe)| probe.project == of && probe.definition.name == name);
        named.next().map(|(id, _)| id.clone())
    }

    pub fn delete_probe(&mut self, command: &wire::DeleteProbe) -> Done {
        self.probes.remove(&command.probe).ok_or(Refused::Missing)?;
        self.touch(Touched::Other);
        Ok(())
    }

    pub fn pause_probe(&mut self, command: &wire::PauseProbe) -> Done {
        let now = self.now;
        let probe = self.probes.get_mut(&command.probe).ok_or(Refused::Missing)?;
        if probe.paused != command.paused {
            probe.paused = command.paused;
            probe.cursor = probe.cursor.max(now);
            self.touch(Touched::Probe(command.probe.clone()));
        }
        Ok(())
    }

    /// The run of a slot is created as a user's would be.
    pub fn fire_probe(&mut self, command: &wire::FireProbe) -> Done {
        let probe = self.due(&command.probe, command.slot_ms)?.clone();
        if !probe.revision.may_be(command.revision) {
            return Err(Refused::Stale);
        }
        self.learn(probe.revision, command.revision);
        if probe.open.is_some() {
            return Err(Refused::NotYet);
        }
        self.start_run(&wire::StartRun {
            run: command.run.clone(),
            test: probe.definition.test,
        })?;
        if let Some(probe) = self.probes.get_mut(&command.probe) {
            probe.cursor = command.slot_ms;
            probe.open = Some((command.slot_ms, command.run.clone()));
        }
        self.touch(Touched::Probe(command.probe.clone()));
        Ok(())
    }

    pub fn skip_slot(&mut self, command: &wire::SkipSlot) -> Done {
        self.due(&command.probe, command.slot_ms)?;
        if let Some(probe) = self.probes.get_mut(&command.probe) {
            probe.cursor = command.slot_ms;
        }
        self.touch(Touched::Probe(command.probe.clone()));
        Ok(())
    }

    pub fn evaluate_probe(&mut self, command: &wire::EvaluateProbe) -> Done {
        let probe = self.probes.get(&command.probe).ok_or(Refused::Missing)?;
        let run = match &probe.open {
            Some((slot, run)) if *slot == command.slot_ms => run,
            Some(_) | None => return Err(Refused::Status),
        };
        if self.runs.get(run).is_some_and(|run| !run.status().is_terminal()) {
            return Err(Refused::NotYet);
        }
        if let Some(probe) = self.probes.get_mut(&command.probe) {
            probe.open = None;
        }
        self.touch(Touched::Probe(command.probe.clone()));
        Ok(())
    }

    fn due(&self, id: &Id, slot: u64) -> Result<&Probe, Refused> {
        let probe = self.probes.get(id).ok_or(Refused::Missing)?;
        if probe.paused || slot <= probe.cursor || slot > self.now {
            return Err(Refused::Status);
        }
        Ok(probe)
    }
}
