//! A worker that says what the test tells it to.

use std::time::Duration;

use reeve_proto::v1;
use reeve_proto::v1::session_request::Message as Say;
use reeve_proto::v1::session_response::Message as Heard;
use reeve_proto::v1::{SessionRequest, SessionResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::world::{PATIENCE, World};

pub struct Fake {
    pub tx: mpsc::Sender<SessionRequest>,
    rx: Streaming<SessionResponse>,
    _beat: Option<Beat>,
}

/// Stops the heartbeats when it is dropped.
struct Beat(tokio::task::JoinHandle<()>);

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub fn hello(token: &str) -> v1::Hello {
    v1::Hello {
        token: token.to_owned(),
        incarnation: Uuid::new_v4().to_string(),
        capacity: 1_000,
        health: Some(v1::HealthReport {
            cpu_percent: 5,
            memory_percent: 5,
            disk_percent: 5,
        }),
        ..v1::Hello::default()
    }
}

pub fn heartbeat(seq: u64, cpu_percent: u32) -> Say {
    Say::Heartbeat(v1::Heartbeat {
        seq,
        sent_ms: 77,
        wall_ms: 0,
        health: Some(v1::HealthReport {
            cpu_percent,
            memory_percent: 5,
            disk_percent: 5,
        }),
        active_endpoints: 3,
    })
}

pub fn report(offer: &v1::Offer, seq: u64, event: v1::report::Event) -> Say {
    Say::Report(v1::Report {
        run_id: offer.run_id.clone(),
        epoch: offer.epoch,
        seq,
        event: Some(event),
    })
}

pub const READY: v1::report::Event = v1::report::Event::Ready(v1::Ready {});
pub const CLOSED: v1::report::Event = v1::report::Event::Closed(v1::Closed {});

/// All endpoints of an offer, in one phase and with one outcome.
pub fn progress(
    offer: &v1::Offer,
    phase: v1::EndpointPhase,
    outcome: v1::EndpointOutcome,
) -> v1::report::Event {
    let count = offer.endpoints as usize;
    v1::report::Event::Progress(v1::Progress {
        offsets: (0..offer.endpoints).collect(),
        phases: vec![u8::try_from(phase as i32).unwrap(); count],
        outcomes: vec![u8::try_from(outcome as i32).unwrap(); count],
    })
}

impl Fake {
    /// Connects and says nothing.
    pub async fn dial(world: &World) -> Self {
        let (tx, requests) = mpsc::channel(64);
        let rx = world
            .client()
            .await
            .session(ReceiverStream::new(requests))
            .await
            .unwrap()
            .into_inner();
        Self { tx, rx, _beat: None }
    }

    /// Connects, says Hello and takes the Welcome.
    pub async fn connect(world: &World, hello: v1::Hello) -> (Self, v1::Welcome) {
        let mut fake = Self::dial(world).await;
        fake.say(Say::Hello(hello)).await;
        let Heard::Welcome(welcome) = fake.hear().await else {
            panic!("the first answer is Welcome")
        };
        (fake, welcome)
    }

    /// Beats in the background as long as this worker lives.
    pub fn beating(mut self, interval: Duration) -> Self {
        let tx = self.tx.clone();
        let beat = async move {
            for seq in 1.. {
                if tx
                    .send(SessionRequest {
                        message: Some(heartbeat(seq, 5)),
                    })
                    .await
                    .is_err()
                {
                    return;
                }
                tokio::time::sleep(interval).await;
            }
        };
        self._beat = Some(Beat(tokio::spawn(beat)));
        self
    }

    pub async fn say(&self, message: Say) {
        self.tx
            .send(SessionRequest {
                message: Some(message),
            })
            .await
            .unwrap();
    }

    async fn next(&mut self) -> Result<Option<SessionResponse>, Status> {
        tokio::time::timeout(PATIENCE, self.rx.message())
            .await
            .expect("the node answers in time")
    }

    /// The next message but answers to heartbeats.
    pub async fn hear(&mut self) -> Heard {
        loop {
            let response = self.next().await.unwrap().expect("the session goes on");
            let message = response.message.expect("a message");
            if self._beat.is_none() || !matches!(message, Heard::HeartbeatAck(_)) {
                return message;
            }
        }
    }

    pub async fn hear_offer(&mut self) -> v1::Offer {
        let message = self.hear().await;
        let Heard::Offer(offer) = message else {
            panic!("expected an offer, heard {message:?}")
        };
        offer
    }

    pub async fn hear_start(&mut self) -> v1::Start {
        let message = self.hear().await;
        let Heard::Start(start) = message else {
            panic!("expected a start, heard {message:?}")
        };
        start
    }

    pub async fn hear_stop(&mut self) -> v1::Stop {
        let message = self.hear().await;
        let Heard::Stop(stop) = message else {
            panic!("expected a stop, heard {message:?}")
        };
        stop
    }

    pub async fn hear_ack(&mut self) -> v1::ReportAck {
        let message = self.hear().await;
        let Heard::ReportAck(ack) = message else {
            panic!("expected an acknowledgement, heard {message:?}")
        };
        ack
    }

    /// How the stream ends: code and reason; `None`: in order.
    pub async fn end(&mut self) -> Option<(tonic::Code, String)> {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => {
                    let reason = status
                        .get_details_error_info()
                        .map(|info| info.reason)
                        .unwrap_or_default();
                    return Some((status.code(), reason));
                }
            }
        }
    }
}
