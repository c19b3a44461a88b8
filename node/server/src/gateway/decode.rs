//! Messages of workers, checked field by field. What is wrong is named; nothing is guessed.

use std::fmt;

use reeve_proto::v1;
use reeve_state::command::{EndpointReport, MAX_PROGRESS_ENDPOINTS, Report, ReportEvent};
use reeve_state::id::{AssignmentEpoch, Incarnation, RunId, TokenHash, WorkerId};
use reeve_state::time::Millis;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const TOKEN_PREFIX: &str = "cmw_";
const TOKEN_DIGITS: usize = 64;

/// A field and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Path, for example `report.run_id`.
    pub field: String,
    /// The rule.
    pub rule: String,
}

impl BadField {
    pub(super) fn new(field: &str, rule: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            rule: rule.into(),
        }
    }
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.rule)
    }
}

/// What a token hashes to; `None` if it is not the text of a token (R83). The token itself goes no further.
pub(super) fn token_hash(token: &str) -> Option<TokenHash> {
    let digits = token.strip_prefix(TOKEN_PREFIX)?;
    let well_formed = digits.len() == TOKEN_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    well_formed.then(|| TokenHash(Sha256::digest(token.as_bytes()).into()))
}

pub(super) fn incarnation(text: &str) -> Result<Incarnation, BadField> {
    Uuid::try_parse(text)
        .map(|uuid| Incarnation(uuid.into_bytes()))
        .map_err(|_| BadField::new("hello.incarnation", "must be a UUID"))
}

pub(super) fn held(held: &[v1::HeldAssignment]) -> Result<Vec<(RunId, AssignmentEpoch)>, BadField> {
    held.iter()
        .map(|held| {
            Ok((
                run_id("hello.held.run_id", &held.run_id)?,
                AssignmentEpoch(held.epoch),
            ))
        })
        .collect()
}

/// A health report whose figures are percentages.
pub(super) fn health(field: &str, report: Option<&v1::HealthReport>) -> Result<v1::HealthReport, BadField> {
    let report = report.copied().unwrap_or_default();
    let figures = [
        ("cpu_percent", report.cpu_percent),
        ("memory_percent", report.memory_percent),
        ("disk_percent", report.disk_percent),
    ];
    match figures.into_iter().find(|(_, percent)| *percent > 100) {
        Some((name, percent)) => Err(BadField::new(
            &format!("{field}.{name}"),
            format!("{percent} is not within 0 to 100"),
        )),
        None => Ok(report),
    }
}

pub(super) fn report(worker: WorkerId, report: &v1::Report) -> Result<Report, BadField> {
    if report.seq == 0 {
        return Err(BadField::new("report.seq", "counts from 1"));
    }
    Ok(Report {
        worker,
        run: run_id("report.run_id", &report.run_id)?,
        epoch: AssignmentEpoch(report.epoch),
        seq: report.seq,
        event: event(report.event.as_ref())?,
    })
}

fn run_id(field: &str, text: &str) -> Result<RunId, BadField> {
    text.parse().map_err(|_| BadField::new(field, "must be a UUID"))
}

fn event(event: Option<&v1::report::Event>) -> Result<ReportEvent, BadField> {
    match event {
        Some(v1::report::Event::Ready(v1::Ready {})) => Ok(ReportEvent::Ready),
        Some(v1::report::Event::NotReady(not_ready)) => Ok(ReportEvent::NotReady {
            reason: brief(&not_ready.reason),
        }),
        Some(v1::report::Event::Progress(progress)) => endpoints(progress).map(ReportEvent::Progress),
        Some(v1::report::Event::Closed(v1::Closed {})) => Ok(ReportEvent::Closed),
        Some(v1::report::Event::StartedLate(late)) => Ok(ReportEvent::StartedLate {
            by: Millis(late.by_ms),
        }),
        None => Err(BadField::new("report.event", "is required")),
    }
}

fn endpoints(progress: &v1::Progress) -> Result<Vec<EndpointReport>, BadField> {
    let count = progress.offsets.len();
    if count > MAX_PROGRESS_ENDPOINTS {
        let rule = format!("names {count} endpoints, at most {MAX_PROGRESS_ENDPOINTS} are allowed");
        return Err(BadField::new("report.progress.offsets", rule));
    }
    for (field, len) in [
        ("phases", progress.phases.len()),
        ("outcomes", progress.outcomes.len()),
    ] {
        if len != count {
            let rule = format!("has {len} entries, offsets has {count}");
            return Err(BadField::new(&format!("report.progress.{field}"), rule));
        }
    }
    let bytes = progress.phases.iter().zip(&progress.outcomes);
    progress
        .offsets
        .iter()
        .zip(bytes)
        .map(|(offset, (phase, outcome))| endpoint(*offset, *phase, *outcome))
        .collect()
}

