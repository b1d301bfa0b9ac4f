//! Copies of headers that cost no allocation.
//!
//! A client takes a request by value, so whoever may have to send it again needs a copy of its
//! headers beforehand, for every request, while one in a million is sent again. The maps are kept
//! and filled anew.

use std::fmt;
use std::mem;
use std::sync::Arc;

use http::HeaderMap;
use parking_lot::Mutex;

/// Header maps for copies: emptied before they are kept, and no more than a few. Clones share them.
#[derive(Clone, Default)]
pub struct SpareHeaders {
    maps: Arc<Mutex<Vec<HeaderMap>>>,
}

impl SpareHeaders {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy. Once as many maps are there as requests are under way, it allocates nothing.
    #[must_use]
    pub fn copy_of(&self, headers: &HeaderMap) -> HeaderCopy {
        let mut copy = self.maps.lock().pop().unwrap_or_default();
        copy.reserve(headers.keys_len()); // of many more values it would panic
        for (name, value) in headers {
            copy.append(name.clone(), value.clone());
        }
        HeaderCopy { headers: copy, home: self.clone() }
    }
}

impl fmt::Debug for SpareHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpareHeaders").field(&self.maps.lock().len()).finish()
    }
}

/// A copy of a request's headers. Dropped, its map goes back to where it came from.
pub struct HeaderCopy {
    headers: HeaderMap,
    home: SpareHeaders,
}

impl HeaderCopy {
    /// The headers, while the copy is still needed.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, for the replay.
    #[must_use]
    pub fn into_headers(mut self) -> HeaderMap {
        mem::take(&mut self.headers)
    }
}

impl Drop for HeaderCopy {
    fn drop(&mut self) {
        let mut headers = mem::take(&mut self.headers);
        if headers.capacity() == 0 || headers.capacity() > LARGEST {
            return;
        }
        headers.clear(); // cookies and keys of a request must not outlive it here
        let mut maps = self.home.maps.lock();
        if maps.len() < MOST {
            maps.push(headers);
        }
    }
}

impl fmt::Debug for HeaderCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderCopy").field(&self.headers.len()).finish()
    }
}

const MOST: usize = 64; // requests under way at once that are copied without an allocation
const LARGEST: usize = 256; // headers; a freak is not kept

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(count: usize) -> HeaderMap {
        let name = |at| HeaderName::from_bytes(format!("x-{at}").as_bytes()).unwrap();
        (0..count).map(|at| (name(at), HeaderValue::from_static("a"))).collect()
    }

    #[test]
    fn a_copy_has_the_headers_and_its_map_is_used_again_empty() {
        let (spare, original) = (SpareHeaders::new(), headers(3));

        let copy = spare.copy_of(&original);
        assert_eq!(copy.headers(), &original);
        assert_eq!(format!("{spare:?} {copy:?}"), "SpareHeaders(0) HeaderCopy(3)");
        drop(copy);
        assert_eq!(spare.maps.lock().iter().map(HeaderMap::len).collect::<Vec<_>>(), [0]);
        let copy = spare.copy_of(&original);
        assert!(spare.maps.lock().is_empty());

        assert_eq!(copy.into_headers(), original);
        assert!(spare.maps.lock().is_empty());
    }

    #[test]
    fn no_more_than_a_few_maps_are_kept_and_none_that_is_huge() {
        let spare = SpareHeaders::new();

        let copies: Vec<_> = (0..MOST + 1).map(|_| spare.copy_of(&headers(1))).collect();
        drop(copies);
        assert_eq!(spare.maps.lock().len(), MOST);

        let spare = SpareHeaders::new();
        drop(spare.copy_of(&headers(2 * LARGEST)));
        assert!(spare.maps.lock().is_empty());
    }
}
