//! Where requests go that belong to an INVITE and are no part of a dialog yet.
//!
//! An INVITE goes to the next hop of its account. The CANCEL of it has the same URI and must go the same way (RFC 3261, 9.1), but the stack
//! below would look the URI's host up, and that is a domain of the registrar's which need have no address.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rsipstack::sip::Uri;
use rsipstack::transaction::endpoint::TargetLocator;
use rsipstack::transport::SipAddr;

use crate::stream::Links;
use crate::tap::Transport;

/// Next hops by callee, for as long as somebody calls it.
#[derive(Debug, Default)]
pub(crate) struct Routes(Mutex<HashMap<String, (SipAddr, usize)>>);

impl Routes {
    /// Calls to this URI go there until the route is dropped.
    pub fn add(self: &Arc<Self>, callee: &Uri, next_hop: SipAddr) -> Route {
        let callee = callee.to_string();
        let mut routes = self.0.lock();
        let entry = routes.entry(callee.clone()).or_insert((next_hop.clone(), 0));
        entry.0 = next_hop;
        entry.1 += 1;
        drop(routes);
        Route {
            routes: Arc::clone(self),
            callee,
        }
    }

    fn find(&self, uri: &Uri) -> Option<SipAddr> {
        self.0
            .lock()
            .get(&uri.to_string())
            .map(|(next_hop, _)| next_hop.clone())
    }
}

/// See [`Routes::add`].
#[derive(Debug)]
pub(crate) struct Route {
    routes: Arc<Routes>,
    callee: String,
}

impl Drop for Route {
    fn drop(&mut self) {
        let mut routes = self.routes.0.lock();
        if let Some(entry) = routes.get_mut(&self.callee) {
            entry.1 -= 1;
            if entry.1 == 0 {
                routes.remove(&self.callee);
            }
        }
    }
}

/// What the stack asks.
pub(crate) struct Locator {
    pub routes: Arc<Routes>,
    /// The connections, if requests travel by some.
    pub links: Option<Arc<Links>>,
}

#[async_trait::async_trait]
impl TargetLocator for Locator {
    async fn locate(&self, uri: &Uri) -> rsipstack::Result<SipAddr> {
        let mut address = match self.routes.find(uri) {
            Some(next_hop) => next_hop,
            None => SipAddr::try_from(uri)?,
        };
        let transport = match &self.links {
            Some(links) => links.transport(),
            None => Transport::Udp,
        };
        // Whatever the URI says: by another the stack below would go by itself, and nobody would see it.
        address.r#type = Some(transport.word());
        match (&self.links, address.get_socketaddr()) {
            (Some(links), Ok(peer)) => links.reach(peer).await,
            (Some(_) | None, _) => Ok(address),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[tokio::test]
    async fn a_callee_has_its_next_hop_for_as_long_as_somebody_calls_it() {
        let routes = Arc::new(Routes::default());
        let uri = |text: &str| Uri::try_from(text).unwrap();
        let hop: SocketAddr = "127.0.0.1:5090".parse().unwrap();
        let hop = SipAddr::new(rsipstack::sip::Transport::Udp, hop.into());
        let (bob, ann) = (uri("sip:bob@lab.example"), uri("sip:ann@10.0.0.9:5070"));
        let (one, two) = (routes.add(&bob, hop.clone()), routes.add(&bob, hop.clone()));
        let locator = Locator {
            routes: Arc::clone(&routes),
            links: None,
        };
        assert_eq!(locator.locate(&bob).await.unwrap(), hop);
        let datagrams = SipAddr::new(
            rsipstack::sip::Transport::Udp,
            "10.0.0.9:5070".try_into().unwrap(),
        );
        assert_eq!(locator.locate(&ann).await.unwrap(), datagrams);
        let streamed = uri("sip:ann@10.0.0.9:5070;transport=tcp");
        assert_eq!(locator.locate(&streamed).await.unwrap(), datagrams);
        drop(one);
        assert_eq!(locator.locate(&bob).await.unwrap(), hop);
        drop(two);
        assert_ne!(locator.locate(&bob).await.unwrap(), hop);
        assert!(routes.0.lock().is_empty());
    }
}
