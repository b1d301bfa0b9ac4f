//! Finds secrets that an answer repeats.
//!
//! Servers quote what they were sent, and not always letter by letter. So the text is decoded in
//! every way that servers are known to encode, over and over, and what comes out is searched.
//! Enumerating the encodings of the secret instead would miss the combinations.

use std::collections::HashSet;

use tokenkeeper::{OAuthError, Secret};
use zeroize::Zeroizing;

use crate::error_codes::is_well_known;

/// `error` and `error_description`, without what repeats one of the secrets.
pub(crate) fn scrubbed(code: &str, description: Option<&str>, secrets: &[&Secret]) -> OAuthError {
    let search = Search::new(secrets);
    let code = shortened(code);
    let code = if !is_well_known(code) && search.finds(code) { WITHHELD } else { code };
    let description = description.map(|text| {
        let text = shortened(text);
        if search.finds(text) { WITHHELD_DESCRIPTION } else { text }
    });
    OAuthError::new(code, description)
}

/// Whether the text repeats one of the secrets, or eight bytes in a row of one, in some encoding.
pub(crate) fn repeats(text: &str, secrets: &[&Secret]) -> bool {
    Search::new(secrets).finds(shortened(text))
}

/// Pieces of the secrets in lower case. A text that has none of them tells nothing worth having.
struct Search {
    pieces: Zeroizing<Vec<Vec<u8>>>,
    lengths: Vec<usize>,
}

impl Search {
    fn new(secrets: &[&Secret]) -> Self {
        let mut pieces = Zeroizing::new(Vec::new());
        for secret in secrets {
            let whole = Zeroizing::new(secret.expose_secret().to_ascii_lowercase().into_bytes());
            let shown = Zeroizing::new(collapsed(&whole));
            for text in [&*whole, &*shown] {
                if !text.is_empty() {
                    let length = text.len().min(PIECE);
                    pieces.extend(text.windows(length).map(<[u8]>::to_vec));
                }
            }
        }
        pieces.sort_unstable();
        pieces.dedup();
        let mut lengths: Vec<usize> = pieces.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Self { pieces, lengths }
    }

    /// Breadth first through everything that the text may be an encoding of. A text that unfolds
    /// into more than the limit is taken for guilty.
    fn finds(&self, text: &str) -> bool {
        if self.pieces.is_empty() {
            return false;
        }
        let mut seen = HashSet::new();
        let mut layer = vec![text.as_bytes().to_vec()];
        let mut work = 0;
        for depth in 0..=DEEPEST {
            let mut next = Vec::new();
            for text in layer {
                work += text.len();
                if work > MOST_WORK || self.matches(&text) {
                    return true;
                }
                if depth < DEEPEST {
                    next.extend(decodings(&text).into_iter().filter(|t| seen.insert(t.clone())));
                }
            }
            layer = next;
        }
        false
    }

    fn matches(&self, text: &[u8]) -> bool {
        let text = text.to_ascii_lowercase();
        self.lengths.iter().any(|length| {
            text.windows(*length).any(|window| {
                self.pieces.binary_search_by(|piece| piece.as_slice().cmp(window)).is_ok()
            })
        })
    }
}

/// Everything that the text may be an encoding of, one step away and other than itself.
fn decodings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![
        percent_decoded(text, false),
        percent_decoded(text, true),
        json_unescaped(text),
        collapsed(text),
    ];
    all.extend((0..4).map(|skip| base64_decoded(text, skip)));
    all.retain(|decoded| !decoded.is_empty() && decoded != text);
    all
}

fn percent_decoded(text: &[u8], plus_is_blank: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some((&[high, low], tail)) = tail.split_first_chunk::<2>()
            && let Some(value) = hex(high).zip(hex(low))
        {
            out.push(value.0 << 4 | value.1);
            rest = tail;
        } else {
            out.push(if plus_is_blank && byte == b'+' { b' ' } else { byte });
        }
    }
    out
}

fn json_unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut units = Vec::new();
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let Some((&mark, tail)) = tail.split_first().filter(|_| byte == b'\\') else {
            flush(&mut units, &mut out);
            out.push(byte);
            continue;
        };
        if let Some((digits, tail)) = tail.split_first_chunk::<4>().filter(|_| mark == b'u')
            && let Some(unit) = digits.iter().try_fold(0_u16, |unit, digit| {
                hex(*digit).map(|value| unit << 4 | u16::from(value))
            })
        {
            units.push(unit);
            rest = tail;
            continue;
        }
        flush(&mut units, &mut out);
        out.push(match mark {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            other => other,
        });
        rest = tail;
    }
    flush(&mut units, &mut out);
    out
}

fn flush(units: &mut Vec<u16>, out: &mut Vec<u8>) {
    out.extend_from_slice(String::from_utf16_lossy(units).as_bytes());
    units.clear();
}

/// What remains when characters that are not shown become blanks, and rows of blanks one.
fn collapsed(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for &byte in text {
        let shown = matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        match (shown, out.last()) {
            (true, Some(b' ')) if byte == b' ' => {}
            (true, _) => out.push(byte),
            (false, Some(b' ')) => {}
            (false, _) => out.push(b' '),
        }
    }
    out.trim_ascii().to_vec()
}

/// Every run of base64 characters decoded, of both alphabets, `skip` characters into the run: the
/// secret may sit at any of the four alignments.
fn base64_decoded(text: &[u8], skip: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for run in text.split(|byte| sextet(*byte).is_none()) {
        let mut bits = 0_u32;
        let mut count = 0;
        for value in run.iter().skip(skip).filter_map(|byte| sextet(*byte)) {
            bits = bits << 6 | u32::from(value);
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push((bits >> count & 0xff) as u8);
            }
        }
        out.push(0);
    }
    while out.last() == Some(&0) {
        out.pop();
    }
    out
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The beginning, long enough for everything that is shown of a code or description.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

const PIECE: usize = 8; // bytes; a shorter stretch is met by chance, a longer one is a part shown
const DEEPEST: usize = 3; // a JSON string of a percent-encoded Basic header
const LONGEST_TEXT: usize = 1_000; // five times what is shown of a description
const MOST_WORK: usize = 1 << 20;
const WITHHELD: &str = "[withheld]";
const WITHHELD_DESCRIPTION: &str = "[withheld: it may hold a secret]";
