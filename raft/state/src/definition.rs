//! The rules that fields must keep: of test definitions (D9), workers, drains and keys. All broken rules are named at once.

mod probe;
mod sip;
mod webhook;

use std::collections::BTreeSet;

use crate::command::{
    AdjustCredits, CreateKey, CreditChange, FieldViolation, PutMode, PutProject, RecordChunk,
};
use crate::record::{Executor, Group, OnWorkerLoss, Role, SimExecutor, SimQuality, Span, TestDefinition};
use crate::state::State;
use crate::time::Millis;

pub use probe::{MAX_LIMIT, validate_probe};
pub use sip::{
    DEFAULT_ANSWER_TIMEOUT, DEFAULT_REGISTER_EXPIRES, MAX_ACCOUNTS_AT_ONCE, MAX_DTMF_DIGITS, MAX_MEDIA_BYTES,
    MAX_POOL_ACCOUNTS, MAX_RING, MAX_SIP_ACTIONS, MAX_SIP_SECRET_BYTES, MAX_SIP_URI_BYTES, is_host, is_place,
    is_sip_uri, ramp, register_before, register_buildup, sip_wait,
};
pub(crate) use sip::{validate_accounts, validate_media, validate_registrar};
pub(crate) use webhook::validate_webhook;
pub use webhook::{MAX_URL_BYTES, WebhookUrl, parse_webhook_url};

/// Longest name of a test, a group, a worker or a region, and longest label, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Most endpoints of a definition (D10).
pub const MAX_ENDPOINTS: u32 = 10_000_000;
/// Most groups of a definition.
pub const MAX_GROUPS: usize = 1_000;
/// Most labels of a selector or a worker.
pub const MAX_LABELS: usize = 64;
/// Longest a call, a build-up or a set-up may last, and longest safety limit (D12).
pub const MAX_EXECUTION: Millis = Millis::from_secs(24 * 3_600);
/// Longest wait in QUEUED (D11).
pub const MAX_QUEUE_TIMEOUT: Millis = Millis::from_secs(3_600);
/// How long a run waits in QUEUED unless its definition says otherwise (D11).
pub const DEFAULT_QUEUE_TIMEOUT: Millis = Millis::from_secs(5);
/// What endpoints may need to hang up, for the expected time of a run (R210).
pub const TEARDOWN: Millis = Millis::from_secs(10);

/// Most endpoint-minutes of a project: more than all machines of this world could use up.
pub const MAX_CREDITS: u64 = 1_000_000_000_000_000;
/// Largest limit on what a project may use at once.
pub const MAX_PLAN_LIMIT: u32 = 1_000_000_000;

/// Endpoint-minutes of so many endpoints for so long, rounded up.
pub fn endpoint_minutes(endpoints: u32, span: Millis) -> u64 {
    u64::from(endpoints).saturating_mul(span.0).div_ceil(60_000)
}

/// Endpoint-minutes that a run reserves: all its endpoints for the expected time.
pub fn credits_needed(definition: &TestDefinition) -> u64 {
    endpoint_minutes(definition.endpoints(), expected_execution(definition))
}

/// From the end of a group's build-up until the groups that call it start: what its last endpoints need to register.
pub const SETTLE: Millis = Millis::from_secs(2);

/// How long after the common start instant a group starts; of those that register and call: when their calls begin. Groups that
/// call nobody start at once; one that calls another starts when that one's build-up and [`SETTLE`] are over, so that every callee is in
/// place before its first caller, and not before it can be registered itself.
pub fn start_offset(definition: &TestDefinition, group: usize) -> Millis {
    let own = |group| register_before(definition, group).unwrap_or_default();
    let chain: Vec<usize> = callees(definition, group).take(definition.groups.len()).collect();
    let in_place = chain.iter().rev().fold(Millis(0), |before, callee| {
        before.max(own(*callee)) + ramp(definition, *callee) + SETTLE
    });
    in_place.max(own(group))
}

