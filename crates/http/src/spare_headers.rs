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
