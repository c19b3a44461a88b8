//! Looks at every node from outside: what it says of itself, what it tells its watchers, and what processes use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reeve_proto::bearer::Connection;
use reeve_proto::v1::cluster_client::ClusterClient;
use reeve_proto::v1::resource::Resource as Kind;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event as Told;
use reeve_proto::v1::{
    GetStatusRequest, GetStatusResponse, ResetReason, Resource, ResourceKind, WatchRequest, WatchResponse,
};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Status, Streaming};

use crate::event::{Events, What};

const PAUSE: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(1);
/// That only the position is another is noted no more often.
const APPLIED_EVERY: Duration = Duration::from_millis(500);
const OPEN: Duration = Duration::from_secs(5);
/// Nodes say something every five seconds.
const SILENCE: Duration = Duration::from_secs(12);
const AGAIN: Duration = Duration::from_millis(100);
/// Between two looks at what processes use.
const USED_EVERY: Duration = Duration::from_secs(1);

/// Observes one node until the task is ended: asks for its status, and watches its workers and runs.
pub async fn observe(node: String, connection: Connection, events: Events) {
    tokio::join!(
        sample(&node, &connection, &events),
        watch(&node, &connection, &events)
    );
}

async fn sample(node: &str, connection: &Connection, events: &Events) {
    let mut last: Option<(GetStatusResponse, Instant)> = None;
    loop {
        let mut request = Request::new(GetStatusRequest::default());
        request.set_timeout(TIMEOUT);
        if let Ok(answer) = ClusterClient::new(connection.clone()).get_status(request).await {
            let status = answer.into_inner();
            if last.as_ref().is_none_or(|(last, at)| is_new(last, *at, &status)) {
                events.note(What::Seen {
                    node: node.to_owned(),
                    term: status.term,
                    leader: status.leader_id,
                    applied: status.last_applied_index,
                    sessions: u64::from(status.sessions),
                    pid: status.pid,
                });
                last = Some((status, Instant::now()));
            }
        }
        sleep(PAUSE).await;
    }
}

fn is_new(last: &GetStatusResponse, at: Instant, status: &GetStatusResponse) -> bool {
    let led = |status: &GetStatusResponse| (status.term, status.leader_id, status.pid);
    let moved = |status: &GetStatusResponse| (status.last_applied_index, status.sessions);
    led(last) != led(status)
        || status.last_applied_index < last.last_applied_index
        || (moved(last) != moved(status) && at.elapsed() >= APPLIED_EVERY)
}

