//! Which of a worker's resources are above their thresholds (R41, R59, R60), with hysteresis, so that one that hovers around its
//! threshold does not fill the log.

use reeve_proto::v1::HealthReport;
use reeve_state::transition::worker::{HealthIssue, Resource};

use crate::config::HealthThresholds;

/// An issue is over when its resource is used less than the threshold minus this, per cent.
const HYSTERESIS: u32 = 5;

/// What follows from a report, given the issues in force. A resource used more than its threshold is an issue; an issue keeps the
/// figure with which it was raised.
pub(crate) fn assess(
    in_force: &[HealthIssue],
    report: &HealthReport,
    thresholds: HealthThresholds,
) -> Vec<HealthIssue> {
    let one = |resource| {
        assess_one(
            in_force,
            resource,
            used(report, resource),
            threshold(thresholds, resource),
        )
    };
    Resource::ALL.into_iter().filter_map(one).collect()
}

const fn threshold(thresholds: HealthThresholds, resource: Resource) -> u32 {
    match resource {
        Resource::Cpu => thresholds.cpu_percent,
        Resource::Memory => thresholds.memory_percent,
        Resource::Disk => thresholds.disk_percent,
    }
}

fn assess_one(
    in_force: &[HealthIssue],
    resource: Resource,
    percent: u32,
    threshold: u32,
) -> Option<HealthIssue> {
    match in_force.iter().find(|issue| issue.resource == resource) {
        Some(issue) if percent >= threshold.saturating_sub(HYSTERESIS) => Some(*issue),
        Some(_) => None,
        None if percent > threshold => Some(HealthIssue {
            resource,
            percent: u8::try_from(percent).unwrap_or(u8::MAX),
        }),
        None => None,
    }
}

const fn used(report: &HealthReport, resource: Resource) -> u32 {
    match resource {
        Resource::Cpu => report.cpu_percent,
        Resource::Memory => report.memory_percent,
        Resource::Disk => report.disk_percent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(percent: u32) -> HealthReport {
        HealthReport {
            cpu_percent: percent,
            ..HealthReport::default()
        }
    }

    fn all(percent: u32) -> HealthThresholds {
        HealthThresholds {
            cpu_percent: percent,
            memory_percent: percent,
            disk_percent: percent,
        }
    }

    fn issue(resource: Resource, percent: u8) -> HealthIssue {
        HealthIssue { resource, percent }
    }

    // Covers: R41, R59, R60
    #[test]
    fn an_issue_is_raised_above_90_and_cleared_below_85() {
        let none: &[HealthIssue] = &[];
        let high = [issue(Resource::Cpu, 95)];
        let rows: [(&[HealthIssue], u32, &[HealthIssue]); 7] = [
            (none, 0, none),
            (none, 90, none),
            (none, 95, &high),
            (&high, 99, &high),
            (&high, 90, &high),
            (&high, 85, &high),
            (&high, 84, none),
        ];
        for (in_force, percent, expected) in rows {
            assert_eq!(
                assess(in_force, &cpu(percent), all(90)),
                expected,
                "{in_force:?} then {percent} %"
            );
        }
    }

    // Covers: R41, R59, R60
    #[test]
    fn each_resource_has_a_threshold_of_its_own() {
        let report = HealthReport {
            cpu_percent: 80,
            memory_percent: 80,
            disk_percent: 80,
        };
        let thresholds = HealthThresholds {
            cpu_percent: 79,
            memory_percent: 80,
            disk_percent: 100,
        };
        assert_eq!(assess(&[], &report, thresholds), [issue(Resource::Cpu, 80)]);
    }

    #[test]
    fn resources_are_judged_one_by_one() {
        let report = HealthReport {
            cpu_percent: 50,
            memory_percent: 91,
            disk_percent: 86,
        };
        let before = [issue(Resource::Cpu, 92), issue(Resource::Disk, 97)];
        let after = [issue(Resource::Memory, 91), issue(Resource::Disk, 97)];
        assert_eq!(assess(&before, &report, all(90)), after);
        assert_eq!(assess(&[], &cpu(100), all(100)), [], "100 switches it off");
    }
}
