//! What protocols of text lines share: lines, words, header fields, and signs at the start of a stream.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{notes::Notes, recogniser::Verdict, talk::Streams};

/// How the start of a stream compares with a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It differs.
    No,
    /// All bytes so far agree, but the sign is longer.
    Part,
    /// It begins with the sign.
    Full,
}

/// Compares the start of `bytes` with `sign`.
pub fn start(bytes: &[u8], sign: &[u8]) -> Start {
    let common = bytes.len().min(sign.len());
    match bytes[..common] == sign[..common] {
        false => Start::No,
        true if common == sign.len() => Start::Full,
        true => Start::Part,
    }
}

/// Compares the start of `bytes` with several signs and returns the best answer.
pub fn start_of_any(bytes: &[u8], signs: &[&[u8]]) -> Start {
    let mut best = Start::No;
    for sign in signs {
        match start(bytes, sign) {
            Start::Full => return Start::Full,
            Start::Part => best = Start::Part,
            Start::No => {}
        }
    }
    best
}

/// Returns whether `bytes` begins with `sign`, letters of any case.
pub fn begins(bytes: &[u8], sign: &[u8]) -> bool {
    bytes.get(..sign.len()).is_some_and(|head| head.eq_ignore_ascii_case(sign))
}

/// Returns where `needle` begins in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, needle)
}

/// Splits at the first blank: the word before it, and what follows without leading blanks.
pub fn word(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], trim(&line[at..])),
        None => (line, &[]),
    }
}

/// Returns `bytes` without blanks and tabs at both ends.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let first = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(first, |last| last + 1);
    &bytes[first..end]
}

/// Returns whether no control byte but the tab is in it. Bytes from 0x80 may be UTF-8 or Latin-1.
pub fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte >= 0x20 && *byte != 0x7F || *byte == b'\t')
}

/// Returns the number that a run of decimal digits means, `None` for none, others or above `u32`.
pub fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let mut number = 0_u32;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    Some(number)
}

/// Returns the code of a reply line of three digits (RFC 959 section 4.2): `220 ` or `220-`.
pub fn reply_code(line: &[u8]) -> Option<u32> {
    match line.get(3) {
        None | Some(b' ' | b'-') => number(line.get(..3)?).filter(|code| (100..600).contains(code)),
        Some(_) => None,
    }
}

/// The whole lines of a text, without their ends (CRLF or LF). What follows the last end is not a line yet.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    /// Index of the next line.
    at: usize,
    /// What follows the last end is a line, as far as it goes.
    ended: bool,
}

impl<'a> Lines<'a> {
    /// Returns the lines of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::until(bytes, false)
    }

    /// Returns the lines of `bytes`; if nothing more will be shown of them (`ended`), the last one may lack its end.
    pub fn until(bytes: &'a [u8], ended: bool) -> Self {
        Self { bytes, at: 0, ended }
    }

    /// Returns where the next line begins.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Returns what comes after the lines taken so far.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let end = match memchr::memchr(b'\n', rest) {
            Some(end) => end,
            None if self.ended && !rest.is_empty() => rest.len(),
            None => return None,
        };
        self.at += rest.len().min(end + 1);
        let line = &rest[..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Returns the first whole line.
pub fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    Lines::new(bytes).next()
}

/// Splits a header line `name: value`; the value without blanks around it.
pub fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((trim(&line[..colon]), trim(&line[colon + 1..])))
}

/// Returns the value of the first header line named `name`, letters of any case, up to an empty line.
pub fn header_value<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    for line in Lines::new(head) {
        if line.is_empty() {
            return None;
        }
        if let Some((this, value)) = header(line)
            && this.eq_ignore_ascii_case(name)
        {
            return Some(value);
        }
    }
    None
}

/// Returns whether a comma-separated list holds `token`, letters of any case.
pub fn lists(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|item| trim(item).eq_ignore_ascii_case(token))
}

/// Returns the connection as it looks when its sides begin at these offsets: what goes through a tunnel.
pub fn inside<'a>(talk: &Streams<'a>, offsets: [usize; 2]) -> Streams<'a> {
    let mut inner = *talk;
    for ((bytes, total), offset) in inner.bytes.iter_mut().zip(&mut inner.total).zip(offsets) {
        let offset = offset.min(bytes.len());
        *bytes = &bytes[offset..];
        *total = total.saturating_sub(offset as u64);
    }
    inner
}

/// A connection seen from one side as the client.
#[derive(Clone, Copy, Debug)]
pub struct Dialog<'a> {
    /// What the client has sent.
    pub client: &'a [u8],
    /// What the server has sent.
    pub server: &'a [u8],
    /// Nothing more of client and server will be shown.
    pub ended: [bool; 2],
    /// The client's side: 0 or 1.
    pub side: usize,
    /// The connection itself.
    pub talk: &'a Streams<'a>,
}

impl Dialog<'_> {
    /// Returns the offsets into client and server by side, as [`inside`] takes them.
    pub fn by_side(&self, client: usize, server: usize) -> [usize; 2] {
        if self.side == 0 { [client, server] } else { [server, client] }
    }

    /// Returns [`Verdict::Done`] when nothing more will be shown of either side.
    pub fn done_when_ended(&self) -> Verdict {
        if self.ended == [true; 2] { Verdict::Done } else { Verdict::Is }
    }
}

