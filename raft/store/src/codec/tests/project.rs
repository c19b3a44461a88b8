//! Bytes of projects.

use super::*;

fn name() -> ProjectName {
    ProjectName::from("blue")
}

pub(super) fn project_commands() -> Vec<Command> {
    vec![
        Command::PutProject(PutProject {
            project: name(),
            mode: PutMode::Create { credits: Some(7) },
            plan: PlanChange {
                max_concurrent_endpoints: Some(500),
                max_concurrent_runs: Some(3),
                max_run_endpoints: Some(0),
                subscription_active: Some(false),
            },
        }),
        Command::DeleteProject(DeleteProject { project: name() }),
        Command::AdjustCredits(AdjustCredits {
            project: name(),
            change: CreditChange::Add(-5),
            reason: "refund".to_owned(),
        }),
    ]
}

pub(super) fn project_row() -> Project {
    Project {
        name: name(),
        plan: Plan {
            max_concurrent_endpoints: Some(500),
            max_concurrent_runs: Some(3),
            max_run_endpoints: Some(100),
            subscription_active: true,
        },
        credits: Some(0),
        credits_spent: 30,
        last_adjustment: Some(CreditAdjustment {
            at: Time(5),
            actor: "ann".to_owned(),
            reason: "monthly".to_owned(),
            left: Some(40),
        }),
        created_at: Time(1),
        updated_at: Time(2),
        created_by: Some(key()),
        revision: Revision(22),
    }
}

pub(super) fn project_refusals() -> Vec<Refusal> {
    let project = name;
    let faults = [
        PlanFault::NoProject { project: project() },
        PlanFault::SubscriptionInactive { project: project() },
        PlanFault::RunEndpoints {
            project: project(),
            limit: 1,
            asked: 2,
        },
        PlanFault::ConcurrentEndpoints {
            project: project(),
            limit: 500,
            in_use: 480,
            runs: 3,
            asked: 100,
        },
        PlanFault::ConcurrentRuns {
            project: project(),
            limit: 2,
            in_use: 2,
        },
        PlanFault::Credits {
            project: project(),
            left: 1,
            reserved: 2,
            needed: 3,
        },
    ];
    let in_use = Refusal::ProjectInUse {
        project: project(),
        tests: 1,
        runs: 2,
        keys: 3,
    };
    faults
        .map(Refusal::OverPlan)
        .into_iter()
        .chain([in_use])
        .collect()
}

#[test]
fn every_form_of_a_command_on_a_project_comes_back() {
    let put = |mode| {
        Command::PutProject(PutProject {
            project: name(),
            mode,
            plan: PlanChange::default(),
        })
    };
    let adjust = |change| {
        Command::AdjustCredits(AdjustCredits {
            project: name(),
            change,
            reason: String::new(),
        })
    };
    for command in [
        put(PutMode::Update),
        put(PutMode::Create { credits: None }),
        put(PutMode::Create { credits: Some(0) }),
        adjust(CreditChange::Set(0)),
        adjust(CreditChange::Add(i64::MIN)),
        adjust(CreditChange::Add(0)),
        adjust(CreditChange::Unlimited),
    ] {
        round_trip(Envelope::internal(command));
    }
}

#[test]
fn the_default_project_is_not_written() {
    let apply = |project| {
        let command = ApplyTest {
            id: test(),
            definition: definition(),
            mode: ApplyMode::CreateOnly,
            project,
        };
        Envelope::internal(Command::ApplyTest(command))
    };
    let (default, named) = (apply(ProjectName::default()), apply(name()));
    round_trip(default.clone());
    round_trip(named.clone());
    assert_eq!(
        encode_envelope(&named).len(),
        encode_envelope(&default).len() + 2 + "blue".len()
    );
}

#[test]
fn a_project_as_the_object_of_a_request_comes_back() {
    let row = Row::Request(Arc::new(RequestRecord {
        key: key(),
        hash: [0; 32],
        object: ObjectRef::Project(name()),
        created: true,
        revision: Revision(1),
        expires_at: None,
    }));
    assert_eq!(row_from_bytes(&row_to_bytes(&row)).unwrap(), row);
}
