//! The rules for webhooks, and how a webhook's address is read: by the same function where it is checked and where it is used.

use std::net::Ipv6Addr;

use super::Rules;
use crate::command::FieldViolation;
use crate::record::{Webhook, WebhookEventKind};

/// Longest address of a webhook, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;
/// Longest name of a host, in bytes.
const MAX_HOST_BYTES: usize = 253;

/// A webhook's address in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl {
    /// `https`, else `http`.
    pub https: bool,
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// As given, or the scheme's.
    pub port: u16,
    /// Host and port as given, for the header `host`.
    pub authority: String,
    /// Path and query, at least `/`.
    pub target: String,
}

/// Reads a webhook's address.
///
/// # Errors
/// The rule that it breaks.
pub fn parse_webhook_url(url: &str) -> Result<WebhookUrl, String> {
    if url.len() > MAX_URL_BYTES {
        return Err(format!("at most {MAX_URL_BYTES} bytes, found {}", url.len()));
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "must consist of printable ASCII characters without spaces; escape others with %".to_owned(),
        );
    }
    let (scheme, rest) = url
        .split_once("://")
        .ok_or("must be of the form https://host/path")?;
    let https = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err("must begin with https:// (or http:// where that is allowed)".to_owned()),
    };
    if rest.contains('#') {
        return Err("must have no fragment (#…): it would not be sent".to_owned());
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err("must have no user name or password in it".to_owned());
    }
    let (host, port) = host_and_port(authority, if https { 443 } else { 80 })?;
    let target = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok(WebhookUrl {
        https,
        host,
        port,
        authority: authority.to_owned(),
        target,
    })
}

fn host_and_port(authority: &str, default: u16) -> Result<(String, u16), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or("the host begins with [ and has no ]")?;
            host.parse::<Ipv6Addr>()
                .map_err(|_| format!("[{host}] is not an IPv6 address"))?;
            let port = match port.strip_prefix(':') {
                Some(port) => Some(port),
                None if port.is_empty() => None,
                None => return Err("something other than a port follows ]".to_owned()),
            };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (plain_host(host)?, Some(port)),
            None => (plain_host(authority)?, None),
        },
    };
    let port = match port {
        None => default,
        Some(text) => text
            .parse()
            .ok()
            .filter(|port| *port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| format!("the port must be a number from 1 to 65535, found {text:?}"))?,
    };
    Ok((host.to_owned(), port))
}

fn plain_host(host: &str) -> Result<&str, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if host.is_empty() {
        return Err("must name a host".to_owned());
    }
    if host.len() > MAX_HOST_BYTES || !host.bytes().all(plain) {
        return Err("the host must be a name of letters, digits, dots and hyphens, or an address".to_owned());
    }
    Ok(host)
}

/// The rules for a webhook as it would be.
pub(crate) fn validate_webhook(webhook: &Webhook) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.text("name", &webhook.name);
    rules.name("project", webhook.project.as_str());
    if let Err(rule) = parse_webhook_url(&webhook.url) {
        rules.check(false, "url", || rule);
    }
    let chosen = |kind: &WebhookEventKind| WebhookEventKind::CHOICES.contains(kind);
    rules.check(webhook.events.iter().all(chosen), "events", || {
        "only run.status_changed and probe.health_changed can be chosen".into()
    });
    rules.violations
}
