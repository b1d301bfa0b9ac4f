//! One key, its id, and the texts that it may come in.
//!
//! The id stands in every record beside the ciphertext, so it is public. Where nobody chooses one it
//! is made from the key by a hash: then two processes that were given different keys cannot take
//! them for the same, and nobody has to keep a list of names.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use tokenkeeper::{Error, ErrorKind, Secret};
use zeroize::{Zeroize, Zeroizing};

/// A key of 32 bytes for [`EncryptedStorage`](crate::EncryptedStorage), and the id that records name
/// it by.
///
/// Clones share the bytes, which are overwritten when the last of them is dropped. `Debug` shows the
/// id alone.
///
/// # Examples
///
/// ```
/// use tokenkeeper_storage_encrypted::EncryptionKey;
///
/// let text = "83f9c776346f9d7e490595821db1f5058815cd83a0c3014db831612d43e35e03";
/// let same = "g/nHdjRvnX5JBZWCHbH1BYgVzYOgwwFNuDFhLUPjXgM=";
/// let key = EncryptionKey::from_text(text)?;
/// assert_eq!(key.id(), EncryptionKey::from_text(same)?.id());
/// assert_eq!(format!("{key:?}"), format!("EncryptionKey({:?})", key.id()));
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct EncryptionKey {
    id: Arc<str>,
    bytes: Arc<Zeroizing<[u8; LENGTH]>>,
}

impl EncryptionKey {
    /// A key of random bytes. Bytes that were made from a password can be guessed.
    ///
    /// # Default
    ///
    /// Its id is 16 hexadecimal digits out of a hash of the bytes.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; LENGTH]) -> Self {
        let key = Self { id: id_of(&bytes).into(), bytes: Arc::new(Zeroizing::new(bytes)) };
        bytes.zeroize();
        key
    }

    /// A key from text, as environment variables and files have it: 64 hexadecimal digits
    /// (`openssl rand -hex 32`), or base64 of 32 bytes (`openssl rand -base64 32`), of either
    /// alphabet, with or without padding. White space around it is ignored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for anything else; the text is not shown.
    pub fn from_text(text: impl Into<Secret>) -> Result<Self, Error> {
        let text = text.into();
        Self::parse(text.expose_secret()).ok_or_else(|| malformed("encryption key"))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0; LENGTH]);
        if text.len() == 2 * LENGTH {
            from_hex(text, &mut bytes)?;
        } else {
            // The decoder wants room for what padded text of this length might hold.
            let mut decoded = Zeroizing::new([0; LENGTH + 3]);
            let length = from_base64(text, &mut *decoded)?;
            bytes.copy_from_slice(decoded.get(..length).filter(|b| b.len() == LENGTH)?);
        }
        Some(Self::from_bytes(*bytes))
    }

    /// This key under an id of your choice: the name that a key service knows it by. The id is kept
    /// in clear text beside every record.
    ///
    /// Never use an id twice for different bytes: records that the other key encrypted would be
    /// taken for damaged ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] unless it is 1 to 255 characters of ASCII without white space.
    pub fn with_id(self, id: &str) -> Result<Self, Error> {
        if !is_id(id.as_bytes()) {
            let what = "encryption key id: must be 1 to 255 ASCII characters without white space";
            return Err(Error::new(ErrorKind::Config, what));
        }
        Ok(Self { id: id.into(), ..self })
    }

    /// The id that records name this key by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncryptionKey").field(&self.id).finish()
    }
}

/// What an id may be, in a record too.
pub(crate) fn is_id(id: &[u8]) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

pub(crate) fn malformed(what: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("{what}: must be 32 bytes, as 64 hexadecimal digits or in base64"),
    )
    .with_advice("make one with `openssl rand -base64 32`")
}

fn id_of(bytes: &[u8; LENGTH]) -> String {
    let hash = Sha256::new().chain_update(ID_DOMAIN).chain_update(bytes).finalize();
    hash.iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str, bytes: &mut [u8; LENGTH]) -> Option<()> {
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    for byte in bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(())
}

/// Of either alphabet; how many bytes it was.
fn from_base64(text: &str, bytes: &mut [u8]) -> Option<usize> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let is_url_safe = text.contains(['-', '_']);
    let alphabet = if is_url_safe { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, lenient).decode_slice(text, bytes).ok()
}

const LENGTH: usize = 32;
const LONGEST_ID: usize = 255; // one byte says how long it is
const ID_DOMAIN: &[u8] = b"tokenkeeper encryption key id v1";
const ID_BYTES: usize = 8; // tells keys apart; nobody finds 32 random bytes from it

/// Linux lets a process read its own memory as a file, so that freed memory can be looked at
/// without `unsafe`.
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    fn remains_after_drop<T>(holder: T, kept: impl Fn(&T) -> &[u8; LENGTH]) -> bool {
        let memory = File::open("/proc/self/mem").unwrap();
        let at = kept(&holder).as_ptr().addr() as u64;
        let mut seen = [0; LENGTH];
        memory.read_exact_at(&mut seen, at).unwrap();
        assert_eq!(seen, PLANTED, "looked at the wrong place");
        seen.fill(0);

        drop(holder);

        let readable = memory.read_exact_at(&mut seen, at).is_ok();
        readable && seen.iter().skip(LENGTH / 2).any(|byte| *byte == PLANTED[LENGTH - 1])
    }

    #[test]
    fn nothing_remains_of_a_key_once_its_last_clone_is_dropped() {
        assert!(remains_after_drop(Arc::new(PLANTED), |bytes| bytes), "it would be noticed");

        let key = EncryptionKey::from_bytes(PLANTED);
        drop(key.clone());
        assert!(!remains_after_drop(key, EncryptionKey::bytes));
    }

    /// Features say so; without them this does not compile.
    #[test]
    fn what_is_made_of_a_key_is_overwritten_too() {
        fn assert_overwritten<T: zeroize::ZeroizeOnDrop>() {}

        assert_overwritten::<Sha256>();
        assert_overwritten::<chacha20poly1305::XChaCha20Poly1305>();
    }

    const PLANTED: [u8; LENGTH] = [0xA7; LENGTH];
}
