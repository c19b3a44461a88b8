//! The last second of an assignment, in figures that can be added up over workers (R143).

use std::collections::BTreeMap;

use reeve_proto::response::Response;
use reeve_proto::v1::{EndpointDistribution, LiveAssignment, LiveMetric};

use super::Milli;
use crate::executor::AssignmentKey;

/// Sums of one second, and counts as they stand.
#[derive(Debug, Default)]
pub struct Live {
    pub phases: [u32; 8],
    pub outcomes: [u32; 8],
    metrics: Vec<LiveMetric>,
    responses: BTreeMap<Response, u32>,
}

impl Live {
    pub fn sample(&mut self, metric: &str, value: Milli) {
        let known = self.metrics.iter_mut().find(|known| known.metric == metric);
        match known {
            Some(known) => {
                known.count += 1;
                known.sum_milli = known.sum_milli.saturating_add(value);
                known.min_milli = known.min_milli.min(value);
                known.max_milli = known.max_milli.max(value);
            }
            None => self.metrics.push(LiveMetric {
                metric: metric.to_owned(),
                count: 1,
                sum_milli: value,
                min_milli: value,
                max_milli: value,
            }),
        }
    }

    /// A request was answered.
    pub fn answered(&mut self, response: Response) {
        *self.responses.entry(response).or_default() += 1;
    }

    /// What the second came to; the next one begins.
    pub fn take(&mut self, key: &AssignmentKey) -> LiveAssignment {
        LiveAssignment {
            run_id: key.run_id.to_string(),
            epoch: key.epoch,
            phases: self.phases.to_vec(),
            outcomes: self.outcomes.to_vec(),
            metrics: std::mem::take(&mut self.metrics),
            responses: self
                .responses
                .iter()
                .map(|(response, count)| EndpointDistribution {
                    name: response.to_string(),
                    count: *count,
                })
                .collect(),
        }
    }
}
