//! The text below the flags.

/// What `--help` says after the flags, the same for both programs.
pub const AFTER_HELP: &str = "\
How it connects:
  The worker connects outbound to any node (gRPC, port 50052 by default), learns of the others from it, and moves to another
  when one dies. Nothing connects to the worker. While it is not connected its log says why, in one line for each cause:
  the name does not resolve, nothing listens, no answer in time (a firewall), the token is rejected or has expired, no leader.

Capacity:
  The smallest of: cores x --endpoints-per-core, memory / --memory-per-endpoint, --capacity. Cores and memory are those of the
  container if it has limits (cgroup v1 and v2), else of the host, as of the start. The log says which of them decided.
  SIP endpoints cost far more than scripted ones. How many of the endpoints may be of SIP is measured: what a call costs on this
  machine, and how much of a processor there is for it. --sip-capacity sets it instead.

Status page:
  GET /healthz shows the session, what is held, the capacity and the figures of CPU, memory and disk; GET /metrics is for
  Prometheus. /healthz answers 200 as long as the process works: losing the cluster is no reason to restart it.

How it ends:
  SIGTERM or SIGINT: a session worker drains (takes nothing new, finishes what it has, hangs up the rest at --drain-deadline), a
  ping worker unregisters. A second signal ends the process at once. A drain by the cluster that is to end in leaving ends the
  process with 0 when everything is finished.
  A rejected or expired token does not end the process: its endpoints go on, and it asks again every 5 to 30 seconds. If the
  token came from the --config file, that is read again: put a regenerated token there and nothing needs a restart.

Exit codes:
  0    left in order
  1    an error, or a drain that could not be completed
  5    must not be started again as it is: the worker was deleted, or a newer process holds its session
  130  a second signal";
