//! TFTP (RFC 1350, options of RFC 2347): the request, and the transfer, which has a flow of its own.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Datagram,
};

/// Bytes of data in a full block without options.
const BLOCK: usize = 512;

/// Judges a datagram: a request by its mode, a transfer by its first message.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let mut bytes = Cursor::whole(talk.bytes);
    match bytes.u16() {
        Ok(1 | 2) => said(request(bytes, talk.from, notes)),
        Ok(3..=6) if talk.nth == 0 => said(transfer(talk)),
        _ => Verdict::No,
    }
}

fn request(mut bytes: Cursor<'_>, from: usize, notes: &mut Notes<'_>) -> Read<Verdict> {
    let file = bytes.text(255)?;
    // Some fill the name's field up with zeros.
    while bytes.rest().first() == Some(&0) {
        bytes.u8()?;
    }
    let mode = bytes.text(8)?;
    let known = [&b"octet"[..], b"netascii", b"mail"].iter().any(|known| mode.eq_ignore_ascii_case(known));
    ensure(known)?;
    if !file.is_empty() {
        notes.text(Fact::TftpFile, file);
    }
    notes.client(from);
    Ok(Verdict::Done)
}

/// A transfer begins with the first block, the answer to options, or the word that there is none.
fn transfer(talk: &Datagram<'_>) -> Read<Verdict> {
    let mut bytes = Cursor::whole(talk.bytes);
    // The ports of a transfer are any two but the one for requests; those of services are not among them.
    ensure(talk.ports.iter().all(|port| *port >= 1024 || *port == 69))?;
    match (bytes.u16()?, bytes.u16()?) {
        (3, 1) => ensure(talk.wire_len <= 4 + BLOCK)?,
        (4, 0 | 1) => ensure(talk.wire_len == 4)?,
        (5, 0..=8) => {
            let reason = bytes.text(255)?;
            ensure(bytes.is_empty() && reason.iter().all(|byte| matches!(byte, b' '..=b'~')))?;
            ensure(!reason.is_empty())?;
        }
        (6, _) => {
            let mut options = Cursor::whole(&talk.bytes[2..]);
            let name = options.text(16)?;
            let known = [&b"blksize"[..], b"tsize", b"timeout", b"windowsize", b"multicast", b"rollover"];
            ensure(known.iter().any(|known| name.eq_ignore_ascii_case(known)))?;
            options.text(255)?;
        }
        _ => return Err(Verdict::No),
    }
    Ok(Verdict::Done)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    #[test]
    fn requests_name_their_file() {
        let heard =
            trial::of_datagrams(datagram, &[(0, b"\0\x01boot.img\0OCTET\0blksize\x001428\0")], [50_000, 69]);
        assert_eq!((heard.first(Fact::TftpFile), heard.client), ("boot.img", Some(0)));
        assert_eq!(
            datagrams(datagram, &[(0, b"\0\x01boot.img\0bits\0")], [50_000, 69]).verdict,
            Some(Verdict::No)
        );
    }

    #[test]
    fn transfers_begin_with_their_first_message() {
        let block = [&[0, 3, 0, 1][..], &[9; 512]].concat();
        for bytes in [&block[..], b"\0\x04\0\0", b"\0\x05\0\x01File not found\0", b"\0\x06tsize\x00512\0"] {
            trial::of_datagrams(datagram, &[(0, bytes)], [50_000, 40_000]);
            assert_eq!(datagrams(datagram, &[(0, bytes)], [50_000, 161]).verdict, Some(Verdict::No));
        }
        for bytes in
            [&block[..3], b"\0\x03\0\x02abc", b"\0\x04\0\0\0", b"\0\x05\0\x09no\0", b"\0\x06size\x001\0"]
        {
            assert_eq!(
                datagrams(datagram, &[(0, bytes)], [50_000, 40_000]).verdict,
                Some(Verdict::No),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn a_name_that_is_filled_up_with_zeros() {
        let request = b"\0\x01boot.img\0\0\0\0octet\0";
        let heard = trial::of_datagrams(datagram, &[(0, request)], [50_000, 69]);
        assert_eq!(heard.first(Fact::TftpFile), "boot.img");
    }
}