/// How many groups have to be in place before this one; receivers before callers. At most the number of groups, even
/// where a definition that was not validated goes round in a circle.
pub fn rank(definition: &TestDefinition, group: usize) -> usize {
    callees(definition, group).take(definition.groups.len()).count()
}

/// The group that a group calls, the one that that one calls, and so on; endless for a circle.
fn callees(definition: &TestDefinition, group: usize) -> impl Iterator<Item = usize> + '_ {
    std::iter::successors(Some(group), |at| callee(definition, *at)).skip(1)
}

fn callee(definition: &TestDefinition, group: usize) -> Option<usize> {
    let name = definition.groups.get(group)?.callee.as_ref()?;
    definition.groups.iter().position(|other| other.name == *name)
}

/// Expected time in RUNNING: build-up, longest set-up, call and teardown, and the wait of the last callers for those that
/// they call and for their own registrations (R148, R210).
pub fn expected_execution(definition: &TestDefinition) -> Millis {
    let setup = definition.groups.iter().map(|group| match &group.executor {
        Executor::Sim(sim) => sim.setup_max,
        Executor::Sip(sip) => sip.ring,
    });
    let groups = 0..definition.groups.len();
    let begun = groups.map(|group| start_offset(definition, group) + ramp(definition, group));
    let begun = begun.max().unwrap_or(definition.buildup);
    begun + setup.max().unwrap_or_default() + definition.duration + TEARDOWN
}

/// The safety limit of a definition that names none: twice the expected time and a minute, at most 24 h (D12).
pub fn default_max_execution(definition: &TestDefinition) -> Millis {
    let expected = expected_execution(definition);
    (expected + expected + Millis::from_secs(60)).min(MAX_EXECUTION)
}

/// Every rule that the definition breaks; none: it is good.
pub fn validate(definition: &TestDefinition) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.name("name", &definition.name);
    rules.span("duration", definition.duration, MAX_EXECUTION);
    rules.span("buildup", definition.buildup, MAX_EXECUTION);
    rules.span("queue_timeout", definition.queue_timeout, MAX_QUEUE_TIMEOUT);
    rules.span("max_execution", definition.max_execution, MAX_EXECUTION);
    rules.check(definition.duration.0 > 0, "duration", || {
        "must be longer than 0".into()
    });
    rules.check(definition.max_execution.0 > 0, "max_execution", || {
        "must be longer than 0".into()
    });
    let groups = definition.groups.len();
    rules.check(groups > 0, "groups", || "at least one group is needed".into());
    rules.check(groups <= MAX_GROUPS, "groups", || {
        format!("at most {MAX_GROUPS} groups, found {groups}")
    });
    let total: u64 = definition
        .groups
        .iter()
        .map(|group| u64::from(group.endpoints))
        .sum();
    rules.check(total <= u64::from(MAX_ENDPOINTS), "groups", || {
        format!("at most {MAX_ENDPOINTS} endpoints in all groups together, found {total}")
    });
    let mut names = BTreeSet::new();
    for (position, group) in definition.groups.iter().take(MAX_GROUPS).enumerate() {
        let path = format!("groups[{position}]");
        rules.group(&path, group);
        rules.check(names.insert(&group.name), &format!("{path}.name"), || {
            format!("{:?} is used by another group", group.name)
        });
        rules.callee(&path, definition, position);
        rules.sip_callee(&path, definition, position);
    }
    if let OnWorkerLoss::FailAbove { share_ppm } = definition.on_worker_loss {
        rules.check(share_ppm < 1_000_000, "on_worker_loss.fail_above", || {
            "must be below 100%: a run that lost all of its workers fails anyway".into()
        });
    }
    rules.violations
}

/// A worker id that no worker has is refused when the definition is submitted (D10).
pub fn unknown_workers(definition: &TestDefinition, state: &State) -> Vec<FieldViolation> {
    let named = definition
        .groups
        .iter()
        .enumerate()
        .filter_map(|(at, group)| Some((at, group.selector.worker?)));
    named
        .filter(|(_, id)| {
            state
                .worker(*id)
                .is_none_or(|worker| worker.facts.deleted_at.is_some())
        })
        .map(|(position, id)| FieldViolation {
            field: format!("groups[{position}].worker"),
            rule: format!("there is no worker {id}"),
        })
        .collect()
}

