//! The rules for groups of SIP endpoints.

use std::collections::BTreeSet;

use super::{MAX_NAME_BYTES, Rules, callee, callees};
use crate::command::{FieldViolation, PutAccounts, PutMedia, PutRegistrar};
use crate::record::{Executor, Group, SipAccountKey, SipAction, SipDeed, SipExecutor, TestDefinition};
use crate::state::State;
use crate::time::Millis;

/// Most actions of a group.
pub const MAX_SIP_ACTIONS: usize = 30;
/// Most digits of an action.
pub const MAX_DTMF_DIGITS: usize = 64;
/// Longest SIP URI, in bytes.
pub const MAX_SIP_URI_BYTES: usize = 256;
/// How long a caller waits for an answer unless its definition says otherwise: Timer B of RFC 3261.
pub const DEFAULT_ANSWER_TIMEOUT: Millis = Millis::from_secs(32);
/// What REGISTER asks for unless the definition says otherwise.
pub const DEFAULT_REGISTER_EXPIRES: Millis = Millis::from_secs(600);
/// Longest ring, and longest wait for an answer.
pub const MAX_RING: Millis = Millis::from_secs(600);
/// Shortest wait for an answer.
pub const MIN_ANSWER_TIMEOUT: Millis = Millis::from_secs(1);
/// Shortest registration.
pub const MIN_REGISTER_EXPIRES: Millis = Millis::from_secs(10);
/// Longest registration.
pub const MAX_REGISTER_EXPIRES: Millis = Millis::from_secs(24 * 3_600);
/// What those that wait for calls allow their callers beyond the plan, to register and to be late.
pub const WAIT_GRACE: Millis = Millis::from_secs(10);

/// Over what time the endpoints of a group register; `None`: they do not.
pub fn register_buildup(definition: &TestDefinition, group: usize) -> Option<Millis> {
    let sip = definition.groups.get(group)?.sip()?;
    let registers = sip.register_expires > Millis(0);
    registers.then(|| sip.register_buildup.unwrap_or(definition.buildup))
}

/// How long before its calls begin a group begins to register, which takes its own build-up and [`super::SETTLE`]. `None`: it does not
/// register, or does not call.
pub fn register_before(definition: &TestDefinition, group: usize) -> Option<Millis> {
    let calls = calls(definition.groups.get(group)?);
    let buildup = register_buildup(definition, group).filter(|_| calls)?;
    Some(buildup + super::SETTLE)
}

fn calls(group: &Group) -> bool {
    group.callee.is_some() || group.sip().is_some_and(|sip| sip.uri.is_some())
}

/// Over what time the endpoints of a group start: the build-up, but those that wait for calls start with their registration.
pub fn ramp(definition: &TestDefinition, group: usize) -> Millis {
    let waits = definition.groups.get(group).is_some_and(|group| !calls(group));
    let registers = register_buildup(definition, group).filter(|_| waits);
    registers.unwrap_or(definition.buildup)
}

/// How long each endpoint of a group waits for its call since its own start: until the last group that calls it has begun,
/// that one's build-up and a call are over, and [`WAIT_GRACE`]. If no group calls it, as if one did.
pub fn sip_wait(definition: &TestDefinition, group: usize) -> Millis {
    let own = super::start_offset(definition, group);
    let callers = (0..definition.groups.len()).filter(|other| callee(definition, *other) == Some(group));
    let last = callers
        .map(|caller| super::start_offset(definition, caller))
        .max();
    let head = last.map_or(ramp(definition, group) + super::SETTLE, |last| {
        Millis(last.0.saturating_sub(own.0))
    });
    head + definition.buildup + definition.duration + WAIT_GRACE
}

/// Whether it is a SIP URI that can stand in a request: `sip:` or `sips:`, perhaps a user, a host, perhaps a port and parameters.
pub fn is_sip_uri(text: &str) -> bool {
    let rest = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:"));
    let Some(rest) = rest.filter(|_| text.len() <= MAX_SIP_URI_BYTES) else {
        return false;
    };
    let printable = rest
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte));
    let (user, place) = match rest.split_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let place = place.split([';', '?']).next().unwrap_or_default();
    printable && user.is_none_or(|user| !user.is_empty()) && !place.contains('@') && is_place(place)
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
pub fn is_place(text: &str) -> bool {
    let (host, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (None, rest),
        Some(_) => return false,
        None => {
            let at = text.find(':').unwrap_or(text.len());
            let (host, rest) = text.split_at(at);
            (Some(host), rest)
        }
    };
    let port = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    port && host.is_none_or(is_host)
}

/// A name of DNS or an IPv4 address.
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        label.len() <= 63
            && edge(label.bytes().next())
            && edge(label.bytes().last())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= MAX_SIP_URI_BYTES && text.split('.').all(label)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Most accounts of a pool.
