//! A witness of what a node's change feed tells of the workers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use reeve_proto::v1::resource::Resource;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use reeve_proto::v1::{ResourceKind, WatchRequest, Worker, WorkerStatus};
use tokio_util::sync::CancellationToken;

use crate::cluster::*;
use crate::process::{connect, until};

/// A worker as a node's change feed told it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub worker: Worker,
}

/// Writes down every change of every worker that a node's change feed tells.
pub struct Witness {
    seen: Arc<Mutex<Vec<Seen>>>,
    broken: Arc<Mutex<Option<String>>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    pub fn at(cluster: &Cluster, node: usize) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let broken: Arc<Mutex<Option<String>>> = Arc::default();
        let stop = CancellationToken::new();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let task = watch(cluster.grpc(node), Arc::clone(&seen), ready);
        let (stopped, why) = (stop.clone(), Arc::clone(&broken));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            if let Some(Err(status)) = runtime.block_on(stopped.run_until_cancelled(task)) {
                *why.lock().unwrap() = Some(status);
            }
        });
        is_ready.recv_timeout(SOON).expect("the node takes the watch");
        Self {
            seen,
            broken,
            stop,
            thread: Some(thread),
        }
    }

    /// Everything so far. The feed must have no gap.
    pub fn seen(&self) -> Vec<Seen> {
        let broken = self.broken.lock().unwrap().clone();
        assert_eq!(broken, None, "the watch broke");
        self.seen.lock().unwrap().clone()
    }

    pub fn statuses(&self) -> BTreeMap<String, Vec<WorkerStatus>> {
        let mut statuses: BTreeMap<String, Vec<WorkerStatus>> = BTreeMap::new();
        for seen in self.seen() {
            statuses
                .entry(seen.worker.name.clone())
                .or_default()
                .push(seen.worker.status());
        }
        statuses
    }

    /// When this worker was seen in the status, once it is.
    pub fn until(&self, name: &str, status: WorkerStatus) -> Instant {
        until(&format!("{name} is seen {status:?}"), SOON, || {
            self.seen()
                .into_iter()
                .find(|seen| seen.worker.name == name && seen.worker.status() == status)
                .map(|seen| seen.at)
        })
    }

    pub fn assert_never(&self, status: WorkerStatus) {
        let bad: Vec<_> = self
            .seen()
            .into_iter()
            .filter(|seen| seen.worker.status() == status)
            .map(|seen| (seen.worker.name, seen.worker.conditions))
            .collect();
        assert!(bad.is_empty(), "{status:?}: {bad:#?}");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn watch(
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    ready: std::sync::mpsc::Sender<()>,
) -> Result<(), String> {
    let node = connect(&address).await.ok_or("the node does not answer")?;
    let mut client = WatchClient::new(node);
    let request = WatchRequest {
        kinds: vec![ResourceKind::Worker.into()],
        ..WatchRequest::default()
    };
    let mut stream = client
        .watch(request)
        .await
        .map_err(|status| status.to_string())?
        .into_inner();
    loop {
        let response = stream.message().await.map_err(|status| status.to_string())?;
        match response.ok_or("the stream ended")?.event {
            Some(Event::Put(resource)) => {
                if let Some(Resource::Worker(worker)) = resource.resource {
                    let at = Instant::now();
                    seen.lock().unwrap().push(Seen { at, worker });
                }
            }
            // The first says that the stream stands.
            Some(Event::Bookmark(_)) => {
                let _ = ready.send(());
            }
            Some(Event::Deleted(_)) | None => {}
            Some(Event::Reset(_)) => return Err("the feed was reset".to_owned()),
        }
    }
}
