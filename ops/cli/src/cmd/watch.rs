//! `--watch`: a list that is shown again whenever it changes.
//!
//! The list is read again once a second, from any node, so that filters, deletions, failovers and facts that have no
//! revision (when a worker was last heard) need no rules of their own.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use crate::args::OutputFormat;
use crate::client::{is_transient, short_reason};
use crate::error::CliError;
use crate::output::{Output, Resource, note, stdout_is_terminal};

const INTERVAL: Duration = Duration::from_secs(1);

/// Shows the list until we are stopped. An outage is said once; an error that asking again cannot mend ends it.
pub(super) async fn watch<R, F>(output: &Output, list: impl Fn() -> F) -> Result<u8, CliError>
where
    R: Resource,
    F: Future<Output = Result<(Vec<R>, u64), CliError>>,
{
    let redraw = output.is_table() && stdout_is_terminal();
    let mut shown = Shown::default();
    let mut connected = true;
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match list().await {
            Ok((objects, revision)) => {
                connected = true;
                let first = shown.is_new();
                let changes = shown.update(&objects);
                if redraw {
                    output.clear_screen()?;
                    output.list(&objects, revision)?;
                } else if first || !changes.is_empty() {
                    print_changes(output, &objects, &changes, revision, first)?;
                }
            }
            // What cannot be reached at the first attempt is more likely a wrong address than an outage.
            Err(error) if shown.is_new() || !is_transient(&error) => return Err(error),
            Err(error) => {
                if connected {
                    note(&format!("no answer ({}); asking again", short_reason(&error)));
                }
                connected = false;
            }
        }
    }
}

fn print_changes<R: Resource>(
    output: &Output,
    objects: &[R],
    changes: &Changes,
    revision: u64,
    first: bool,
) -> Result<(), CliError> {
    match output.format {
        OutputFormat::Jsonl | OutputFormat::Name => {
            for id in &changes.gone {
                note(&format!("{id} is no longer in the list"));
            }
            objects
                .iter()
                .filter(|object| changes.changed.iter().any(|id| id == object.id()))
                .try_for_each(|object| output.one(object))
        }
        OutputFormat::Json => output.list(objects, revision),
        OutputFormat::Table | OutputFormat::Wide => {
            if !first {
                output.line("")?;
            }
            output.list(objects, revision)
        }
    }
}

/// The revision of each object that was shown.
#[derive(Default)]
struct Shown(Option<BTreeMap<String, u64>>);

/// Ids that came or changed, and ids that went.
#[derive(Debug, PartialEq, Eq)]
struct Changes {
    changed: Vec<String>,
    gone: Vec<String>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.gone.is_empty()
    }
}

impl Shown {
    fn is_new(&self) -> bool {
        self.0.is_none()
    }

    fn update<R: Resource>(&mut self, objects: &[R]) -> Changes {
        let now: BTreeMap<String, u64> = objects
            .iter()
            .map(|object| (object.id().to_owned(), object.revision()))
            .collect();
        let before = self.0.take().unwrap_or_default();
        let changed = objects.iter().map(Resource::id);
        let changes = Changes {
            changed: changed
                .filter(|id| before.get(*id) != now.get(*id))
                .map(str::to_owned)
                .collect(),
            gone: before.into_keys().filter(|id| !now.contains_key(id)).collect(),
        };
        self.0 = Some(now);
        changes
    }
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::Run;

    use super::*;

    fn run(id: &str, revision: u64) -> Run {
        Run {
            id: id.to_owned(),
            revision,
            ..Default::default()
        }
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn only_what_changed_since_the_last_time_is_new() {
        let mut shown = Shown::default();
        assert!(shown.is_new());
        let changes = shown.update(&[run("b", 2), run("a", 1)]);
        assert_eq!(changes.changed, ids(&["b", "a"]), "in the order of the list");
        assert!(shown.update(&[run("b", 2), run("a", 1)]).is_empty());
        let changes = shown.update(&[run("c", 5), run("a", 4)]);
        assert_eq!(changes.changed, ids(&["c", "a"]));
        assert_eq!(changes.gone, ids(&["b"]));
    }

    #[test]
    fn an_empty_list_is_shown_once() {
        let mut shown = Shown::default();
        assert!(shown.update::<Run>(&[]).is_empty());
        assert!(!shown.is_new());
    }
}
