//! `grpc.health.v1`: alive, ready, and whether this node leads.

use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::context::Context;
use crate::readiness;

/// SERVING only on the leader, so that a health-checking client finds it.
pub const LEADER: &str = "reeve.v1.Leader";
/// SERVING as long as the process works.
pub const LIVENESS: &str = "liveness";
/// SERVING while the node has a leader and is caught up.
pub const READINESS: &str = "readiness";

/// How often readiness is looked at, if leadership does not change meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the reported statuses true until the node stops; then nothing serves any more.
pub async fn report(context: Context, reporter: HealthReporter) {
    let mut leadership = context.store.leadership();
    reporter
        .set_service_status(LIVENESS, ServingStatus::Serving)
        .await;
    reporter.set_service_status("", ServingStatus::Serving).await;
    while !context.shutdown.is_cancelled() {
        let now = *leadership.borrow_and_update();
        let leads = now.established && now.leader == Some(context.config.id);
        if !leads {
            reporter.set_service_status(LEADER, serving(false)).await;
        }
        let look = async {
            let ready = readiness::check(&context).await.is_ok();
            reporter.set_service_status(READINESS, serving(ready)).await;
            // A leader that lost its majority does not notice at once; readiness asks the others.
            reporter.set_service_status(LEADER, serving(leads && ready)).await;
            tokio::time::sleep(LOOK_INTERVAL).await;
        };
        tokio::select! {
            () = context.shutdown.cancelled() => {}
            changed = leadership.changed() => if changed.is_err() { break },
            () = look => {}
        }
    }
    for service in ["", LEADER, READINESS] {
        reporter
            .set_service_status(service, ServingStatus::NotServing)
            .await;
    }
}

const fn serving(serves: bool) -> ServingStatus {
    if serves {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}
