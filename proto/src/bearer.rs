//! A caller's key on its way to a node (D27a): `authorization: Bearer cmk_…` with every call of a client.

use std::fmt;

use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A channel whose calls carry a key.
pub type Connection = InterceptedService<Channel, Bearer>;

/// What a caller shows; never printed.
#[derive(Clone, Default)]
pub struct Bearer(Option<AsciiMetadataValue>);

/// A key that cannot stand in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyNotPrintable;

impl fmt::Display for KeyNotPrintable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an API key is cmk_ and 32 hex digits; this one has characters that cannot be sent")
    }
}

impl std::error::Error for KeyNotPrintable {}

impl Bearer {
    /// Shows nothing.
    pub const NONE: Self = Self(None);

    /// Shows this key.
    ///
    /// # Errors
    /// It has characters that cannot stand in a header.
    pub fn new(key: &str) -> Result<Self, KeyNotPrintable> {
        let mut value =
            AsciiMetadataValue::try_from(format!("Bearer {}", key.trim())).map_err(|_| KeyNotPrintable)?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }

    /// A channel whose calls carry the key.
    pub fn on(&self, channel: Channel) -> Connection {
        InterceptedService::new(channel, self.clone())
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // Covers: R90
    #[test]
    fn a_key_is_sent_and_never_printed() {
        let mut bearer = Bearer::new(" cmk_0123\n").unwrap();
        let request = bearer.call(Request::new(())).unwrap();
        assert_eq!(
            request.metadata().get("authorization").unwrap(),
            "Bearer cmk_0123"
        );
        assert!(!format!("{bearer:?} {request:?}").contains("0123"));
        let mut nothing = Bearer::NONE;
        assert!(nothing.call(Request::new(())).unwrap().metadata().is_empty());
        assert_eq!(Bearer::new("a\nb").err(), Some(KeyNotPrintable));
    }
}
