//! What workers say on their sessions.

use prost::Message;
use rand::rngs::StdRng;
use reeve_proto::v1::session_request::Message as Said;
use reeve_proto::v1::{
    Closed, HealthReport, Heartbeat, HeldAssignment, Hello, Progress, Ready, Report, SessionRequest, report,
};

use super::Target;
use crate::engine::digits_out;
use crate::mutate;

pub struct Session;

const RUN: &str = "0190a6e0-0000-7000-8000-000000000000";

impl Target for Session {
    fn name(&self) -> &'static str {
        "session"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let health = HealthReport {
            cpu_percent: 10,
            memory_percent: 20,
            disk_percent: 30,
        };
        let hello = Hello {
            token: format!("cmw_{}", "0".repeat(64)),
            incarnation: RUN.to_owned(),
            capacity: 100,
            health: Some(health),
            held: vec![HeldAssignment {
                run_id: RUN.to_owned(),
                epoch: 1,
                acked_seq: 3,
            }],
            ..Hello::default()
        };
        let report = |event| {
            Said::Report(Report {
                run_id: RUN.to_owned(),
                epoch: 1,
                seq: 1,
                event: Some(event),
            })
        };
        let progress = Progress {
            offsets: vec![0, 1, 300],
            phases: vec![1, 6, 8],
            outcomes: vec![0, 0, 1],
        };
        let heartbeat = Heartbeat {
            health: Some(health),
            ..Heartbeat::default()
        };
        let said = [
            Said::Hello(hello),
            Said::Heartbeat(heartbeat),
            report(report::Event::Ready(Ready {})),
            report(report::Event::Progress(progress)),
            report(report::Event::Closed(Closed {})),
        ];
        let request = |said| SessionRequest { message: Some(said) };
        said.into_iter()
            .map(|said| request(said).encode_to_vec())
            .collect()
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate::proto(rng, input, other)
    }

    fn run(&mut self, input: &[u8]) -> String {
        match SessionRequest::decode(input) {
            Ok(request) => digits_out(&reeve_node::fuzz::session_request(&request)),
            Err(_) => "not a message".to_owned(),
        }
    }
}
