//! What is sent: the body of a message and its id, the same for every attempt.

use bytes::Bytes;
use reeve_proto::json::format_time;
use reeve_proto::names::Named;
use reeve_state::record::{DeliveryKey, EventFacts, ProbeFacts, RunFacts, Webhook, WebhookEvent};
use serde::Serialize;

use crate::convert::{enums, time};

/// The header `webhook-id`: the same for every attempt, by whichever leader.
pub(crate) fn message_id(key: DeliveryKey) -> String {
    format!("msg_{}_{}", key.webhook, key.seq)
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Run(RunData<'a>),
    Probe(ProbeData<'a>),
    Test(TestData),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunData<'a> {
    run_id: String,
    test_id: String,
    test_name: &'a str,
    project: &'a str,
    from: Option<&'static str>,
    to: &'static str,
    reason: Option<Reason<'a>>,
    sequence: u64,
    revision: u64,
}

#[derive(Serialize)]
struct Reason<'a> {
    code: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProbeData<'a> {
    probe_id: String,
    probe_name: &'a str,
    test_id: String,
    test_name: &'a str,
    project: &'a str,
    from: &'static str,
    to: &'static str,
    reason: &'a str,
    sequence: u64,
    revision: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TestData {
    webhook_id: String,
    sequence: u64,
    revision: u64,
}

/// The body of the message about an event.
pub(super) fn body(webhook: &Webhook, event: &WebhookEvent) -> Bytes {
    let data = match &event.facts {
        EventFacts::Run(facts) => Data::Run(run(webhook, event, facts)),
        EventFacts::Probe(facts) => Data::Probe(probe(webhook, event, facts)),
        EventFacts::Test => Data::Test(TestData {
            webhook_id: webhook.id.to_string(),
            sequence: event.sequence,
            revision: event.revision.0,
        }),
    };
    let body = Body {
        kind: event.kind().name(),
        timestamp: format_time(&time::timestamp(event.at)).unwrap_or_default(),
        data,
    };
    // Text, numbers and lists of them: there is nothing in it that JSON cannot say.
    Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
}

fn run<'a>(webhook: &'a Webhook, event: &WebhookEvent, facts: &'a RunFacts) -> RunData<'a> {
    RunData {
        run_id: facts.run.to_string(),
        test_id: facts.test.to_string(),
        test_name: &facts.test_name,
        project: webhook.project.as_str(),
        from: facts.from.map(|status| status.name()),
        to: facts.to.name(),
        reason: facts.reason.as_ref().map(|reason| Reason {
            code: enums::run_reason(reason.code).name(),
            message: &reason.message,
        }),
        sequence: event.sequence,
        revision: event.revision.0,
    }
}

fn probe<'a>(webhook: &'a Webhook, event: &WebhookEvent, facts: &'a ProbeFacts) -> ProbeData<'a> {
    ProbeData {
        probe_id: facts.probe.to_string(),
        probe_name: &facts.name,
        test_id: facts.test.to_string(),
        test_name: &facts.test_name,
        project: webhook.project.as_str(),
        from: facts.from.name(),
        to: facts.to.name(),
        reason: &facts.reason,
        sequence: event.sequence,
        revision: event.revision.0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use reeve_state::id::{ProbeId, ProjectName, Revision, RunId, SigningSecret, TestId, WebhookId};
    use reeve_state::record::WebhookStatus;
    use reeve_state::time::Time;
    use reeve_state::transition::probe::ProbeStatus;
    use reeve_state::transition::run::{RunReason, RunReasonCode, RunStatus};
    use serde_json::{Value, json};

    use super::*;

    fn webhook() -> Webhook {
        Webhook {
            id: WebhookId::from_bytes([9; 16]),
            name: "pager".to_owned(),
            project: ProjectName::from("blue"),
            url: "https://a.test".to_owned(),
            events: BTreeSet::new(),
            test: None,
            status: WebhookStatus::Active,
            status_since: Time(0),
            secret: SigningSecret([1; 32]),
            previous: None,
            last_seq: 1,
            delivered: 0,
            overflowed: 0,
            forgotten: 0,
            created_at: Time(0),
            created_by: None,
            revision: Revision(1),
        }
    }

    fn sent(facts: EventFacts) -> Value {
        let event = WebhookEvent {
            facts,
            sequence: 2,
            at: Time(1_764_183_966_045),
            revision: Revision(77),
        };
        serde_json::from_slice(&body(&webhook(), &event)).unwrap()
    }

    // Covers: R214
    #[test]
    fn a_run_is_told_with_its_test_its_statuses_and_the_reason() {
        let facts = RunFacts {
            run: RunId::from_bytes([1; 16]),
            test: TestId::from_bytes([2; 16]),
            test_name: "smoke".to_owned(),
            from: Some(RunStatus::Pending),
            to: RunStatus::CannotRunForNow,
            reason: Some(RunReason {
                code: RunReasonCode::WorkersBusy,
                message: "all \"busy\"".to_owned(),
            }),
        };
        let expected = json!({
            "type": "run.status_changed",
            "timestamp": "2025-11-26T19:06:06.045Z",
            "data": {
                "runId": "01010101-0101-0101-0101-010101010101",
                "testId": "02020202-0202-0202-0202-020202020202",
                "testName": "smoke",
                "project": "blue",
                "from": "PENDING",
                "to": "CANNOT_RUN_FOR_NOW",
                "reason": { "code": "WORKERS_BUSY", "message": "all \"busy\"" },
                "sequence": 2,
                "revision": 77,
            }
        });
        assert_eq!(sent(EventFacts::Run(facts.clone())), expected);
        let new = RunFacts {
            from: None,
            reason: None,
            ..facts
        };
        let new = sent(EventFacts::Run(new));
        assert_eq!(
            (&new["data"]["from"], &new["data"]["reason"]),
            (&Value::Null, &Value::Null)
        );
    }

    #[test]
    fn a_probe_and_a_test_are_told_likewise() {
        let facts = ProbeFacts {
            probe: ProbeId::from_bytes([3; 16]),
            name: "p".to_owned(),
            test: TestId::from_bytes([2; 16]),
            test_name: "smoke".to_owned(),
            from: ProbeStatus::Healthy,
            to: ProbeStatus::Degraded,
            reason: "mos".to_owned(),
        };
        let probe = sent(EventFacts::Probe(facts));
        assert_eq!(probe["type"], "probe.health_changed");
        assert_eq!(probe["data"]["probeId"], "03030303-0303-0303-0303-030303030303");
        assert_eq!(
            (&probe["data"]["from"], &probe["data"]["to"]),
            (&json!("HEALTHY"), &json!("DEGRADED"))
        );
        let test = sent(EventFacts::Test);
        assert_eq!(test["type"], "webhook.test");
        assert_eq!(test["data"]["webhookId"], "09090909-0909-0909-0909-090909090909");
    }

    #[test]
    fn the_id_of_a_message_says_of_which_webhook_it_is() {
        let key = DeliveryKey {
            webhook: WebhookId::from_bytes([9; 16]),
            seq: 12,
        };
        assert_eq!(message_id(key), "msg_09090909-0909-0909-0909-090909090909_12");
    }
}
