//! A run that moves as the test tells it to.

use reeve_proto::v1;
use reeve_proto::v1::session_request::Message as Say;
use reeve_proto::v1::session_response::Message as Heard;

use crate::node::Node;
use crate::session::Session;

/// A run whose only worker is the test.
pub struct Moving {
    pub run: v1::Run,
    /// The worker's.
    pub token: String,
    pub epoch: u64,
    session: Session,
    seq: u64,
}

impl Moving {
    /// Starts a run of this test, which exists, and brings it to RUNNING on this worker.
    pub async fn start(node: &Node, test: &str, worker: &str) -> Self {
        let (_, token) = node.create_worker(worker).await;
        let session = Session::connect(&node.channel, &token).await;
        let request = v1::StartRunRequest {
            test: test.to_owned(),
            ..Default::default()
        };
        let run = node.runs().start_run(request).await.unwrap().into_inner();
        let mut moving = Self {
            run: run.run.unwrap(),
            token,
            session,
            epoch: 0,
            seq: 0,
        };
        moving.epoch = loop {
            if let Heard::Offer(offer) = moving.session.hear().await {
                break offer.epoch;
            }
        };
        moving.report(v1::report::Event::Ready(v1::Ready {})).await;
        while !matches!(moving.session.hear().await, Heard::Start(_)) {}
        moving
    }

    async fn report(&mut self, event: v1::report::Event) {
        self.seq += 1;
        let report = v1::Report {
            run_id: self.run.id.clone(),
            epoch: self.epoch,
            seq: self.seq,
            event: Some(event),
        };
        self.session.say(Say::Report(report)).await;
    }

    /// The endpoint is in this phase now, without waiting for the answer.
    pub async fn endpoint(&mut self, offset: u32, phase: v1::EndpointPhase, outcome: v1::EndpointOutcome) {
        let byte = |number: i32| vec![u8::try_from(number).unwrap()];
        let progress = v1::Progress {
            offsets: vec![offset],
            phases: byte(phase.into()),
            outcomes: byte(outcome.into()),
        };
        self.report(v1::report::Event::Progress(progress)).await;
    }

    /// All of them closed with success, and the worker has let go.
    pub async fn finish(&mut self, endpoints: u32) {
        let all = endpoints as usize;
        let progress = v1::Progress {
            offsets: (0..endpoints).collect(),
            phases: vec![u8::try_from(i32::from(v1::EndpointPhase::Closed)).unwrap(); all],
            outcomes: vec![u8::try_from(i32::from(v1::EndpointOutcome::Success)).unwrap(); all],
        };
        self.report(v1::report::Event::Progress(progress)).await;
        self.report(v1::report::Event::Closed(v1::Closed {})).await;
    }

    /// Until everything that was said is committed.
    pub async fn settled(&mut self) {
        loop {
            if let Heard::ReportAck(ack) = self.session.hear().await {
                assert_eq!(ack.refused, "");
                if ack.acked_seq >= self.seq {
                    return;
                }
            }
        }
    }
}
