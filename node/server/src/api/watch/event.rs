//! What watchers are told.

use std::sync::{Arc, OnceLock};

use prost::Message;
use reeve_proto::json::{
    AccountPoolJson, DeletedJson, MediaFileJson, ProbeJson, ProjectJson, RegistrarJson, RunJson, TestJson,
    WebhookJson, WorkerJson,
};
use reeve_proto::v1;
use reeve_proto::v1::resource::Resource;
use reeve_state::id::{ProjectName, Revision, RunId, TestId, WorkerId};
use serde::Serialize;

/// One object as a change left it.
#[derive(Debug)]
pub struct Event {
    /// Whose.
    pub tags: Tags,
    /// The object; `None`: it is gone.
    pub put: Option<Resource>,
    /// The revision of the change.
    pub change: Revision,
    json: OnceLock<Arc<str>>,
}

/// What filters look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// What kind of object.
    pub kind: v1::ResourceKind,
    /// Its id.
    pub id: String,
    /// The run that it is.
    pub run: Option<RunId>,
    /// The test that it is, or that it is a run of.
    pub test: Option<TestId>,
    /// The worker that it is, or those on which it has endpoints.
    pub workers: Vec<WorkerId>,
    /// The project that it belongs to.
    pub project: Option<ProjectName>,
    /// Its status, where it has one.
    pub status: Option<&'static str>,
}

impl Tags {
    /// The project in which its id is a name; empty: its id says it all.
    fn named_in(&self) -> &str {
        use v1::ResourceKind as Kind;
        let project = self.project.as_ref().map_or("", ProjectName::as_str);
        match self.kind {
            Kind::Registrar | Kind::AccountPool | Kind::MediaFile => project,
            Kind::Unspecified
            | Kind::Test
            | Kind::Run
            | Kind::Worker
            | Kind::Project
            | Kind::Probe
            | Kind::Webhook => "",
        }
    }
}

impl Event {
    pub(super) fn new(tags: Tags, put: Option<Resource>, change: Revision) -> Self {
        Self {
            tags,
            put,
            change,
            json: OnceLock::new(),
        }
    }

    /// About how much memory it takes, bytes.
    pub(super) fn bytes(&self) -> usize {
        match &self.put {
            Some(Resource::Test(test)) => test.encoded_len(),
            Some(Resource::Run(run)) => run.encoded_len(),
            Some(Resource::Worker(worker)) => worker.encoded_len(),
            Some(Resource::Project(project)) => project.encoded_len(),
            Some(Resource::Probe(probe)) => probe.encoded_len(),
            Some(Resource::Webhook(webhook)) => webhook.encoded_len(),
            Some(Resource::Registrar(registrar)) => registrar.encoded_len(),
            Some(Resource::AccountPool(pool)) => pool.encoded_len(),
            Some(Resource::MediaFile(media)) => media.encoded_len(),
            None => 0,
        }
    }

    /// The JSON document of the object, written once for all who ask.
    pub fn json(&self) -> Arc<str> {
        Arc::clone(self.json.get_or_init(|| match &self.put {
            Some(Resource::Test(test)) => text(&TestJson::from(test)),
            Some(Resource::Run(run)) => text(&RunJson::from(run)),
            Some(Resource::Probe(probe)) => text(&ProbeJson::from(probe)),
            Some(Resource::Webhook(webhook)) => text(&WebhookJson::from(webhook)),
            Some(Resource::Worker(worker)) => text(&WorkerJson::from(worker)),
            Some(Resource::Project(project)) => text(&ProjectJson::from(project)),
            Some(Resource::Registrar(registrar)) => text(&RegistrarJson::from(registrar)),
            Some(Resource::AccountPool(pool)) => text(&AccountPoolJson::from(pool)),
            Some(Resource::MediaFile(media)) => text(&MediaFileJson::from(media)),
            None => text(&DeletedJson::new(
                self.tags.kind,
                &self.tags.id,
                self.tags.named_in(),
                self.change.0,
            )),
        }))
    }
}

fn text(document: &impl Serialize) -> Arc<str> {
    // Maps with keys that are not text are what cannot be written, and there are none.
    serde_json::to_string(document).unwrap_or_default().into()
}

/// What one command did, or what became of counts meanwhile.
#[derive(Debug)]
pub struct Unit {
    /// The state's revision after it.
    pub at: Revision,
    /// A stream is complete up to here with it.
    pub complete: Revision,
    /// In no particular order.
    pub events: Vec<Arc<Event>>,
}

/// One message of a stream.
#[derive(Clone, Debug)]
pub struct Item {
    /// The stream is complete up to here.
    pub complete: Revision,
    /// What is said.
    pub said: Said,
}

/// What is said.
#[derive(Clone, Debug)]
pub enum Said {
    /// An object that is there or changed, or is gone.
    Event {
        /// It.
        event: Arc<Event>,
        /// The last of its change.
        last: bool,
    },
    /// Changes are missing: list again.
    Reset(v1::ResetReason),
    /// Nothing that was asked for happened.
    Bookmark,
}

impl From<Item> for v1::WatchResponse {
    fn from(item: Item) -> Self {
        use v1::watch_response::Event as Wire;
        let revision = item.complete.0;
        let (change, event) = match item.said {
            Said::Event { event, last: _ } => {
                let wire = match &event.put {
                    Some(resource) => Wire::Put(v1::Resource {
                        resource: Some(resource.clone()),
                    }),
                    None => Wire::Deleted(v1::ResourceRef {
                        kind: event.tags.kind.into(),
                        id: event.tags.id.clone(),
                        project: event.tags.named_in().to_owned(),
                    }),
                };
                (event.change.0, wire)
            }
            Said::Reset(reason) => (
                revision,
                Wire::Reset(v1::Reset {
                    reason: reason.into(),
                }),
            ),
            Said::Bookmark => (revision, Wire::Bookmark(v1::Bookmark {})),
        };
        Self {
            revision,
            event: Some(event),
            change,
        }
    }
}