/// Longest that a token or a key may be good for: ten years.
pub const MAX_TTL: Millis = Millis::from_secs(10 * 365 * 24 * 3_600);
/// Longest deadline of a drain.
pub const MAX_DRAIN: Millis = Millis::from_secs(7 * 24 * 3_600);
/// Most function blocks of a worker.
pub const MAX_FUNCTION_BLOCKS: usize = 256;
/// Longest reason that people give, in bytes.
pub const MAX_REASON_BYTES: usize = 1_024;

/// The rules for how long a secret is good.
pub(crate) fn validate_ttl(field: &str, ttl: Option<Millis>) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    if let Some(ttl) = ttl {
        rules.check(ttl.0 > 0, field, || "must be longer than 0".into());
        rules.span(field, ttl, MAX_TTL);
    }
    rules.violations
}

/// The rules for a caller's key. The first key must be one that can create others, for ever: nobody could replace it.
pub(crate) fn validate_key(command: &CreateKey) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.name("name", &command.name);
    rules.name("project", &command.project);
    rules.violations.extend(validate_ttl("ttl_s", command.ttl));
    let first = command.bootstrap;
    rules.check(!first || command.role == Role::Admin, "role", || {
        "the first key must be an ADMIN's".into()
    });
    rules.check(!first || command.ttl.is_none(), "ttl_s", || {
        "the first key must not expire".into()
    });
    rules.violations
}

/// Most chunks of evidence of an assignment and kind; a worker makes fewer than ten a minute, and ever longer ones.
pub const MAX_CHUNKS: u32 = 10_000;
/// Most bytes of a chunk of evidence.
pub const MAX_CHUNK_BYTES: u64 = 2 * 1_024 * 1_024;
/// Longest path of a chunk, in bytes.
const MAX_PATH_BYTES: usize = 256;

/// The rules for a chunk of evidence.
pub(crate) fn validate_chunk(command: &RecordChunk) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.check(command.seq < MAX_CHUNKS, "seq", || {
        format!("at most {MAX_CHUNKS} chunks of a kind")
    });
    rules.check(command.bytes <= MAX_CHUNK_BYTES, "data", || {
        format!("at most {MAX_CHUNK_BYTES} bytes, found {}", command.bytes)
    });
    let path = command.path.len();
    rules.check((1..=MAX_PATH_BYTES).contains(&path), "path", || {
        format!("between 1 and {MAX_PATH_BYTES} bytes, found {path}")
    });
    rules.check(command.first_at <= command.last_at, "first_at", || {
        "must not be after last_at".into()
    });
    rules.violations
}

/// The rules for a project and its plan.
pub(crate) fn validate_project(command: &PutProject) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.name("name", command.project.as_str());
    let plan = &command.plan;
    for (field, limit) in [
        ("max_concurrent_endpoints", plan.max_concurrent_endpoints),
        ("max_concurrent_runs", plan.max_concurrent_runs),
        ("max_run_endpoints", plan.max_run_endpoints),
    ] {
        rules.check(limit.is_none_or(|limit| limit <= MAX_PLAN_LIMIT), field, || {
            format!("at most {MAX_PLAN_LIMIT}; 0 for no limit")
        });
    }
    if let PutMode::Create {
        credits: Some(credits),
    } = command.mode
    {
        rules.credits("credits", credits);
    }
    rules.violations
}

/// The rules for a change of credits.
pub(crate) fn validate_adjustment(command: &AdjustCredits) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    match command.change {
        CreditChange::Set(credits) => rules.credits("set", credits),
        CreditChange::Add(more) => rules.check(more != 0, "add", || "must not be 0".into()),
        CreditChange::Unlimited => {}
    }
    rules.check(!command.reason.is_empty(), "reason", || "is required".into());
    rules.reason("reason", &command.reason);
    rules.violations
}

