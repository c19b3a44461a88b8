//! A secret as an operator gives it: checked late, because the parser of flags repeats bad values, and never printed.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use reeve_store::ClusterSecret;
use serde::Deserialize;

/// What nodes are to show each other.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct GivenSecret(String);

impl GivenSecret {
    /// As the nodes use it.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn check(&self) -> Result<ClusterSecret, String> {
        ClusterSecret::new(&self.0)
    }
}

impl FromStr for GivenSecret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenSecret(…)")
    }
}