pub const MAX_POOL_ACCOUNTS: usize = 10_000;
/// Most accounts that are written by one call.
pub const MAX_ACCOUNTS_AT_ONCE: usize = 1_000;
/// Longest secret of an account, in bytes.
pub const MAX_SIP_SECRET_BYTES: usize = 256;
/// What sealing adds to a secret: nonce and tag.
pub const SEAL_BYTES: usize = 24 + 16;
/// Most bytes of a media file.
pub const MAX_MEDIA_BYTES: u64 = 1 << 20;

/// The rules for a registrar.
pub(crate) fn validate_registrar(command: &PutRegistrar) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.name("name", &command.key.name);
    let host = "must be a host name or an IP address, without a port";
    let literal = |text: &str| !text.contains("]:") && text.starts_with('[') && is_place(text);
    rules.check(
        is_host(&command.domain) || literal(&command.domain),
        "domain",
        || host.into(),
    );
    if let Some(name) = &command.host {
        rules.check(is_host(name) || literal(name), "host", || host.into());
    }
    rules.check(command.port != Some(0), "port", || {
        "must be between 1 and 65535".into()
    });
    if let Some(proxy) = &command.outbound_proxy {
        rules.check(is_sip_uri(proxy), "outbound_proxy", || {
            "must be a SIP URI such as sip:proxy.example.com;lr".into()
        });
    }
    rules.violations
}

/// The rules for accounts of a pool.
pub(crate) fn validate_accounts(command: &PutAccounts, state: &State) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.name("pool", &command.pool.name);
    let count = command.accounts.len();
    rules.check((1..=MAX_ACCOUNTS_AT_ONCE).contains(&count), "accounts", || {
        format!("between 1 and {MAX_ACCOUNTS_AT_ONCE} accounts a call, found {count}; send more in parts")
    });
    let mut names = BTreeSet::new();
    let mut more = 0;
    for (position, account) in command.accounts.iter().take(MAX_ACCOUNTS_AT_ONCE).enumerate() {
        let path = format!("accounts[{position}]");
        let name = &account.username;
        let field = format!("{path}.username");
        rules.name(&field, name);
        rules.check(name.bytes().all(is_user_byte), &field, || {
            "only letters, digits and any of - _ . ~ ! * ' ( ) & = + $ / can stand in a SIP user name".into()
        });
        rules.check(names.insert(name), &field, || {
            format!("{name:?} stands here twice")
        });
        if let Some(realm) = &account.realm {
            rules.name(&format!("{path}.realm"), realm);
            rules.check(!realm.contains(['"', '\\']), &format!("{path}.realm"), || {
                "no quotes, no backslashes".into()
            });
        }
        if let Some(secret) = &account.secret {
            let most = MAX_SIP_SECRET_BYTES + SEAL_BYTES;
            rules.check(
                (SEAL_BYTES..=most).contains(&secret.sealed.len()),
                &format!("{path}.secret"),
                || format!("at most {MAX_SIP_SECRET_BYTES} bytes"),
            );
        }
        let key = SipAccountKey {
            pool: command.pool.clone(),
            username: std::sync::Arc::clone(name),
        };
        more += usize::from(state.sip_account(&key).is_none());
    }
    let sum = state.pool_size(&command.pool) as usize + more;
    rules.check(sum <= MAX_POOL_ACCOUNTS, "accounts", || {
        format!("at most {MAX_POOL_ACCOUNTS} accounts in a pool, this would make {sum}")
    });
    rules.violations
}

/// What may stand in the user part of a SIP URI without being escaped, less what some servers read otherwise.
const fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b'~' | b'!' | b'*' | b'\'' | b'(' | b')' | b'&' | b'=' | b'+' | b'$' | b'/'
        )
}

/// The rules for a media file; what it is made of is checked where its bytes are.
pub(crate) fn validate_media(command: &PutMedia) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.name("name", &command.key.name);
    rules.check((1..=MAX_MEDIA_BYTES).contains(&command.bytes), "content", || {
        format!("between 1 and {MAX_MEDIA_BYTES} bytes, found {}", command.bytes)
    });
    rules.violations
}

