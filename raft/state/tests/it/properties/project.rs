//! What happens to projects, at random. Tests 2 and up are of project red.

use proptest::prelude::*;
use reeve_state::command::*;
use reeve_state::id::ProjectName;

use crate::world::project::{adjust, create_project, delete_project, test_of, update_project};

pub const NAMES: [&str; 3] = ["default", "red", "blue"];

#[derive(Clone, Debug)]
pub enum ProjectAct {
    Create(&'static str, Option<u64>),
    Update(&'static str, u32, u32, bool),
    Delete(&'static str),
    Adjust(&'static str, CreditChange),
    Test(u8, &'static str),
}

pub fn project_act() -> impl Strategy<Value = ProjectAct> {
    use ProjectAct as A;
    let name = || prop::sample::select(NAMES.to_vec());
    let change = prop_oneof![
        (-40..60i64).prop_map(CreditChange::Add),
        (0..100u64).prop_map(CreditChange::Set),
        Just(CreditChange::Unlimited),
    ];
    prop_oneof![
        1 => (name(), prop::option::of(0..80u64)).prop_map(|(name, credits)| A::Create(name, credits)),
        2 => (name(), prop::sample::select(vec![0, 29, 30, 60]), 0..3u32, prop::bool::weighted(0.8))
            .prop_map(|(name, endpoints, runs, active)| A::Update(name, endpoints, runs, active)),
        1 => name().prop_map(A::Delete),
        2 => (name(), change).prop_map(|(name, change)| A::Adjust(name, change)),
        1 => (2..4u8, name()).prop_map(|(test, name)| A::Test(test, name)),
    ]
}

pub fn project_command(act: &ProjectAct) -> Command {
    match act {
        ProjectAct::Create(name, credits) => Command::PutProject(PutProject {
            project: ProjectName::from(*name),
            mode: PutMode::Create { credits: *credits },
            ..create_project(name)
        }),
        ProjectAct::Update(name, endpoints, runs, active) => update_project(
            name,
            PlanChange {
                max_concurrent_endpoints: Some(*endpoints),
                max_concurrent_runs: Some(*runs),
                max_run_endpoints: None,
                subscription_active: Some(*active),
            },
        ),
        ProjectAct::Delete(name) => delete_project(name),
        ProjectAct::Adjust(name, change) => adjust(name, *change),
        ProjectAct::Test(test, name) => test_of(*test, name, "smoke", 30),
    }
}
