//! What a test, a run and a worker do, as far as their clients can tell: the rules of the API, written down a second time.

pub mod run;
pub mod test;
pub mod worker;

/// Which requests were applied, of those that were sent more than once: a request that is repeated changes nothing the second time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Applied(Vec<u32>);

impl Applied {
    /// Whether the request was applied. One that is sent once only has no number, and never was.
    pub fn has(&self, request: Option<u32>) -> bool {
        request.is_some_and(|request| self.0.binary_search(&request).is_ok())
    }

    /// Remembers a request.
    #[must_use]
    pub fn and(mut self, request: Option<u32>) -> Self {
        if let Some(request) = request
            && let Err(place) = self.0.binary_search(&request)
        {
            self.0.insert(place, request);
        }
        self
    }

    /// Forgets a request.
    #[must_use]
    pub fn without(mut self, request: Option<u32>) -> Self {
        self.0.retain(|kept| Some(*kept) != request);
        self
    }
}