/// The rules for a drain.
pub(crate) fn validate_drain(reason: &str, deadline: Millis) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.reason("reason", reason);
    rules.span("deadline_s", deadline, MAX_DRAIN);
    rules.violations
}

/// The rules for what a ping worker says of itself.
pub(crate) fn validate_registration(
    version: &str,
    ip_address: &str,
    function_blocks: &BTreeSet<String>,
) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.text("version", version);
    let plausible = ip_address.is_empty() || ip_address.parse::<std::net::IpAddr>().is_ok();
    rules.check(plausible, "ip_address", || {
        "must be an IPv4 or IPv6 address, or be left out".into()
    });
    let count = function_blocks.len();
    rules.check(count <= MAX_FUNCTION_BLOCKS, "function_blocks", || {
        format!("at most {MAX_FUNCTION_BLOCKS} function blocks, found {count}")
    });
    for block in function_blocks.iter().take(MAX_FUNCTION_BLOCKS) {
        rules.check(is_function_block(block), "function_blocks", || {
            let shown: String = block.chars().take(MAX_NAME_BYTES).collect();
            format!("{shown:?} is not of the form package/name:major.minor.patch")
        });
    }
    rules.violations
}

/// `package/name:major.minor.patch` (D17).
fn is_function_block(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let number =
        |part: &str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
    let Some((path, version)) = text.split_once(':') else {
        return false;
    };
    let Some((package, name)) = path.split_once('/') else {
        return false;
    };
    let parts: Vec<&str> = version.split('.').collect();
    text.len() <= MAX_NAME_BYTES
        && word(package)
        && word(name)
        && parts.len() == 3
        && parts.into_iter().all(number)
}

/// The rules for a worker's own fields.
pub(crate) fn validate_worker(
    name: &str,
    region: &str,
    labels: &std::collections::BTreeMap<String, String>,
    capacity: Option<u32>,
) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.name("name", name);
    rules.text("region", region);
    rules.labels("labels", labels);
    rules.check(capacity != Some(0), "capacity", || "must be at least 1".into());
    rules.check(
        capacity.is_none_or(|capacity| capacity <= MAX_ENDPOINTS),
        "capacity",
        || format!("at most {MAX_ENDPOINTS}"),
    );
    rules.violations
}

#[derive(Default)]
struct Rules {
    violations: Vec<FieldViolation>,
}

