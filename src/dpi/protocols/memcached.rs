//! Memcached: its text protocol and its binary one, over TCP; the text one over UDP too.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, Lines, Ruling, Sign, either_way, is_text, number, weigh, word},
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

/// Bytes of a key at most.
const LONGEST_KEY: usize = 250;
/// The header of a datagram: request id, sequence number, count, and two zeros.
const UDP_HEADER: usize = 8;

/// Knows memcached over TCP.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, |dialog: &Dialog<'_>, notes| {
        if let Ruling::Unknown(verdict) = weigh(dialog, client(dialog.client), server(dialog.server)) {
            return verdict;
        }
        if client(dialog.client) == Sign::Part {
            return dialog.done_when_ended();
        }
        if let Some(line) = Lines::new(dialog.client).next().filter(|line| is_text(line)) {
            notes.text(Fact::Detail, word(line).0);
        }
        Verdict::Done
    })
}

/// Knows memcached over UDP: its header, and a command or an answer that only it has.
pub fn datagram(datagram: &mut Datagram<'_>, _notes: &mut Notes<'_>) -> Verdict {
    let Some((header, text)) = datagram.bytes.split_first_chunk::<UDP_HEADER>() else { return Verdict::No };
    let [_, _, s0, s1, n0, n1, 0, 0] = *header else { return Verdict::No };
    let (nth, count) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([n0, n1]));
    if nth >= count {
        return Verdict::No;
    }
    match (client(text), server(text)) {
        (Sign::Full | Sign::Weak, _) | (_, Sign::Full) => Verdict::Done,
        _ => Verdict::No,
    }
}

fn client(bytes: &[u8]) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if *first == 0x80 {
        return binary(bytes);
    }
    if !first.is_ascii_lowercase() {
        return Sign::No;
    }
    const GETS: &[&[u8]] = &[b"get", b"gets", b"delete", b"touch", b"incr", b"decr", b"gat", b"mg"];
    const STORES: &[&[u8]] = &[b"set", b"add", b"replace", b"append", b"prepend", b"cas"];
    const OTHERS: &[&[u8]] = &[b"stats", b"version", b"flush_all", b"verbosity", b"mn"];
    let known = |name: &[u8]| [GETS, STORES, OTHERS].iter().any(|list| list.contains(&name));
    let Some(line) = Lines::new(bytes).next() else {
        let name = word(bytes).0;
        let possible =
            [GETS, STORES, OTHERS].iter().any(|list| list.iter().any(|known| known.starts_with(name)));
        let fits = known(name)
            || possible && name.len() == bytes.len()
            || name.strip_suffix(b"\r").is_some_and(known);
        return if fits && bytes.len() < 1024 { Sign::Part } else { Sign::No };
    };
    let (name, arguments) = word(line);
    let mut arguments = arguments.split(|byte| *byte == b' ').filter(|argument| !argument.is_empty());
    if !is_text(line) {
        return Sign::No;
    }
    if STORES.contains(&name) {
        // Key, flags, expiry, length.
        let key = arguments.next().is_some_and(|key| key.len() <= LONGEST_KEY);
        let flags = arguments.next().is_some_and(|flags| number(flags).is_some());
        let expiry = arguments.next().is_some_and(|at| number(at.strip_prefix(b"-").unwrap_or(at)).is_some());
        let length = arguments.next().is_some_and(|length| number(length).is_some());
        return if key && flags && expiry && length { Sign::Full } else { Sign::No };
    }
    match known(name) {
        true if GETS.contains(&name) && arguments.next().is_none_or(|key| key.len() > LONGEST_KEY) => {
            Sign::No
        }
        true => Sign::Weak,
        false => Sign::No,
    }
}

/// The 24 bytes of a binary header: lengths that fit, a known opcode, data type 0.
fn binary(bytes: &[u8]) -> Sign {
    let Some(header) = bytes.first_chunk::<24>() else {
        let fits =
            bytes.get(1).is_none_or(|opcode| *opcode <= 0x26) && bytes.get(5).is_none_or(|kind| *kind == 0);
        return if fits { Sign::Part } else { Sign::No };
    };
    let [magic, opcode, k0, k1, extras, kind, _, _, b0, b1, b2, b3, ..] = *header;
    let (key, body) = (u32::from(u16::from_be_bytes([k0, k1])), u32::from_be_bytes([b0, b1, b2, b3]));
    let fits = matches!(magic, 0x80 | 0x81)
        && opcode <= 0x26
        && kind == 0
        && key as usize <= LONGEST_KEY
        && matches!(extras, 0 | 4 | 8 | 20)
        && body >= key + u32::from(extras)
        && body <= 1 << 24;
    if fits { Sign::Full } else { Sign::No }
}