/// The place in the feed is a revision: after a break it goes on from there, so that nothing is missed and little told twice.
async fn watch(node: &str, connection: &Connection, events: &Events) {
    let mut from_revision = 0;
    loop {
        match open(connection, from_revision).await {
            Ok(stream) => {
                events.note(What::Watching {
                    node: node.to_owned(),
                });
                from_revision = listen(node, stream, from_revision, events).await;
            }
            Err(status) if status.code() == Code::OutOfRange => from_revision = 0,
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}

async fn open(connection: &Connection, from_revision: u64) -> Result<Streaming<WatchResponse>, Status> {
    let request = WatchRequest {
        from_revision,
        kinds: vec![ResourceKind::Run.into(), ResourceKind::Worker.into()],
        send_initial: from_revision == 0,
        ..Default::default()
    };
    let mut client = WatchClient::new(connection.clone()).max_decoding_message_size(usize::MAX);
    let late = Status::deadline_exceeded("no answer");
    let answer = timeout(OPEN, client.watch(request)).await;
    Ok(answer.map_err(|_| late)??.into_inner())
}

/// Until the stream breaks; where to go on.
async fn listen(
    node: &str,
    mut stream: Streaming<WatchResponse>,
    mut from_revision: u64,
    events: &Events,
) -> u64 {
    let mut seen = Seen::default();
    loop {
        let Ok(Ok(Some(message))) = timeout(SILENCE, stream.message()).await else {
            return from_revision;
        };
        from_revision = from_revision.max(message.revision);
        match message.event {
            Some(Told::Put(resource)) => {
                if let Some(what) = seen.note(node, resource) {
                    events.note(what);
                }
            }
            Some(Told::Reset(reset)) => {
                if reset.reason() == ResetReason::StateReplaced {
                    events.note(What::StateReplaced {
                        node: node.to_owned(),
                    });
                }
                return 0;
            }
            Some(Told::Deleted(_) | Told::Bookmark(_)) | None => {}
        }
    }
}

/// What one stream told last, by id: status and revision.
#[derive(Default)]
struct Seen(BTreeMap<String, (i32, u64)>);

impl Seen {
    /// What is worth noting: another status, or a step back.
    fn note(&mut self, node: &str, resource: Resource) -> Option<What> {
        let node = node.to_owned();
        match resource.resource? {
            Kind::Run(run) if self.is_new(&run.id, run.status, run.revision) => Some(What::RunSeen {
                node,
                status: run.status().as_str_name().to_owned(),
                run: run.id,
                revision: run.revision,
            }),
            Kind::Worker(worker) if self.is_new(&worker.id, worker.status, worker.revision) => {
                Some(What::WorkerSeen {
                    node,
                    status: worker.status().as_str_name().to_owned(),
                    worker: worker.name,
                    revision: worker.revision,
                })
            }
            Kind::Run(_)
            | Kind::Worker(_)
            | Kind::Test(_)
            | Kind::Project(_)
            | Kind::Probe(_)
            | Kind::Webhook(_)
            | Kind::Registrar(_)
            | Kind::AccountPool(_)
            | Kind::MediaFile(_) => None,
        }
    }

    fn is_new(&mut self, id: &str, status: i32, revision: u64) -> bool {
        let before = self.0.insert(id.to_owned(), (status, revision));
        before.is_none_or(|(was, at)| was != status || revision < at)
    }
}

/// Looks again and again at what all processes use that run just then, until the task is ended. `data` are their data directories, by
/// name.
pub async fn observe_use(events: Events, data: BTreeMap<String, PathBuf>) {
    loop {
        for (name, pid) in events.running() {
            note_use(&name, pid, data.get(&name).map(PathBuf::as_path), &events);
        }
        sleep(USED_EVERY).await;
    }
}

/// Of a process that ended meanwhile there is nothing to say.
fn note_use(name: &str, pid: u32, data: Option<&Path>, events: &Events) {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let files = std::fs::read_dir(proc.join("fd")).map(Iterator::count);
    let (Some(rss_kib), Ok(files)) = (rss_kib(&proc), files) else {
        return;
    };
    events.note(What::Used {
        process: name.to_owned(),
        rss_kib,
        files: files as u64,
        disk_kib: data.map_or(0, bytes_in) / 1024,
    });
}

fn rss_kib(proc: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(proc.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Files come and go meanwhile.
fn bytes_in(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::event;
    use reeve_proto::v1::{Run, RunStatus, Worker, WorkerStatus};

    fn run(status: RunStatus, revision: u64) -> Resource {
        Resource {
            resource: Some(Kind::Run(Run {
                id: "r".to_owned(),
                status: status.into(),
                revision,
                ..Default::default()
            })),
        }
    }

    #[test]
    fn only_another_status_or_a_step_back_is_noted() {
        let mut seen = Seen::default();
        let mut noted = |status, revision| seen.note("n1", run(status, revision)).is_some();
        assert!(noted(RunStatus::Pending, 3));
        assert!(!noted(RunStatus::Pending, 4));
        assert!(noted(RunStatus::Queued, 5));
        assert!(noted(RunStatus::Queued, 4));
    }

    #[test]
    fn a_worker_is_noted_by_its_name() {
        let worker = Worker {
            id: "1".to_owned(),
            name: "w1".to_owned(),
            status: WorkerStatus::Offline.into(),
            revision: 7,
            ..Default::default()
        };
        let resource = Resource {
            resource: Some(Kind::Worker(worker)),
        };
        let expected = What::WorkerSeen {
            node: "n1".to_owned(),
            worker: "w1".to_owned(),
            status: "WORKER_STATUS_OFFLINE".to_owned(),
            revision: 7,
        };
        assert_eq!(Seen::default().note("n1", resource), Some(expected));
    }

    #[test]
    fn a_position_alone_is_not_noted_at_once() {
        let status = |term, applied| GetStatusResponse {
            term,
            last_applied_index: applied,
            ..Default::default()
        };
        let now = Instant::now();
        assert!(!is_new(&status(1, 5), now, &status(1, 6)));
        assert!(is_new(&status(1, 5), now - APPLIED_EVERY, &status(1, 6)));
        assert!(!is_new(&status(1, 5), now - APPLIED_EVERY, &status(1, 5)));
        assert!(is_new(&status(1, 5), now, &status(2, 5)));
        assert!(is_new(&status(1, 5), now, &status(1, 4)));
    }

    #[test]
    fn what_this_process_uses_is_noted() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data/below");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("file"), vec![0; 4096]).unwrap();
        let events = Events::create(directory.path()).unwrap();
        let data = directory.path().join("data");
        note_use("n1", std::process::id(), Some(&data), &events);
        // There is no such process.
        note_use("n2", u32::MAX, None, &events);
        let noted = event::load(directory.path()).unwrap();
        assert_eq!(noted.len(), 1);
        let What::Used {
            rss_kib,
            files,
            disk_kib,
            ..
        } = &noted[0].what
        else {
            unreachable!("{noted:?}")
        };
        assert!(*rss_kib > 100 && *files > 2, "{noted:?}");
        assert_eq!(*disk_kib, 4);
    }
}