impl Rules {
    fn check(&mut self, holds: bool, field: &str, rule: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(FieldViolation {
                field: field.to_owned(),
                rule: rule(),
            });
        }
    }

    fn name(&mut self, field: &str, name: &str) {
        self.check(!name.is_empty(), field, || "must not be empty".into());
        self.text(field, name);
    }

    fn credits(&mut self, field: &str, credits: u64) {
        self.check(credits <= MAX_CREDITS, field, || {
            format!("at most {MAX_CREDITS} endpoint-minutes, found {credits}")
        });
    }

    fn reason(&mut self, field: &str, reason: &str) {
        let bytes = reason.len();
        self.check(bytes <= MAX_REASON_BYTES, field, || {
            format!("at most {MAX_REASON_BYTES} bytes, found {bytes}")
        });
        let plain = reason.chars().all(|c| !c.is_control());
        self.check(plain, field, || "no control characters".into());
    }

    fn text(&mut self, field: &str, text: &str) {
        let bytes = text.len();
        self.check(bytes <= MAX_NAME_BYTES, field, || {
            format!("at most {MAX_NAME_BYTES} bytes, found {bytes}")
        });
        let plain = text.chars().all(|c| !c.is_control()) && text.trim() == text;
        self.check(plain, field, || {
            "no control characters, no spaces at the ends".into()
        });
    }

    fn span(&mut self, field: &str, span: Millis, most: Millis) {
        self.check(span <= most, field, || format!("at most {most}, found {span}"));
    }

    fn labels(&mut self, field: &str, labels: &std::collections::BTreeMap<String, String>) {
        let count = labels.len();
        self.check(count <= MAX_LABELS, field, || {
            format!("at most {MAX_LABELS} labels, found {count}")
        });
        for (key, value) in labels.iter().take(MAX_LABELS) {
            self.name(&format!("{field}[{key:?}]"), key);
            self.text(&format!("{field}[{key:?}]"), value);
        }
    }

    fn group(&mut self, path: &str, group: &Group) {
        self.name(&format!("{path}.name"), &group.name);
        let endpoints = group.endpoints;
        self.check(endpoints > 0, &format!("{path}.endpoints"), || {
            "must be at least 1".into()
        });
        self.check(endpoints <= MAX_ENDPOINTS, &format!("{path}.endpoints"), || {
            format!("at most {MAX_ENDPOINTS}, found {endpoints}")
        });
        if let Some(region) = &group.selector.region {
            self.name(&format!("{path}.region"), region);
        }
        self.labels(&format!("{path}.labels"), &group.selector.labels);
        match &group.executor {
            Executor::Sim(sim) => self.sim(path, sim),
            Executor::Sip(sip) => self.sip(path, sip, group.callee.is_some() || sip.uri.is_some()),
        }
    }

    fn callee(&mut self, path: &str, definition: &TestDefinition, position: usize) {
        let Some(name) = &definition.groups[position].callee else {
            return;
        };
        let field = format!("{path}.callee.group");
        let Some(found) = callee(definition, position) else {
            self.check(false, &field, || format!("there is no group {name:?}"));
            return;
        };
        self.check(found != position, &field, || {
            "a group cannot call itself: split it into callers and receivers".into()
        });
        let mut chain = callees(definition, position).take(definition.groups.len());
        let circle = found != position && chain.any(|group| group == position);
        self.check(!circle, &field, || {
            format!("{name:?} calls back, directly or through others: neither could start first")
        });
    }

    fn sim(&mut self, path: &str, sim: &SimExecutor) {
        let setup = format!("{path}.sim.setup");
        self.span(&setup, sim.setup_max, MAX_EXECUTION);
        self.check(sim.setup_min <= sim.setup_max, &setup, || {
            format!(
                "begins at {} and ends before it, at {}",
                sim.setup_min, sim.setup_max
            )
        });
        let outcomes = format!("{path}.sim.outcomes");
        let sum: u64 = sim.outcomes.iter().map(|share| u64::from(share.share_ppm)).sum();
        self.check(sim.outcomes.is_empty() || sum == 1_000_000, &outcomes, || {
            format!(
                "the shares must sum to 1, they sum to {}.{:06}",
                sum / 1_000_000,
                sum % 1_000_000
            )
        });
        let distinct: BTreeSet<_> = sim.outcomes.iter().map(|share| share.outcome).collect();
        self.check(distinct.len() == sim.outcomes.len(), &outcomes, || {
            "an outcome is named twice".into()
        });
        if let Some(quality) = &sim.quality {
            self.quality(&format!("{path}.sim.quality"), quality);
        }
    }

    fn quality(&mut self, path: &str, quality: &SimQuality) {
        let minute = 60_000_000;
        let figures = [
            ("mos", quality.mos, 1_000, 5_000),
            ("jitter_ms", quality.jitter_ms, 0, minute),
            ("rtt_ms", quality.rtt_ms, 0, minute),
            ("fraction_lost", quality.fraction_lost, 0, 1_000),
        ];
        for (name, span, least, most) in figures {
            let Some(Span { min_milli, max_milli }) = span else {
                continue;
            };
            let field = format!("{path}.{name}");
            self.check(min_milli <= max_milli, &field, || "begins above its end".into());
            self.check(least <= min_milli && max_milli <= most, &field, || {
                format!("must be between {} and {}", least / 1_000, most / 1_000)
            });
        }
        let some = figures.iter().any(|(_, span, ..)| span.is_some());
        self.check(some, path, || {
            "names none of mos, jitter_ms, rtt_ms, fraction_lost".into()
        });
    }
}
