//! The text of URLs, kept in strings that are used again.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;

/// Strings for the URLs of requests under way: emptied before they are kept. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct SpareUrls {
    texts: Arc<Mutex<Vec<String>>>,
}

impl SpareUrls {
    /// A copy. Once as many strings are there as requests are under way, it allocates nothing.
    pub(crate) fn copy_of(&self, url: &str) -> UrlCopy {
        let mut text = self.texts.lock().pop().unwrap_or_default();
        text.push_str(url);
        UrlCopy { text, home: self.clone() }
    }
}

impl fmt::Debug for SpareUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpareUrls").field(&self.texts.lock().len()).finish()
    }
}

/// The text of a URL. Dropped, its string goes back to where it came from.
pub(crate) struct UrlCopy {
    text: String,
    home: SpareUrls,
}

impl Deref for UrlCopy {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Drop for UrlCopy {
    fn drop(&mut self) {
        let mut text = mem::take(&mut self.text);
        if text.capacity() == 0 || text.capacity() > LARGEST {
            return;
        }
        text.clear();
        let mut texts = self.home.texts.lock();
        if texts.len() < MOST {
            texts.push(text);
        }
    }
}

const MOST: usize = 64; // requests under way at once that are copied without an allocation
const LARGEST: usize = 8 * 1024; // bytes; servers take hardly more
