//! Whose a request is that begins a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rsipstack::dialog::dialog::Dialog;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Method, StatusCode};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc;

/// Who is called by which user part.
pub(crate) type Callers = Mutex<HashMap<String, mpsc::UnboundedSender<Transaction>>>;

/// Hands each request that begins a transaction to its call, or to the endpoint that it begins a call with.
pub(crate) async fn dispatch(
    mut incoming: TransactionReceiver,
    dialogs: Arc<DialogLayer>,
    users: Arc<Callers>,
) {
    while let Some(mut transaction) = incoming.recv().await {
        let in_dialog = transaction
            .original
            .to_header()
            .ok()
            .and_then(|to| to.tag().ok().flatten())
            .is_some();
        if in_dialog {
            let dialog = dialogs.match_dialog(&transaction);
            tokio::spawn(async move { within(dialog, transaction).await });
            continue;
        }
        match transaction.original.method {
            Method::Invite => ring(&users, transaction),
            Method::Options => {
                tokio::spawn(async move { transaction.reply(StatusCode::OK).await });
            }
            Method::Ack => {}
            // The stack cancels by itself; a CANCEL that arrives here has no INVITE.
            Method::Cancel => {
                tokio::spawn(async move { transaction.reply(StatusCode::CallTransactionDoesNotExist).await });
            }
            Method::Bye
            | Method::Info
            | Method::Message
            | Method::Notify
            | Method::PRack
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe
            | Method::Update => {
                tokio::spawn(async move { transaction.reply(StatusCode::MethodNotAllowed).await });
            }
        }
    }
}

fn ring(users: &Callers, transaction: Transaction) {
    let user = transaction
        .original
        .uri
        .auth
        .as_ref()
        .map(|auth| auth.user.as_str())
        .unwrap_or_default();
    let sender = users.lock().get(user).cloned();
    let refused = match sender {
        Some(sender) => sender.send(transaction).err().map(|unsent| unsent.0),
        None => Some(transaction),
    };
    if let Some(mut transaction) = refused {
        tokio::spawn(async move { transaction.reply(StatusCode::NotFound).await });
    }
}

async fn within(dialog: Option<Dialog>, mut transaction: Transaction) {
    let handled = match dialog {
        Some(mut dialog) => dialog.handle(&mut transaction).await,
        None if transaction.original.method == Method::Ack => Ok(()),
        None => transaction.reply(StatusCode::CallTransactionDoesNotExist).await,
    };
    if let Err(error) = handled {
        tracing::debug!(%error, "a request within a call was not handled");
    }
}
