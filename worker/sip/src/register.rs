//! REGISTER: credentials when they are asked for, the interval that the registrar wants, and the farewell.

use std::sync::Arc;
use std::time::Duration;

use rsipstack::dialog::authenticate::{Credential, handle_client_authenticate, is_stale_challenge};
use rsipstack::sip::headers::Expires;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::typed::{Contact, From as FromHeader, Route, To};
use rsipstack::sip::{Auth, Header, Method, Param, Request, Response, Scheme, SipMessage, Uri};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::make_tag;
use rsipstack::transaction::transaction::Transaction;

use crate::ending::Unregistered;
use crate::plan::{Account, Plan, Registrar};
use crate::stack::Line;

/// One address of record, bound to one contact of ours.
pub(crate) struct Registration {
    line: Arc<Line>,
    plan: Arc<Plan>,
    call_id: String,
    tag: String,
    seq: u32,
    expires: Duration,
}

/// How often credentials are sent again because the nonce was stale.
const MOST_STALE: u8 = 2;

impl Registration {
    pub fn new(line: &Arc<Line>, plan: &Arc<Plan>, expires: Duration) -> Self {
        Self {
            line: Arc::clone(line),
            plan: Arc::clone(plan),
            call_id: line.call_id(),
            tag: make_tag().to_string(),
            seq: 0,
            expires,
        }
    }

    /// Registers, or refreshes. Gives for how long.
    pub async fn register(&mut self) -> Result<Duration, Unregistered> {
        let mut expires = self.expires;
        let mut briefer = false;
        loop {
            let response = self.ask(expires).await?;
            let code = response.status_code.code();
            if code == 423 {
                let least = response
                    .min_expires_header()
                    .and_then(|header| header.value().trim().parse::<u32>().ok());
                let least = least.map(|seconds| Duration::from_secs(u64::from(seconds)));
                match least.filter(|least| !briefer && *least > expires) {
                    Some(least) => expires = least,
                    None => return Err(Unregistered::TooBrief),
                }
                briefer = true;
                continue;
            }
            return self.granted(&response, code, expires);
        }
    }

    /// Takes the binding back. What the registrar says to it changes nothing.
    pub async fn unregister(&mut self) {
        if let Err(error) = self.ask(Duration::ZERO).await {
            tracing::debug!(user = %self.plan.account.username, ?error, "it is still registered");
        }
    }

    fn granted(&self, response: &Response, code: u16, asked: Duration) -> Result<Duration, Unregistered> {
        if !(200..300).contains(&code) {
            return Err(Unregistered::Refused(code));
        }
        let ours = self.line.contact();
        let contacts = response.typed_contact_headers().unwrap_or_default();
        let bound = contacts.iter().find(|contact| {
            contact.uri.auth.as_ref().map(|auth| &auth.user) == ours.auth.as_ref().map(|auth| &auth.user)
        });
        let bound = bound.ok_or(Unregistered::NotOurs)?;
        let header = || {
            response
                .expires_header()
                .and_then(|header| header.value().trim().parse::<u32>().ok())
        };
        let seconds = bound.expires().or_else(header);
        Ok(seconds.map_or(asked, |seconds| Duration::from_secs(u64::from(seconds))))
    }

    /// Asks, with credentials if they are wanted, until a final response that is no challenge.
    async fn ask(&mut self, expires: Duration) -> Result<Response, Unregistered> {
        self.seq += 1;
        let request = self.request(expires)?;
        let mut transaction = self.transaction(request).await?;
        let mut sent = false;
        let mut stale = 0;
        loop {
            let response = self.response(&mut transaction).await?;
            let code = response.status_code.code();
            if !matches!(code, 401 | 407) {
                return Ok(response);
            }
            let again = sent && !(is_stale_challenge(&response) && stale < MOST_STALE);
            if again || self.plan.account.secret.is_empty() {
                return Err(Unregistered::Challenged(code));
            }
            stale += u8::from(sent);
            sent = true;
            self.seq += 1;
            let credential = credential(&self.plan.account, &response)?;
            let next = handle_client_authenticate(self.seq, &transaction, response, &credential).await;
            transaction = next.map_err(|_| Unregistered::Refused(code))?;
        }
    }

