//! Accounts. Their secrets are sealed before anything else is done with them, and never shown (ADR 21).

use std::sync::Arc;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, DeleteAccounts, FieldViolation, NewAccount, ObjectKind, PutAccounts};
use reeve_state::definition::{MAX_ACCOUNTS_AT_ONCE, MAX_SIP_SECRET_BYTES};
use reeve_state::id::ScopedName;
use reeve_state::record::SipAccountKey;

use super::super::page::{PageRequest, to_hex};
use super::super::write::Asked;
use super::super::{Api, Call};
use super::{after, not_found, page_key};
use crate::convert::sip;
use crate::error::ApiError;
use crate::seal::Sealer;

impl Api {
    /// Creates accounts of a pool, or replaces those of the same names.
    pub async fn apply_accounts(
        &self,
        mut request: v1::ApplyAccountsRequest,
        call: &Call,
    ) -> Result<v1::ApplyAccountsResponse, ApiError> {
        let pool = ScopedName::new(&call.caller.scope(&request.project)?.project, &request.pool);
        let request_id = std::mem::take(&mut request.request_id);
        let sealer = self.context.config.cluster_secret.as_ref().map(Sealer::new);
        let accounts = sealed(&pool, &mut request.accounts, sealer.as_ref())?;
        // From here on the request has no secrets in it: its hash is in the log.
        let asked = Asked::new("ApplyAccounts", request_id, &request)?;
        let command = Command::PutAccounts(PutAccounts {
            pool: pool.clone(),
            accounts,
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::ApplyAccountsResponse {
            pool: Some(sip::pool(&written.state, &pool)),
        })
    }

    /// Accounts of a pool by user name.
    pub async fn list_accounts(
        &self,
        request: v1::ListAccountsRequest,
        call: &Call,
    ) -> Result<v1::ListAccountsResponse, ApiError> {
        let pool = ScopedName::new(&call.caller.scope(&request.project)?.project, &request.pool);
        let list = format!("accounts project={} pool={}", request.project, request.pool);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let after: Option<Arc<str>> = page.after(|key| std::str::from_utf8(key).ok().map(Arc::from))?;
        let state = self.read(request.consistency, call).await?;
        exists(&state, &pool)?;
        let rows = state.pool_accounts(&pool, after);
        let (rows, next_page_token) = page.take(rows, |row| row.key.username.as_bytes().to_vec());
        Ok(v1::ListAccountsResponse {
            accounts: rows.into_iter().map(|row| sip::account(&state, row)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Pools by project and name.
    pub async fn list_account_pools(
        &self,
        request: v1::ListAccountPoolsRequest,
        call: &Call,
    ) -> Result<v1::ListAccountPoolsResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let list = format!("account pools project={}", request.project);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let after = after(&page)?;
        let state = self.read(request.consistency, call).await?;
        scope.must_exist(&state)?;
        let rows = state
            .account_pools()
            .map(|(pool, _)| pool)
            .skip_while(|pool| after.as_ref().is_some_and(|after| *pool <= after))
            .filter(|pool| scope.shows(&pool.project));
        let (rows, next_page_token) = page.take(rows, |pool| page_key(pool));
        Ok(v1::ListAccountPoolsResponse {
            pools: rows.into_iter().map(|pool| sip::pool(&state, pool)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Deletes accounts that no active run uses.
    pub async fn delete_accounts(
        &self,
        mut request: v1::DeleteAccountsRequest,
        call: &Call,
    ) -> Result<v1::DeleteAccountsResponse, ApiError> {
        let asked = Asked::new(
            "DeleteAccounts",
            std::mem::take(&mut request.request_id),
            &request,
        )?;
        let pool = ScopedName::new(&call.caller.scope(&request.project)?.project, &request.pool);
        if request.all != request.usernames.is_empty() {
            let rule = "name accounts, or set all: one of the two";
            return Err(ApiError::invalid("usernames", rule));
        }
        let command = Command::DeleteAccounts(DeleteAccounts {
            pool,
            usernames: request
                .usernames
                .iter()
                .map(|name| Arc::from(name.as_str()))
                .collect(),
        });
        self.write(call, asked, command).await?;
        Ok(v1::DeleteAccountsResponse {})
    }
}

/// The accounts with sealed secrets. In the request, fingerprints take the place of the secrets.
fn sealed(
    pool: &ScopedName,
    accounts: &mut [v1::NewSipAccount],
    sealer: Option<&Sealer>,
) -> Result<Vec<NewAccount>, ApiError> {
    let mut violations = Vec::new();
    let mut sealed = Vec::new();
    // More are refused by their number.
    let taken = accounts.len().min(MAX_ACCOUNTS_AT_ONCE + 1);
    for (position, account) in accounts.iter_mut().enumerate().take(taken) {
        let username: Arc<str> = account.username.as_str().into();
        let key = SipAccountKey {
            pool: pool.clone(),
            username: Arc::clone(&username),
        };
        let secret = match account.secret.take() {
            None => None,
            Some(secret) if !(1..=MAX_SIP_SECRET_BYTES).contains(&secret.len()) => {
                violations.push(FieldViolation {
                    field: format!("accounts[{position}].secret"),
                    rule: format!("between 1 and {MAX_SIP_SECRET_BYTES} bytes, or left out"),
                });
                None
            }
            Some(secret) => {
                let sealer = sealer.ok_or(ApiError::NoClusterSecret)?;
                account.secret = Some(to_hex(sealer.fingerprint(&secret)));
                let sealed = sealer.seal(&key, &secret);
                Some(sealed.ok_or(ApiError::Internal("a secret could not be sealed"))?)
            }
        };
        sealed.push(NewAccount {
            username,
            secret,
            realm: (!account.realm.is_empty()).then(|| account.realm.clone()),
        });
    }
    if violations.is_empty() {
        Ok(sealed)
    } else {
        Err(ApiError::Invalid(violations))
    }
}

fn exists(state: &State, pool: &ScopedName) -> Result<(), ApiError> {
    if state.pool_size(pool) == 0 {
        return Err(not_found(ObjectKind::AccountPool, &pool.name));
    }
    Ok(())
}
