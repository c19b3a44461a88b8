//! Commands on runs that came later, and what definitions and explanations learnt since.

use super::*;

pub(super) fn run_commands() -> Vec<Command> {
    vec![Command::KeepLateReports(KeepLateReports {
        worker: worker(),
        run: run(),
        epoch: AssignmentEpoch(8),
        reports: vec![EndpointReport {
            offset: 6,
            phase: EndpointPhase::Closed,
            outcome: Some(EndpointOutcome::Success),
        }],
    })]
}

#[test]
fn every_policy_and_every_callee_comes_back() {
    let policies = [
        OnWorkerLoss::Continue,
        OnWorkerLoss::Fail,
        OnWorkerLoss::FailAbove { share_ppm: 0 },
        OnWorkerLoss::FailAbove { share_ppm: 200_000 },
    ];
    for on_worker_loss in policies {
        let mut definition = TestDefinition::clone(&definition());
        definition.on_worker_loss = on_worker_loss;
        definition.groups[0].callee = Some("h".to_owned());
        round_trip(Envelope::internal(Command::ApplyTest(ApplyTest {
            id: test(),
            definition: Arc::new(definition),
            mode: ApplyMode::CreateOnly,
            project: ProjectName::default(),
        })));
    }
}

#[test]
fn an_explanation_comes_back_with_its_workers_and_changes() {
    let verdict = |filter| WorkerVerdict {
        worker: worker(),
        name: "w".to_owned(),
        region: "eu".to_owned(),
        status: WorkerStatus::Draining,
        filter,
        capacity: 9,
        free: 3,
        held: 2,
    };
    let filters = PlacementFilter::ALL.into_iter().map(Some).chain([None]);
    let change = |kind| SuggestedChange {
        option: 1,
        kind,
        endpoints: 40,
        groups: vec!["g".to_owned()],
        place: Selector {
            region: Some("eu".to_owned()),
            worker: Some(worker()),
            labels: labels(),
        },
        text: "40 more".to_owned(),
    };
    let mut explanation = Explanation::clone(&explanation());
    explanation.groups[0].workers = filters.map(verdict).collect();
    explanation.groups[0].workers_left_out = 7;
    explanation.changes = ChangeKind::ALL.into_iter().map(change).collect();
    round_trip(Envelope::internal(Command::RejectRun(RejectRun {
        run: run(),
        revision: Revision(9),
        reason: RunReason {
            code: RunReasonCode::WorkerLost,
            message: String::new(),
        },
        explanation: Some(Arc::new(explanation)),
    })));
}