fn server(bytes: &[u8]) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    match first {
        0x81 => return binary(bytes),
        b'A'..=b'Z' | b'0'..=b'9' => {}
        _ => return Sign::No,
    }
    let Some(line) = Lines::new(bytes).next() else {
        let text = is_text(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        return if bytes.len() < 300 && text { Sign::Part } else { Sign::No };
    };
    let (name, rest) = word(line);
    match name {
        b"STAT" if word(rest).1.len() <= 128 && !word(rest).1.is_empty() && is_text(rest) => Sign::Full,
        b"VALUE" if rest.split(|byte| *byte == b' ').skip(1).take(2).filter_map(number).count() == 2 => {
            Sign::Full
        }
        b"NOT_STORED" | b"NOT_FOUND" if rest.is_empty() => Sign::Full,
        b"STORED" | b"DELETED" | b"TOUCHED" | b"END" | b"OK" | b"ERROR" if rest.is_empty() => Sign::Weak,
        b"VERSION" | b"CLIENT_ERROR" | b"SERVER_ERROR" if is_text(rest) => Sign::Weak,
        digits if rest.is_empty() && number(digits).is_some() => Sign::Weak,
        _ => Sign::No,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const SET: &[u8] = b"set key 0 60 5\r\nhello\r\n";
    /// GET of `key`.
    #[rustfmt::skip]
    const BINARY: &[u8] = &[
        0x80, 0, 0, 3, 0, 0, 0, 0, // magic, opcode, key length, extras, type, bucket
        0, 0, 0, 3, 1, 2, 3, 4, // body length, opaque
        0, 0, 0, 0, 0, 0, 0, 0, // CAS
        b'k', b'e', b'y',
    ];

    #[test]
    fn signs() {
        for (client, server, verdict) in [
            (SET, &b""[..], Verdict::Done),
            (b"get key\r\n", b"", Verdict::More),
            (b"get key\r\n", b"END\r\n", Verdict::Done),
            (b"stats\r\n", b"STAT pid 1\r\n", Verdict::Done),
            (BINARY, b"", Verdict::Done),
            (b"get key\r\n", b"$-1\r\n", Verdict::No),
            (b"set key x\r\n", b"", Verdict::No),
            (b"\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01\0\0\0\0\0\0\0\0\0\0\0\0", b"", Verdict::No),
            (b"\x80\x2e", b"", Verdict::No),
            (b"GET / HTTP/1.1\r\n", b"", Verdict::No),
        ] {
            assert_eq!(
                testing::streams(streams, client, server, 11_211).verdict,
                Some(verdict),
                "{client:?} {server:?}"
            );
        }
        every_cut(streams, SET, b"STORED\r\n", 11_211);
        every_cut(streams, b"get a\r\n", b"VALUE a 0 1\r\nb\r\nEND\r\n", 11_211);
        every_cut(streams, BINARY, b"", 11_211);
    }

    #[test]
    fn datagrams_have_a_header() {
        for (bytes, verdict) in [
            (&b"\0\x01\0\0\0\x01\0\0stats\r\n"[..], Verdict::Done),
            (b"\0\x01\0\0\0\x02\0\0STAT pid 1\r\n", Verdict::Done),
            (b"\0\x01\0\x02\0\x02\0\0STAT pid 1\r\n", Verdict::No),
            (b"\0\x01\0\0\0\x01\0\x01stats\r\n", Verdict::No),
            (b"\0\x01\0\0\0\x01\0\0hello\r\n", Verdict::No),
            (b"stats\r\n", Verdict::No),
        ] {
            assert_eq!(
                testing::datagrams(datagram, &[(0, bytes)], [1, 11_211]).verdict,
                Some(verdict),
                "{bytes:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..22_usize, value: u8) {
            testing::streams(streams, &bytes, &bytes, 11_211);
            testing::datagrams(datagram, &[(0, &bytes)], [1, 11_211]);
            for original in [SET, BINARY] {
                let mut changed = original.to_vec();
                changed[at] = value;
                testing::streams(streams, &changed, &changed, 11_211);
            }
        }
    }
}
