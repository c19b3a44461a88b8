//! From an offer to what each endpoint does. The error names the field and the rule.

use std::net::SocketAddr;
use std::time::Duration;

use reeve_media::{Codec, Digit, Source};
use reeve_proto::v1::sip_action::Action as Wish;
use reeve_proto::v1::{SipAction, SipCodec, SipOffer, SipRegistrar};
use reeve_sip::plan::{Account, Action, Deed, Plan, Registrar, Role};

use super::over::Over;
use crate::executor::{AssignmentKey, Work};

/// From an endpoint's registration to its call, where the node does not say when it registers: registrations as a rule take less, so calls
/// begin as evenly as registrations.
const LEAD: Duration = Duration::from_millis(500);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(32);
const REGISTER_EXPIRES: Duration = Duration::from_secs(600);
/// Most actions of a call.
const MOST_ACTIONS: usize = 30;

/// What the endpoints of an assignment do.
pub struct Plans {
    registrar: SipRegistrar,
    over: Over,
    accounts: Vec<Account>,
    targets: Vec<String>,
    codecs: Vec<Codec>,
    actions: Vec<Action>,
    answer_timeout: Duration,
    ring: Duration,
    wait: Duration,
    duration: Duration,
    plc: bool,
    trace_credentials: bool,
    register: Option<Duration>,
}

impl Plans {
    /// Checks an offer.
    pub fn of(offer: &SipOffer, work: &Work) -> Result<Self, String> {
        let count = work.endpoints as usize;
        if !offer.problem.is_empty() {
            return Err(offer.problem.clone());
        }
        let registrar = offer.registrar.clone().ok_or("sip.registrar: is required")?;
        if registrar.domain.is_empty() {
            return Err("sip.registrar.domain: must not be empty".to_owned());
        }
        let over = Over::of(&registrar)?;
        if offer.accounts.len() != count {
            return Err(format!(
                "sip.accounts: {count} endpoints need as many, there are {}",
                offer.accounts.len()
            ));
        }
        if !offer.targets.is_empty() && offer.targets.len() != count {
            return Err(format!(
                "sip.targets: none, or one for each of the {count} endpoints, found {}",
                offer.targets.len()
            ));
        }
        let accounts = offer.accounts.iter().map(|account| Account {
            username: account.username.clone(),
            secret: account.secret.clone(),
            realm: account.realm.clone(),
        });
        let seconds = u64::from(offer.register_expires_s);
        let expires = if seconds == 0 {
            REGISTER_EXPIRES
        } else {
            Duration::from_secs(seconds)
        };
        let answer_timeout = millis(offer.answer_timeout_ms);
        Ok(Self {
            registrar,
            over,
            accounts: accounts.collect(),
            targets: offer.targets.clone(),
            codecs: codecs(offer)?,
            actions: actions(&offer.actions)?,
            answer_timeout: if answer_timeout.is_zero() {
                ANSWER_TIMEOUT
            } else {
                answer_timeout
            },
            ring: millis(offer.ring_ms),
            wait: Duration::from_millis(offer.wait_ms),
            duration: work.duration,
            plc: offer.packet_loss_concealment,
            trace_credentials: offer.trace_credentials,
            register: (!offer.without_registration).then_some(expires),
        })
    }

