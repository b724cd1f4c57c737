//! How text is searched: contained, the same, letters in order. None regards case.

use std::borrow::Cow;

/// Returns whether `text` contains `needle`, which is in lower case.
pub fn contains(text: &[u8], needle: &str) -> bool {
    find(text, needle).is_some()
}

/// Returns where `needle`, which is in lower case, first stands in `text`; for text beyond ASCII
/// the place in its lower case.
pub fn find(text: &[u8], needle: &str) -> Option<usize> {
    let needle = needle.as_bytes();
    let Some((&first, rest)) = needle.split_first() else { return Some(0) };
    if !needle.is_ascii() {
        let lower = lower(text);
        return lower.windows(needle.len()).position(|window| window == needle);
    }
    let last = text.len().checked_sub(needle.len())?;
    let upper = first.to_ascii_uppercase();
    let same = |at: usize| {
        text[at + 1..at + needle.len()].iter().zip(rest).all(|(a, b)| a.to_ascii_lowercase() == *b)
    };
    (0..=last).find(|&at| (text[at] == first || text[at] == upper) && same(at))
}

/// A text to look for, without regard to case: made once, looked for often.
#[derive(Clone, Debug)]
pub struct Needle {
    /// In lower case.
    lower: Box<str>,
    /// Its rarest byte, in both cases, and where that stands.
    rare: [u8; 2],
    at: usize,
}

/// Bytes of names and numbers in the order of how often they come, roughly.
const COMMON: &[u8] = b"eaotinsrcm.lhdpuwg-10fb2/y5k3v46:789xjqz_ ";

impl Needle {
    /// Returns the needle for a text in lower case.
    pub fn new(lower: &str) -> Self {
        let rank = |byte: &u8| COMMON.iter().position(|c| c == byte).unwrap_or(COMMON.len());
        let rarest = lower.bytes().enumerate().max_by_key(|(_, byte)| rank(byte));
        let (at, byte) = rarest.unwrap_or((0, 0));
        Self { lower: lower.into(), rare: [byte, byte.to_ascii_uppercase()], at }
    }

    /// Returns the text, in lower case.
    pub fn text(&self) -> &str {
        &self.lower
    }

    /// Returns whether `text` contains it.
    #[inline]
    pub fn is_in(&self, text: &[u8]) -> bool {
        let needle = self.lower.as_bytes();
        if text.len() < needle.len() && needle.is_ascii() {
            return false;
        }
        if needle.is_empty() || !needle.is_ascii() {
            return contains(text, &self.lower);
        }
        let starts = text.len() - needle.len() + 1;
        let window = &text[self.at..self.at + starts];
        let [low, high] = self.rare;
        memchr::memchr2_iter(low, high, window)
            .any(|start| text[start..start + needle.len()].eq_ignore_ascii_case(needle))
    }
}

/// Returns whether `text` is `other`, which is in lower case.
pub fn is(text: &[u8], other: &str) -> bool {
    if other.is_ascii() {
        text.eq_ignore_ascii_case(other.as_bytes())
    } else {
        *lower(text) == *other.as_bytes()
    }
}

fn lower(text: &[u8]) -> Cow<'_, [u8]> {
    Cow::Owned(String::from_utf8_lossy(text).to_lowercase().into_bytes())
}

/// Returns how badly `text` fits `letters` (lower case) that must stand in it in this order: 0 is
/// best; `None` if they do not.
pub fn fuzzy(text: &[u8], letters: &str) -> Option<u32> {
    let (start, end) = shortest_span(text, letters.as_bytes())?;
    let gaps = (end - start).saturating_sub(letters.len());
    // Closer together is better, then nearer to the beginning, then in a shorter text.
    Some((gaps.min(255) << 16 | start.min(255) << 8 | text.len().min(255)) as u32)
}

/// Returns the places of `letters` in `text`, those of the shortest span; empty if they are not
/// all there.
pub fn fuzzy_places(text: &str, letters: &str) -> Vec<usize> {
    let Some((start, end)) = shortest_span(text.as_bytes(), letters.as_bytes()) else { return Vec::new() };
    let mut wanted = letters.bytes().peekable();
    let places = text.as_bytes()[start..end].iter().enumerate();
    places
        .filter(|(_, c)| wanted.next_if_eq(&c.to_ascii_lowercase()).is_some())
        .map(|(n, _)| n + start)
        .collect()
}

fn shortest_span(text: &[u8], letters: &[u8]) -> Option<(usize, usize)> {
    let (&first, rest) = letters.split_first()?;
    let mut best: Option<(usize, usize)> = None;
    for start in (0..text.len()).filter(|&at| text[at].to_ascii_lowercase() == first) {
        let mut at = start + 1;
        let found = rest.iter().all(|letter| {
            let next = text[at..].iter().position(|c| c.to_ascii_lowercase() == *letter);
            at += next.map_or(0, |n| n + 1);
            next.is_some()
        });
        if !found {
            break;
        }
        if best.is_none_or(|(from, to)| at - start < to - from) {
            best = Some((start, at));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f2_words_match_when_contained_without_regard_to_case() {
        assert!(contains(b"www.GooGle.com", "google"));
        assert!(contains("MÜNCHEN.example".as_bytes(), "münchen"));
        assert!(contains(b"abc", ""));
        assert!(contains(b"xaab", "aab"));
        assert!(!contains(b"goo", "google"));
        assert!(!contains(b"", "a"));
        assert!(contains(b"\xff\xfeabc", "abc"));
        assert!(is(b"TCP", "tcp") && !is(b"TCP6", "tcp"));
        assert!(is("Ä".as_bytes(), "ä"));
    }

    #[test]
    fn a_needle_finds_what_contains_does() {
        let texts =
            ["www.GooGle.com", "", "g", "google", "GOOGLE", "xgoogl", "MÜNCHEN", "a.b.c:443", "\0\u{1}gO"];
        for word in ["google", "g", "", "le.c", "münchen", ":443", "go", "\0", "com", "w", "zz", "q"] {
            let needle = Needle::new(word);
            for text in texts {
                assert_eq!(
                    needle.is_in(text.as_bytes()),
                    contains(text.as_bytes(), word),
                    "{word} in {text}"
                );
            }
        }
    }

    #[test]
    fn f15_letters_in_order_match_and_the_closest_is_best() {
        assert!(fuzzy(b"firefox", "ffx").is_some());
        assert!(fuzzy(b"firefox", "xf").is_none());
        assert!(fuzzy(b"", "a").is_none() && fuzzy(b"a", "").is_none());
        assert!(fuzzy(b"nginx", "ngx") < fuzzy(b"nagioglux", "ngx"));
        assert!(fuzzy(b"abc", "ab") < fuzzy(b"zabc", "ab"));
        assert_eq!(fuzzy_places("a_firefox", "ffx"), [2, 6, 8]);
        assert_eq!(fuzzy_places("abc", "z"), [0_usize; 0]);
    }
}
