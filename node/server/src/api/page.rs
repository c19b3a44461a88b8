//! Pages of lists: sizes, and tokens that callers cannot and need not read.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// Objects on a page if the caller does not say.
const DEFAULT_SIZE: usize = 100;
/// More are never on a page; a larger size means this one.
const MAX_SIZE: usize = 1_000;
/// Leading bytes of a token: they tie it to the list and the filters that it was made for.
const TAG_BYTES: usize = 4;

/// A request for a page of one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many objects at most.
    pub size: usize,
    /// Key of the last object of the page before; none: the first page.
    pub after: Option<Vec<u8>>,
    tag: [u8; TAG_BYTES],
}

impl PageRequest {
    /// `list` names the list and its filters.
    ///
    /// # Errors
    /// A token that this list, with these filters, did not give.
    pub fn decode(list: &str, size: u32, token: &str) -> Result<Self, ApiError> {
        let tag = tag(list);
        let size = match usize::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
            Err(_) => MAX_SIZE,
        };
        if token.is_empty() {
            return Ok(Self {
                size,
                after: None,
                tag,
            });
        }
        let wrong = || {
            ApiError::invalid(
                "page_token",
                "is not a token that this list gave with these filters",
            )
        };
        let bytes = from_hex(token).ok_or_else(wrong)?;
        match bytes.split_at_checked(TAG_BYTES) {
            Some((found, key)) if found == tag && !key.is_empty() => Ok(Self {
                size,
                after: Some(key.to_vec()),
                tag,
            }),
            Some(_) | None => Err(wrong()),
        }
    }

    /// The key decoded by `decode`; none on the first page.
    ///
    /// # Errors
    /// A token whose key is not one.
    pub fn after<T>(&self, decode: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>, ApiError> {
        let Some(key) = &self.after else { return Ok(None) };
        decode(key)
            .map(Some)
            .ok_or_else(|| ApiError::invalid("page_token", "is not a token of this list"))
    }

    /// Takes a page from the objects after the token, and makes the token of the next one; empty on the last.
    pub fn take<T>(&self, objects: impl Iterator<Item = T>, key: impl Fn(&T) -> Vec<u8>) -> (Vec<T>, String) {
        let mut page: Vec<T> = objects.take(self.size + 1).collect();
        if page.len() <= self.size {
            return (page, String::new());
        }
        page.truncate(self.size);
        let token = page
            .last()
            .map(|last| to_hex(self.tag.iter().copied().chain(key(last))))
            .unwrap_or_default();
        (page, token)
    }
}

fn tag(list: &str) -> [u8; TAG_BYTES] {
    let hash = Sha256::digest(list.as_bytes());
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&hash[..TAG_BYTES]);
    tag
}

/// Lower-case hex.
pub fn to_hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn numbers_after(after: Option<u8>) -> impl Iterator<Item = u8> {
        after.map_or(0, |after| after + 1)..25
    }

    fn one(key: &[u8]) -> Option<u8> {
        <[u8; 1]>::try_from(key).ok().map(|[byte]| byte)
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = PageRequest::decode("numbers", 10, &token).unwrap();
            let (page, next) =
                request.take(numbers_after(request.after(one).unwrap()), |number| vec![*number]);
            seen.extend(page);
            pages += 1;
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, (0..25).collect::<Vec<_>>());
        assert_eq!(pages, 3);
    }

    #[test]
    fn a_last_page_that_is_full_has_no_token() {
        let request = PageRequest::decode("numbers", 25, "").unwrap();
        let (page, next) = request.take(numbers_after(None), |number| vec![*number]);
        assert_eq!((page.len(), next.as_str()), (25, ""));
    }

    #[test]
    fn sizes_have_a_default_and_are_clamped() {
        let size = |asked| PageRequest::decode("numbers", asked, "").unwrap().size;
        assert_eq!(
            (size(0), size(1), size(1_000), size(u32::MAX)),
            (100, 1, 1_000, 1_000)
        );
    }

    #[test]
    fn tokens_of_another_list_and_nonsense_are_refused() {
        let request = PageRequest::decode("numbers status=1", 1, "").unwrap();
        let (_, token) = request.take(numbers_after(None), |number| vec![*number]);
        assert!(PageRequest::decode("numbers status=1", 1, &token).is_ok());
        for (list, token) in [
            ("numbers status=2", token.as_str()),
            ("numbers", "zz"),
            ("numbers", "abc"),
            ("numbers", "00"),
            ("numbers", "éé"),
        ] {
            let error = PageRequest::decode(list, 1, token).unwrap_err();
            assert!(error.to_string().contains("page_token"), "{error}");
        }
    }
}