fn endpoint(offset: u32, phase: u8, outcome: u8) -> Result<EndpointReport, BadField> {
    let phase = EndpointPhase::from_byte(phase)
        .ok_or_else(|| BadField::new("report.progress.phases", format!("{phase} is not a phase")))?;
    let outcome =
        match outcome {
            0 => None,
            byte => Some(EndpointOutcome::from_byte(byte).ok_or_else(|| {
                BadField::new("report.progress.outcomes", format!("{byte} is not an outcome"))
            })?),
        };
    Ok(EndpointReport {
        offset,
        phase,
        outcome,
    })
}

/// A reason for people, cut to a length that the log can bear.
pub(super) fn brief(reason: &str) -> String {
    const MOST: usize = 200;
    reason.chars().take(MOST).collect()
}

/// Decodes whatever a worker says: all of the above, for the fuzzer.
pub fn decoded(worker: WorkerId, message: &v1::session_request::Message) -> Result<(), BadField> {
    use v1::session_request::Message;
    match message {
        Message::Hello(hello) => {
            token_hash(&hello.token).ok_or_else(|| BadField::new("hello.token", "is not one"))?;
            incarnation(&hello.incarnation)?;
            health("hello.health", hello.health.as_ref())?;
            held(&hello.held).map(drop)
        }
        Message::Heartbeat(heartbeat) => health("heartbeat.health", heartbeat.health.as_ref()).map(drop),
        Message::Report(said) => report(worker, said).map(drop),
        Message::Drain(drain) => {
            brief(&drain.reason);
            Ok(())
        }
        // Shown to who watches, as it is; nothing of it is kept.
        Message::Goodbye(_) | Message::Live(_) => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    const WORKER: WorkerId = WorkerId::from_bytes([1; 16]);
    const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn message(event: Option<v1::report::Event>) -> v1::Report {
        v1::Report {
            run_id: RUN.into(),
            epoch: 4,
            seq: 1,
            event,
        }
    }

    fn progress(offsets: Vec<u32>, phases: Vec<u8>, outcomes: Vec<u8>) -> v1::Report {
        message(Some(v1::report::Event::Progress(v1::Progress {
            offsets,
            phases,
            outcomes,
        })))
    }

    // Covers: R83
    #[test]
    fn a_token_is_its_prefix_and_64_hex_digits() {
        let good = format!("cmw_{}", "0123456789abcdef".repeat(4));
        assert_eq!(
            token_hash(&good),
            Some(TokenHash(Sha256::digest(good.as_bytes()).into()))
        );
        for bad in [
            "",
            "cmw_",
            &good[..67],
            &format!("{good}0"),
            &good.replace('f', "g"),
            &good.replace("cmw", "cmk"),
        ] {
            assert_eq!(token_hash(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_good_report_is_taken_as_it_is() {
        let decoded = report(WORKER, &progress(vec![7, 9], vec![6, 8], vec![0, 1])).unwrap();
        assert_eq!(
            (decoded.worker, decoded.epoch, decoded.seq),
            (WORKER, AssignmentEpoch(4), 1)
        );
        let expected = vec![
            EndpointReport {
                offset: 7,
                phase: EndpointPhase::Incall,
                outcome: None,
            },
            EndpointReport {
                offset: 9,
                phase: EndpointPhase::Closed,
                outcome: Some(EndpointOutcome::Success),
            },
        ];
        assert_eq!(decoded.event, ReportEvent::Progress(expected));
    }

    #[test]
    fn garbage_is_refused_by_the_name_of_its_field() {
        let ready = || Some(v1::report::Event::Ready(v1::Ready {}));
        let many = vec![0; MAX_PROGRESS_ENDPOINTS + 1];
        let bytes = vec![1; MAX_PROGRESS_ENDPOINTS + 1];
        let rows = [
            (
                v1::Report {
                    run_id: "x".into(),
                    ..message(ready())
                },
                "report.run_id",
            ),
            (
                v1::Report {
                    seq: 0,
                    ..message(ready())
                },
                "report.seq",
            ),
            (message(None), "report.event"),
            (progress(vec![1], vec![], vec![0]), "report.progress.phases"),
            (progress(vec![1], vec![1], vec![0, 0]), "report.progress.outcomes"),
            (progress(vec![1], vec![0], vec![0]), "report.progress.phases"),
            (progress(vec![1], vec![9], vec![0]), "report.progress.phases"),
            (progress(vec![1], vec![8], vec![9]), "report.progress.outcomes"),
            (progress(many, bytes.clone(), bytes), "report.progress.offsets"),
        ];
        for (message, field) in rows {
            assert_eq!(report(WORKER, &message).unwrap_err().field, field);
        }
        let over = v1::HealthReport {
            disk_percent: 101,
            ..v1::HealthReport::default()
        };
        assert_eq!(
            health("heartbeat.health", Some(&over)).unwrap_err().field,
            "heartbeat.health.disk_percent"
        );
        assert_eq!(incarnation("me").unwrap_err().field, "hello.incarnation");
        let held_run = v1::HeldAssignment {
            run_id: "x".into(),
            epoch: 1,
            acked_seq: 0,
        };
        assert_eq!(held(&[held_run]).unwrap_err().field, "hello.held.run_id");
    }
}
