//! Bytes of projects, of the commands on them, and of what their plans forbid.

use reeve_proto::internal as wire;
use reeve_state::command::{
    AdjustCredits, CreditChange, DeleteProject, PlanChange, PlanFault, PutMode, PutProject,
};
use reeve_state::id::{ProjectName, Revision};
use reeve_state::record::{CreditAdjustment, Plan, Project};
use reeve_state::time::Time;

use super::{DecodeError, Wire, optional};

impl Wire for PutProject {
    type Proto = wire::PutProject;

    fn to_proto(&self) -> Self::Proto {
        use wire::put_project::{CreateProject, Mode};
        let mode = match self.mode {
            PutMode::Create { credits } => Mode::Create(CreateProject { credits }),
            PutMode::Update => Mode::Update(wire::Empty {}),
        };
        wire::PutProject {
            project: self.project.to_string(),
            mode: Some(mode),
            max_concurrent_endpoints: self.plan.max_concurrent_endpoints,
            max_concurrent_runs: self.plan.max_concurrent_runs,
            max_run_endpoints: self.plan.max_run_endpoints,
            subscription_active: self.plan.subscription_active,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::put_project::Mode;
        let mode = match proto.mode.ok_or(DecodeError::UnknownKind("mode"))? {
            Mode::Create(create) => PutMode::Create {
                credits: create.credits,
            },
            Mode::Update(_) => PutMode::Update,
        };
        Ok(Self {
            project: ProjectName::from(proto.project.as_str()),
            mode,
            plan: PlanChange {
                max_concurrent_endpoints: proto.max_concurrent_endpoints,
                max_concurrent_runs: proto.max_concurrent_runs,
                max_run_endpoints: proto.max_run_endpoints,
                subscription_active: proto.subscription_active,
            },
        })
    }
}

impl Wire for DeleteProject {
    type Proto = wire::DeleteProject;

    fn to_proto(&self) -> Self::Proto {
        wire::DeleteProject {
            project: self.project.to_string(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            project: ProjectName::from(proto.project.as_str()),
        })
    }
}

impl Wire for AdjustCredits {
    type Proto = wire::AdjustCredits;

    fn to_proto(&self) -> Self::Proto {
        use wire::adjust_credits::Change;
        let change = match self.change {
            CreditChange::Add(more) => Change::Add(more),
            CreditChange::Set(credits) => Change::Set(credits),
            CreditChange::Unlimited => Change::Unlimited(wire::Empty {}),
        };
        wire::AdjustCredits {
            project: self.project.to_string(),
            change: Some(change),
            reason: self.reason.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::adjust_credits::Change;
        let change = match proto.change.ok_or(DecodeError::UnknownKind("change"))? {
            Change::Add(more) => CreditChange::Add(more),
            Change::Set(credits) => CreditChange::Set(credits),
            Change::Unlimited(_) => CreditChange::Unlimited,
        };
        Ok(Self {
            project: ProjectName::from(proto.project.as_str()),
            change,
            reason: proto.reason,
        })
    }
}

impl Wire for Project {
    type Proto = wire::Project;

    fn to_proto(&self) -> Self::Proto {
        wire::Project {
            name: self.name.to_string(),
            max_concurrent_endpoints: self.plan.max_concurrent_endpoints,
            max_concurrent_runs: self.plan.max_concurrent_runs,
            max_run_endpoints: self.plan.max_run_endpoints,
            subscription_active: self.plan.subscription_active,
            credits: self.credits,
            credits_spent: self.credits_spent,
            last_adjustment: self.last_adjustment.as_ref().map(Wire::to_proto),
            created_at_ms: self.created_at.0,
            updated_at_ms: self.updated_at.0,
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            name: ProjectName::from(proto.name.as_str()),
            plan: Plan {
                max_concurrent_endpoints: proto.max_concurrent_endpoints,
                max_concurrent_runs: proto.max_concurrent_runs,
                max_run_endpoints: proto.max_run_endpoints,
                subscription_active: proto.subscription_active,
            },
            credits: proto.credits,
            credits_spent: proto.credits_spent,
            last_adjustment: optional(proto.last_adjustment)?,
            created_at: Time(proto.created_at_ms),
            updated_at: Time(proto.updated_at_ms),
            created_by: optional(proto.created_by)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for CreditAdjustment {
    type Proto = wire::CreditAdjustment;

    fn to_proto(&self) -> Self::Proto {
        wire::CreditAdjustment {
            at_ms: self.at.0,
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            left: self.left,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            at: Time(proto.at_ms),
            actor: proto.actor,
            reason: proto.reason,
            left: proto.left,
        })
    }
}

impl Wire for PlanFault {
    type Proto = wire::PlanFault;

    fn to_proto(&self) -> Self::Proto {
        use wire::plan_fault::{self as fault, Fault};
        let (project, fault) = match self.clone() {
            Self::NoProject { project } => (project, Fault::NoProject(wire::Empty {})),
            Self::SubscriptionInactive { project } => (project, Fault::SubscriptionInactive(wire::Empty {})),
            Self::RunEndpoints {
                project,
                limit,
                asked,
            } => (project, Fault::RunEndpoints(fault::RunEndpoints { limit, asked })),
            Self::ConcurrentEndpoints {
                project,
                limit,
                in_use,
                runs,
                asked,
            } => {
                let fault = fault::ConcurrentEndpoints {
                    limit,
                    in_use,
                    runs,
                    asked,
                };
                (project, Fault::ConcurrentEndpoints(fault))
            }
            Self::ConcurrentRuns {
                project,
                limit,
                in_use,
            } => (
                project,
                Fault::ConcurrentRuns(fault::ConcurrentRuns { limit, in_use }),
            ),
            Self::Credits {
                project,
                left,
                reserved,
                needed,
            } => {
                let fault = fault::Credits {
                    left,
                    reserved,
                    needed,
                };
                (project, Fault::Credits(fault))
            }
        };
        wire::PlanFault {
            project: project.to_string(),
            fault: Some(fault),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::plan_fault::Fault;
        let project = ProjectName::from(proto.project.as_str());
        Ok(match proto.fault.ok_or(DecodeError::UnknownKind("fault"))? {
            Fault::NoProject(_) => Self::NoProject { project },
            Fault::SubscriptionInactive(_) => Self::SubscriptionInactive { project },
            Fault::RunEndpoints(fault) => Self::RunEndpoints {
                project,
                limit: fault.limit,
                asked: fault.asked,
            },
            Fault::ConcurrentEndpoints(fault) => Self::ConcurrentEndpoints {
                project,
                limit: fault.limit,
                in_use: fault.in_use,
                runs: fault.runs,
                asked: fault.asked,
            },
            Fault::ConcurrentRuns(fault) => Self::ConcurrentRuns {
                project,
                limit: fault.limit,
                in_use: fault.in_use,
            },
            Fault::Credits(fault) => Self::Credits {
                project,
                left: fault.left,
                reserved: fault.reserved,
                needed: fault.needed,
            },
        })
    }
}