    /// Sends, and waits for the final response. One that the stack made by itself is silence.
    async fn response(&self, transaction: &mut Transaction) -> Result<Response, Unregistered> {
        transaction.send().await.map_err(|_| Unregistered::Silence)?;
        while let Some(message) = transaction.receive().await {
            let SipMessage::Response(response) = message else {
                continue;
            };
            let code = response.status_code.code();
            if code >= 200 {
                let on_wire = self.line.tap.codes().register == Some(code);
                return if on_wire {
                    Ok(response)
                } else {
                    Err(Unregistered::Silence)
                };
            }
        }
        Err(Unregistered::Silence)
    }

    async fn transaction(&self, request: Request) -> Result<Transaction, Unregistered> {
        let key = TransactionKey::from_request(&request, TransactionRole::Client);
        let key = key.map_err(|_| Unregistered::Silence)?;
        let stack = self.line.stack();
        let next_hop = stack.reach(self.plan.registrar.next_hop).await;
        let next_hop = next_hop.map_err(|_| Unregistered::Silence)?;
        let endpoint = stack.endpoint().clone();
        let mut transaction = Transaction::new_client(key, request, endpoint, None);
        transaction.destination = Some(next_hop);
        Ok(transaction)
    }

    fn request(&self, expires: Duration) -> Result<Request, Unregistered> {
        let endpoint = self.line.stack().endpoint();
        let record = address_of_record(&self.plan.registrar, &self.plan.account.username);
        let from = FromHeader {
            display_name: None,
            uri: record.clone(),
            params: Vec::new(),
        };
        let to = To {
            display_name: None,
            uri: record,
            params: Vec::new(),
        };
        let via = endpoint.get_via(None, None).map_err(|_| Unregistered::Silence)?;
        let domain = Uri::try_from(format!("sip:{}", self.plan.registrar.domain));
        let domain = domain.map_err(|_| Unregistered::Unknown)?;
        let mut request = endpoint.make_request(
            Method::Register,
            domain,
            via,
            from.with_tag(self.tag.as_str().into()),
            to,
            self.seq,
            Some(self.call_id.clone().into()),
        );
        for route in routes(&self.plan.registrar) {
            request.headers.push(route.into());
        }
        let contact = Contact {
            display_name: None,
            uri: self.line.contact(),
            params: Vec::new(),
        };
        request.headers.push(Header::Contact(contact.into()));
        let seconds = u32::try_from(expires.as_secs()).unwrap_or(u32::MAX);
        request.headers.push(Header::Expires(Expires::from(seconds)));
        Ok(request)
    }
}

/// The credentials for whoever asks.
fn credential(account: &Account, challenge: &Response) -> Result<Credential, Unregistered> {
    if !account.realm.is_empty() && realm(challenge).is_some_and(|realm| realm != account.realm) {
        return Err(Unregistered::OtherRealm);
    }
    Ok(credentials(account))
}

/// The same, whoever asks.
pub(crate) fn credentials(account: &Account) -> Credential {
    Credential {
        username: account.username.clone(),
        password: account.secret.clone(),
        realm: None,
        auth_username: None,
    }
}

fn realm(challenge: &Response) -> Option<String> {
    use rsipstack::sip::prelude::{HasHeaders, ToTypedHeader};
    challenge.headers().iter().find_map(|header| {
        if let Header::WwwAuthenticate(header) = header {
            header.typed().ok().map(|typed| typed.realm)
        } else if let Header::ProxyAuthenticate(header) = header {
            header.typed().ok().map(|typed| typed.realm)
        } else {
            None
        }
    })
}

/// `sip:user@domain`.
pub(crate) fn address_of_record(registrar: &Registrar, user: &str) -> Uri {
    let domain = Uri::try_from(format!("sip:{}", registrar.domain)).unwrap_or_default();
    Uri {
        scheme: Some(Scheme::Sip),
        auth: Some(Auth {
            user: user.to_owned(),
            password: None,
        }),
        ..domain
    }
}

/// Routes that requests are loaded with before anybody has said so.
pub(crate) fn routes(registrar: &Registrar) -> Vec<Route> {
    let uri = registrar
        .route
        .as_ref()
        .and_then(|route| Uri::try_from(route.as_str()).ok());
    uri.map(|mut uri| {
        // A proxy of today routes loosely; without the word it would be taken for one of RFC 2543.
        if !uri.params.contains(&Param::Lr) {
            uri.params.push(Param::Lr);
        }
        Route {
            display_name: None,
            uri,
            params: Vec::new(),
        }
    })
    .into_iter()
    .collect()
}