    /// Whether the endpoints call, or are called.
    pub fn calls(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Whether credentials stay in traces.
    pub fn traces_credentials(&self) -> bool {
        self.trace_credentials
    }

    /// What messages travel by.
    pub fn over(&self) -> &Over {
        &self.over
    }

    /// Where requests go, looked up by name: the outbound proxy if there is one, else the registrar.
    pub async fn next_hop(&self) -> Result<SocketAddr, String> {
        let registrar = &self.registrar;
        let proxy = Some(&registrar.outbound_proxy).filter(|proxy| !proxy.is_empty());
        if let Some(proxy) = proxy {
            let place = reeve_sip::plan::place(proxy);
            let (host, port) = place.ok_or_else(|| format!("outbound proxy: {proxy:?} is no SIP URI"))?;
            return look_up("outbound proxy", &host, port.unwrap_or(self.over.port())).await;
        }
        let host = if registrar.host.is_empty() {
            &registrar.domain
        } else {
            &registrar.host
        };
        let port = u16::try_from(registrar.port).ok().filter(|port| *port != 0);
        look_up("registrar", host, port.unwrap_or(self.over.port())).await
    }

    /// Whether the endpoints register.
    pub fn registers(&self) -> bool {
        self.register.is_some()
    }

    /// The user part of an endpoint's own address: one that no other endpoint of this process has.
    pub fn user(&self, key: &AssignmentKey, offset: u32) -> String {
        let run: String = key.run_id.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("r{run}-{}-{offset}", key.epoch)
    }

    /// What one endpoint does.
    pub fn plan(&self, offset: u32, next_hop: SocketAddr, source: Source) -> Plan {
        let at = offset as usize;
        let registrar = Registrar {
            domain: self.registrar.domain.clone(),
            next_hop,
            route: Some(self.registrar.outbound_proxy.clone()).filter(|route| !route.is_empty()),
        };
        let role = match self.targets.get(at) {
            Some(target) => Role::Caller {
                target: target.clone(),
                answer_timeout: self.answer_timeout,
                actions: self.actions.clone(),
            },
            None => Role::Receiver {
                ring: self.ring,
                wait: self.wait,
            },
        };
        let nobody = || Account {
            username: "reeve".to_owned(),
            secret: String::new(),
            realm: String::new(),
        };
        Plan {
            registrar,
            account: self.accounts.get(at).cloned().unwrap_or_else(nobody),
            role,
            duration: self.duration,
            lead: LEAD,
            codecs: self.codecs.clone(),
            source,
            plc: self.plc,
            register: self.register,
        }
    }
}

async fn look_up(who: &str, host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    let mut found = found.map_err(|error| format!("{who}: {host} cannot be looked up: {error}"))?;
    found
        .next()
        .ok_or_else(|| format!("{who}: {host} has no address"))
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

fn codecs(offer: &SipOffer) -> Result<Vec<Codec>, String> {
    let codec = |number: &i32| match SipCodec::try_from(*number) {
        Ok(SipCodec::Pcmu) => Ok(Codec::Pcmu),
        Ok(SipCodec::Pcma) => Ok(Codec::Pcma),
        Ok(SipCodec::Unspecified) | Err(_) => {
            Err("sip.codecs: this worker speaks PCMU and PCMA only".to_owned())
        }
    };
    if offer.codecs.is_empty() {
        return Ok(vec![Codec::Pcmu, Codec::Pcma]);
    }
    offer.codecs.iter().map(codec).collect()
}

fn actions(wishes: &[SipAction]) -> Result<Vec<Action>, String> {
    if wishes.len() > MOST_ACTIONS {
        return Err(format!(
            "sip.actions: at most {MOST_ACTIONS}, found {}",
            wishes.len()
        ));
    }
    let action = |(at, wish): (usize, &SipAction)| {
        let what = match &wish.action {
            Some(Wish::Dtmf(digits)) => {
                let digits = digits.chars().map(Digit::try_from).collect::<Result<_, _>>();
                Deed::Dtmf(digits.map_err(|error| format!("sip.actions[{at}].dtmf: {error}"))?)
            }
            Some(Wish::Hold(true)) => Deed::Hold,
            Some(Wish::Hold(false)) => Deed::Resume,
            None => return Err(format!("sip.actions[{at}]: this worker does not know it")),
        };
        Ok(Action {
            at: millis(wish.at_ms),
            what,
        })
    };
    let mut actions = wishes
        .iter()
        .enumerate()
        .map(action)
        .collect::<Result<Vec<_>, _>>()?;
    actions.sort_by_key(|action| action.at);
    Ok(actions)
}

#[cfg(test)]
mod tests;