/// Asks with the known client; of a connection whose beginning was missed, the other way round too.
pub fn either_way(
    talk: &Streams<'_>,
    notes: &mut Notes<'_>,
    ask: fn(&Dialog<'_>, &mut Notes<'_>) -> Verdict,
) -> Verdict {
    let mut answer = Verdict::No;
    for side in [talk.client, 1 - talk.client] {
        let dialog = Dialog {
            client: talk.bytes[side],
            server: talk.bytes[1 - side],
            ended: [talk.ended[side], talk.ended[1 - side]],
            side,
            talk,
        };
        match ask(&dialog, notes) {
            Verdict::No => {}
            Verdict::More => answer = Verdict::More,
            known => {
                notes.client(side);
                return known;
            }
        }
        if talk.opened {
            break;
        }
    }
    answer
}

/// What the bytes of one side say about a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// They are not of it.
    No,
    /// They may become a sign.
    Part,
    /// They fit, but a few other protocols would say the same: the other side has to fit too.
    Weak,
    /// They are of it.
    Full,
}

/// What the signs of both sides come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is the protocol.
    Known,
    /// It is not yet, for this reason ([`Verdict::No`] or [`Verdict::More`]).
    Unknown(Verdict),
}

/// Weighs the signs of client and server.
pub fn weigh(dialog: &Dialog<'_>, client: Sign, server: Sign) -> Ruling {
    match (client, server) {
        (Sign::Full, _) | (_, Sign::Full) | (Sign::Weak, Sign::Weak) => Ruling::Known,
        (Sign::No, _) | (_, Sign::No) => Ruling::Unknown(Verdict::No),
        (Sign::Part, Sign::Part | Sign::Weak) if dialog.ended[0] => Ruling::Unknown(Verdict::No),
        (Sign::Part | Sign::Weak, Sign::Part) if dialog.ended[1] => Ruling::Unknown(Verdict::No),
        _ => Ruling::Unknown(Verdict::More),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn starts() {
        assert_eq!(start(b"", b"SSH-"), Start::Part);
        assert_eq!(start(b"SS", b"SSH-"), Start::Part);
        assert_eq!(start(b"SSH-2", b"SSH-"), Start::Full);
        assert_eq!(start(b"SST", b"SSH-"), Start::No);
        assert_eq!(start_of_any(b"+OK", &[b"-ERR", b"+OK"]), Start::Full);
        assert!(begins(b"EHLO x", b"ehlo "));
    }

    #[test]
    fn lines_end_with_crlf_or_lf() {
        let mut lines = Lines::new(b"a\r\n\nb c\nrest");
        assert_eq!(lines.next(), Some(b"a".as_slice()));
        assert_eq!(lines.next(), Some(b"".as_slice()));
        assert_eq!(lines.next(), Some(b"b c".as_slice()));
        assert_eq!(lines.next(), None);
        assert_eq!((lines.at(), lines.rest()), (8, b"rest".as_slice()));
    }

    #[test]
    fn words_headers_numbers() {
        assert_eq!(word(b"GET  / x"), (b"GET".as_slice(), b"/ x".as_slice()));
        assert_eq!(header(b"Host :  x "), Some((b"Host".as_slice(), b"x".as_slice())));
        assert_eq!(header_value(b"A: 1\r\nb: 2\r\n\r\nc: 3\r\n", b"B"), Some(b"2".as_slice()));
        assert_eq!(header_value(b"A: 1\r\n\r\nc: 3\r\n", b"c"), None);
        assert_eq!(
            (number(b"42"), number(b""), number(b"4x"), number(b"99999999999")),
            (Some(42), None, None, None)
        );
        assert_eq!(
            (reply_code(b"220 hi"), reply_code(b"220-"), reply_code(b"2200"), reply_code(b"999 x")),
            (Some(220), Some(220), None, None)
        );
        assert!(lists(b"keep-alive, Upgrade", b"upgrade"));
        assert_eq!(trim(b"  "), b"");
    }
}

/// What is shown of every recogniser of streams.
#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
pub(crate) mod proof {
    use super::*;
    use crate::dpi::{recogniser::OfStreams, testing};

    /// Shows that no prefix of what the sides say is denied, nor gives a fact or label that the whole does
    /// not, whichever side speaks first.
    pub(crate) fn every_cut(ask: OfStreams, client: &[u8], server: &[u8], port: u16) {
        let whole = testing::streams(ask, client, server, port);
        assert!(matches!(whole.verdict, Some(Verdict::Is | Verdict::Done)), "{whole:?}");
        let check = |client: &[u8], server: &[u8]| {
            let part = testing::streams(ask, client, server, port);
            assert_ne!(part.verdict, Some(Verdict::No), "cut at {} and {}", client.len(), server.len());
            for fact in &part.facts {
                assert!(whole.facts.contains(fact), "cut at {} and {}: {fact:?}", client.len(), server.len());
            }
            if part.verdict == Some(Verdict::Done) {
                assert_eq!(
                    (part.facts, part.service),
                    (whole.facts.clone(), whole.service),
                    "done too early"
                );
            }
        };
        for end in 0..=client.len() {
            check(&client[..end], b"");
            check(&client[..end], server);
        }
        for end in 0..=server.len() {
            check(b"", &server[..end]);
            check(client, &server[..end]);
        }
    }
}