impl Rules {
    /// What can be said of the group alone.
    pub(super) fn sip(&mut self, path: &str, sip: &SipExecutor, calls: bool) {
        let sip_path = format!("{path}.sip");
        self.name(&format!("{sip_path}.registrar"), &sip.registrar);
        self.name(&format!("{sip_path}.accounts"), &sip.accounts);
        if let Some(media) = &sip.media {
            self.name(&format!("{sip_path}.media"), media);
        }
        if let Some(uri) = &sip.uri {
            self.check(is_sip_uri(uri), &format!("{path}.callee.uri"), || {
                format!(
                    "{:?} is not a SIP URI such as sip:echo@example.com, at most {MAX_SIP_URI_BYTES} bytes",
                    uri.chars().take(MAX_NAME_BYTES).collect::<String>()
                )
            });
        }
        let distinct: BTreeSet<_> = sip.codecs.iter().collect();
        let codecs = format!("{sip_path}.codecs");
        self.check(!sip.codecs.is_empty(), &codecs, || {
            "at least one is needed".into()
        });
        self.check(distinct.len() == sip.codecs.len(), &codecs, || {
            "a codec is named twice".into()
        });
        self.sip_times(&sip_path, sip);
        self.register_buildup(&sip_path, sip);
        let silent = sip.register_expires == Millis(0);
        self.check(calls || !silent, &format!("{sip_path}.register_expires"), || {
            "only a group that calls may do without a registration (0s): nobody finds one that waits for calls".into()
        });
        let actions = format!("{sip_path}.actions");
        self.check(calls || sip.actions.is_empty(), &actions, || {
            "only a group that calls acts in its calls: it needs a callee".into()
        });
        let count = sip.actions.len();
        self.check(count <= MAX_SIP_ACTIONS, &actions, || {
            format!("at most {MAX_SIP_ACTIONS} actions, found {count}")
        });
        let mut before = Millis(0);
        for (position, action) in sip.actions.iter().take(MAX_SIP_ACTIONS).enumerate() {
            self.sip_action(&format!("{actions}[{position}]"), action, before);
            before = action.at;
        }
    }

    fn sip_times(&mut self, path: &str, sip: &SipExecutor) {
        let mut between = |name: &str, span: Millis, least: Millis, most: Millis| {
            self.check((least..=most).contains(&span), &format!("{path}.{name}"), || {
                format!("between {least} and {most}, found {span}")
            });
        };
        between("answer_timeout", sip.answer_timeout, MIN_ANSWER_TIMEOUT, MAX_RING);
        between("ring", sip.ring, Millis(0), MAX_RING);
        let expires = sip.register_expires;
        // 0 is no registration.
        if expires > Millis(0) {
            between(
                "register_expires",
                expires,
                MIN_REGISTER_EXPIRES,
                MAX_REGISTER_EXPIRES,
            );
        }
        self.check(
            expires.0.is_multiple_of(1_000),
            &format!("{path}.register_expires"),
            || format!("must be whole seconds, found {expires}"),
        );
    }

    fn register_buildup(&mut self, path: &str, sip: &SipExecutor) {
        let Some(buildup) = sip.register_buildup else {
            return;
        };
        let field = format!("{path}.register_buildup");
        self.span(&field, buildup, super::MAX_EXECUTION);
        self.check(sip.register_expires > Millis(0), &field, || {
            "a group that does not register (register_expires 0s) has no build-up of it".into()
        });
    }

    fn sip_action(&mut self, path: &str, action: &SipAction, before: Millis) {
        let at = format!("{path}.at");
        self.span(&at, action.at, super::MAX_EXECUTION);
        self.check(action.at >= before, &at, || {
            format!("must not be before the action before it, at {before}")
        });
        if let SipDeed::Dtmf(digits) = &action.deed {
            let field = format!("{path}.dtmf");
            let count = digits.len();
            self.check((1..=MAX_DTMF_DIGITS).contains(&count), &field, || {
                format!("between 1 and {MAX_DTMF_DIGITS} digits, found {count}")
            });
            let known = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'D' | b'*' | b'#');
            self.check(digits.bytes().all(known), &field, || {
                "only the digits 0 to 9, A to D, * and #".into()
            });
        }
    }

    /// Who calls whom: endpoints of one executor only, and those that are called do not call. Unknown groups and circles
    /// are reported elsewhere.
    pub(super) fn sip_callee(&mut self, path: &str, definition: &TestDefinition, position: usize) {
        let (Some(group), Some(called)) = (definition.groups.get(position), callee(definition, position))
        else {
            return;
        };
        let Some(other) = definition.groups.get(called) else {
            return;
        };
        let field = format!("{path}.callee.group");
        match (&group.executor, &other.executor) {
            (Executor::Sim(_), Executor::Sim(_)) => {}
            (Executor::Sip(sip), Executor::Sip(callee)) => {
                self.check(sip.uri.is_none(), &format!("{path}.callee.uri"), || {
                    "either a group or a URI".into()
                });
                let waits = callee.uri.is_none() && other.callee.is_none();
                let circle = !waits
                    && callees(definition, position)
                        .take(definition.groups.len())
                        .any(|group| group == position);
                self.check(waits || circle, &field, || {
                    format!(
                        "{:?} calls itself: endpoints of sip that are called only wait for calls",
                        other.name
                    )
                });
            }
            (Executor::Sim(_), Executor::Sip(_)) | (Executor::Sip(_), Executor::Sim(_)) => {
                self.check(false, &field, || {
                    format!(
                        "{:?} is of another executor: sip calls sip, and sim calls sim",
                        other.name
                    )
                });
            }
        }
    }
}
