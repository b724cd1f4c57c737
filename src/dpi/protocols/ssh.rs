//! SSH (RFC 4253): identification lines, agreed algorithms, and how far the session is. SSH 1.x too.
//!
//! Whether the user was let in is encrypted. Where the cipher leaves packet lengths in the clear (AES-GCM, and
//! MACs of the kind encrypt-then-MAC), SSH_MSG_USERAUTH_SUCCESS is known by its size: it is the one message of a
//! single byte that a server sends in that phase. Elsewhere (chacha20-poly1305 hides lengths) the volume tells,
//! see [`LET_IN`].
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Lines, Start, find, start, start_of_any},
    notes::{Notes, Phase},
    recogniser::Verdict,
    talk::{Datagram, STREAM_BUDGET, Streams},
};

/// Bytes after NEWKEYS from server and client from which a session counts as established when packets cannot be
/// told apart. Before the user is let in, OpenSSH's server sends SERVICE_ACCEPT (44 bytes), EXT_INFO (at most
/// 450), a USERAUTH_FAILURE (52) for each of six attempts, PK_OK (460 with RSA): less than this, save with a long
/// banner text. After it come its host keys, channel confirmations and the shell's output: more than this.
const LET_IN: [u64; 2] = [1300, 300];
/// Bytes after the identification that stand for an established session of SSH 1.x, by server and client: beyond
/// the server's key of some 300 bytes and the client's session key of some 150.
const LET_IN_V1: [u64; 2] = [700, 300];
/// An identification line has at most 255 bytes with CR and LF (RFC 4253 section 4.2).
const LONGEST_LINE: usize = 253;

/// Knows SSH by an identification line of either side.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let (client, server) = (talk.client, 1 - talk.client);
    let found = [identification(talk.bytes[client], false), identification(talk.bytes[server], false)];
    match found {
        [Identity::Line { .. } | Identity::Begun(_), _] | [_, Identity::Line { .. } | Identity::Begun(_)] => {
        }
        [Identity::None, _] | [_, Identity::None] if !talk.opened => return joined(talk),
        [Identity::None, Identity::None] => return Verdict::No,
        // A server does not wait for the client's line; one that speaks SSH would have said so.
        [Identity::None, Identity::Part] if talk.opened => return Verdict::No,
        _ if talk.ended == [true; 2] => return Verdict::No,
        _ => return Verdict::More,
    }
    // One side has identified itself. Now other lines may precede the server's (section 4.2).
    let client_id = identification(talk.bytes[client], false);
    let server_id = identification(talk.bytes[server], true);
    for (identity, ended, fact) in
        [(client_id, talk.ended[client], Fact::SshClient), (server_id, talk.ended[server], Fact::SshServer)]
    {
        match identity {
            Identity::Line { text, .. } => notes.text(fact, text),
            // What was captured of it.
            Identity::Begun(text) if ended => notes.text(fact, text.strip_suffix(b"\r").unwrap_or(text)),
            _ => {}
        }
    }
    let (Identity::Line { after: client_at, .. }, Identity::Line { after: server_at, text: server_text }) =
        (client_id, server_id)
    else {
        notes.phase(Phase::SshBanner);
        return match talk.ended == [true; 2] {
            true => Verdict::Done,
            false => Verdict::Is,
        };
    };
    if server_text.starts_with(b"SSH-1.") && !server_text.starts_with(b"SSH-1.99") {
        let sent = [talk.total[server] - server_at as u64, talk.total[client] - client_at as u64];
        return session_v1(sent, notes);
    }
    let server_side = side(&talk.bytes[server][server_at..]);
    let client_side = side(&talk.bytes[client][client_at..]);
    if let (Some(client), Some(server)) = (client_side.kexinit, server_side.kexinit) {
        note_algorithms(client, server, notes);
    }
    let phase = match (client_side.new_keys, server_side.new_keys) {
        (Some(client_keys), Some(server_keys)) => {
            let sent = [
                talk.total[server].saturating_sub((server_at + server_keys) as u64),
                talk.total[client].saturating_sub((client_at + client_keys) as u64),
            ];
            let encrypted = &talk.bytes[server][server_at + server_keys..];
            match let_in(&client_side, &server_side, encrypted, sent) {
                true => Phase::SshEstablished,
                false => Phase::SshAuthentication,
            }
        }
        _ if client_side.kexinit.is_some() || server_side.kexinit.is_some() => Phase::SshKeyExchange,
        _ => Phase::SshBanner,
    };
    notes.phase(phase);
    match phase == Phase::SshEstablished || talk.ended == [true; 2] && phase != Phase::SshAuthentication {
        true => Verdict::Done,
        false => Verdict::Is,
    }
}

/// Knows SSH in datagrams, as some tunnels carry it, by one that begins with an identification line. What follows says
/// nothing more.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let (Identity::Line { text, .. } | Identity::Begun(text)) = identification(talk.bytes, false) else {
        return Verdict::No;
    };
    notes.text(if talk.from == talk.client { Fact::SshClient } else { Fact::SshServer }, text);
    notes.phase(Phase::SshBanner);
    Verdict::Rest
}

/// A side's identification as far as it has come.
#[derive(Clone, Copy)]
enum Identity<'a> {
    /// There is none.
    None,
    /// It may come.
    Part,
    /// `SSH-2.0-` and the like stands there; its end has not come.
    Begun(&'a [u8]),
    /// The line without its end. What follows it begins at `after`.
    Line { text: &'a [u8], after: usize },
}

/// Looks for `SSH-protoversion-softwareversion` at the start, or after other lines too.
fn identification(bytes: &[u8], preceded: bool) -> Identity<'_> {
    if bytes.is_empty() {
        return Identity::Part;
    }
    let mut lines = Lines::new(bytes);
    loop {
        let at = lines.at();
        match start(&bytes[at..], b"SSH-") {
            Start::Part => return Identity::Part,
            Start::Full => {
                let rest = &bytes[at..];
                let version = &rest[..rest.len().min(9)];
                let shape =
                    version[4..].iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
                let Some(dash) = memchr::memchr(b'-', &version[4..]) else {
                    return if shape && version.len() < 9 { Identity::Part } else { Identity::None };
                };
                if !matches!(&version[4..4 + dash], [b'1' | b'2', b'.', minor @ ..] if !minor.is_empty()) {
                    return Identity::None;
                }
                return match lines.next() {
                    Some(line) => {
                        let text = &line[..line.len().min(LONGEST_LINE)];
                        Identity::Line { text, after: lines.at() }
                    }
                    None if bytes.len() >= STREAM_BUDGET || rest.len() > LONGEST_LINE => {
                        let text = &rest[..rest.len().min(LONGEST_LINE)];
                        Identity::Line { text, after: bytes.len() }
                    }
                    None => Identity::Begun(rest),
                };
            }
            Start::No if !preceded => return Identity::None,
            Start::No => {
                if lines.next().is_none() {
                    return Identity::Part;
                }
            }
        }
    }
}

/// What the clear part of a side's packets tells.
struct Side<'a> {
    /// The name-lists of its first KEXINIT.
    kexinit: Option<&'a [u8]>,
    /// Where its first encrypted packet begins.
    new_keys: Option<usize>,
}

/// Judges a connection whose identification lines were missed: by a packet in which keys are exchanged.
fn joined(talk: &Streams<'_>) -> Verdict {
    let sides = talk.bytes.map(exchanges_keys);
    let waits = |side: usize| sides[side] == Start::Part && !talk.ended[side];
    match sides.contains(&Start::Full) {
        true => Verdict::Done,
        false if waits(0) || waits(1) => Verdict::More,
        false => Verdict::No,
    }
}

/// Compares the first packet with KEXINIT, and the server's reply to a method of key exchange, by what either
/// begins with: a list of such methods (RFC 4253 section 7.1), a key and the name of its kind (section 8).
fn exchanges_keys(bytes: &[u8]) -> Start {
    const METHODS: &[&[u8]] =
        &[b"curve25519-", b"curve448-", b"ecdh-", b"diffie-hellman-", b"sntrup", b"mlkem"];
    const KEYS: &[&[u8]] = &[b"ssh-", b"ecdsa-sha2-", b"rsa-sha2-", b"sk-"];
    let fits = |at: usize, values: &[std::ops::RangeInclusive<u8>]| {
        bytes.iter().skip(at).zip(values).all(|(byte, values)| values.contains(byte))
    };
    // A length of at most 35000, that of the padding.
    if !fits(0, &[0..=0, 0..=0, 0..=0x88, 0..=255, 4..=255]) {
        return Start::No;
    }
    let (names_at, names) = match bytes.get(5) {
        None => return Start::Part,
        Some(&SSH_MSG_KEXINIT) => (22, METHODS),
        Some(31 | 33) if fits(6, &[0..=0, 0..=0, 0..=8]) => (10, KEYS),
        Some(_) => return Start::No,
    };
    match bytes.get(names_at + 4..) {
        _ if !fits(names_at, &[0..=0, 0..=0, 0..=4]) => Start::No,
        None => Start::Part,
        Some(list) => start_of_any(list, names),
    }
}

const SSH_MSG_KEXINIT: u8 = 20;
const SSH_MSG_NEWKEYS: u8 = 21;

/// Walks the packets (RFC 4253 section 6) up to NEWKEYS.
fn side(bytes: &[u8]) -> Side<'_> {
    let mut side = Side { kexinit: None, new_keys: None };
    let mut at = 0;
    while let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk::<6>()) {
        let len = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (padding, message) = (usize::from(header[4]), header[5]);
        let Some(end) = at.checked_add(4 + len) else { break };
        if len < padding + 2 || end > bytes.len() {
            break;
        }
        match message {
            // The cookie is passed over.
            SSH_MSG_KEXINIT => side.kexinit = side.kexinit.or(bytes.get(at + 22..end - padding)),
            SSH_MSG_NEWKEYS => {
                side.new_keys = Some(end);
                break;
            }
            _ => {}
        }
        at = end;
    }
    side
}

/// The name-lists of KEXINIT that are used here, in its order (section 7.1).
const KEX: usize = 0;
const HOST_KEY: usize = 1;
const CIPHER: usize = 2;
const CIPHER_BACK: usize = 3;
const MAC: usize = 4;
const MAC_BACK: usize = 5;

/// Returns a name-list of KEXINIT.
fn name_list(kexinit: &[u8], index: usize) -> Option<&[u8]> {
    let mut rest = kexinit;
    for _ in 0..index {
        let (len, after) = rest.split_first_chunk::<4>()?;
        rest = after.get(u32::from_be_bytes(*len) as usize..)?;
    }
    let (len, after) = rest.split_first_chunk::<4>()?;
    after.get(..u32::from_be_bytes(*len) as usize)
}

/// Returns the first name of the client's list that the server's has too (section 7.1).
fn agreed<'a>(client: &'a [u8], server: &[u8], index: usize) -> Option<&'a [u8]> {
    let (offered, accepted) = (name_list(client, index)?, name_list(server, index)?);
    let names = |list: &'a [u8]| list.split(|byte| *byte == b',').take(64);
    names(offered)
        .find(|name| !name.is_empty() && accepted.split(|byte| *byte == b',').take(64).any(|x| x == *name))
}

/// Returns whether a cipher brings its own authentication, so that no MAC is agreed on.
fn is_aead(cipher: &[u8]) -> bool {
    find(cipher, b"gcm").is_some() || find(cipher, b"poly1305").is_some()
}

fn note_algorithms(client: &[u8], server: &[u8], notes: &mut Notes<'_>) {
    let cipher = agreed(client, server, CIPHER);
    for (fact, name) in [
        (Fact::SshKex, agreed(client, server, KEX)),
        (Fact::SshHostKey, agreed(client, server, HOST_KEY)),
        (Fact::SshCipher, cipher),
        (Fact::SshMac, agreed(client, server, MAC).filter(|_| !cipher.is_some_and(is_aead))),
    ] {
        if let Some(name) = name {
            notes.text(fact, name);
        }
    }
}

/// Returns whether the user was let in. `encrypted` is what the server has sent under its keys, `sent` the bytes
/// that server and client have.
fn let_in(client: &Side<'_>, server: &Side<'_>, encrypted: &[u8], sent: [u64; 2]) -> bool {
    if let (Some(client), Some(server)) = (client.kexinit, server.kexinit)
        && let Some(tag) = tag_len(agreed(client, server, CIPHER_BACK), agreed(client, server, MAC_BACK))
    {
        let mut rest = encrypted;
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            // One byte of payload, padding to the block of 16 and one byte that counts it.
            let len = u32::from_be_bytes(*len) as usize;
            let Some(next) = after.get(len.saturating_add(tag)..) else { break };
            if len == 16 {
                return true;
            }
            rest = next;
        }
        // Within the budget the packets tell all.
        if sent[0] <= encrypted.len() as u64 {
            return false;
        }
    }
    sent[0] >= LET_IN[0] && sent[1] >= LET_IN[1]
}

/// Returns the bytes that follow a packet whose length is in the clear, `None` where it is not.
fn tag_len(cipher: Option<&[u8]>, mac: Option<&[u8]>) -> Option<usize> {
    match (cipher?, mac) {
        (cipher, _) if find(cipher, b"-gcm").is_some() => Some(16),
        (cipher, _) if is_aead(cipher) => None,
        (_, Some(b"hmac-sha2-256-etm@openssh.com")) => Some(32),
        (_, Some(b"hmac-sha2-512-etm@openssh.com")) => Some(64),
        (_, Some(b"hmac-sha1-etm@openssh.com")) => Some(20),
        (_, Some(b"umac-64-etm@openssh.com")) => Some(8),
        (_, Some(b"umac-128-etm@openssh.com" | b"hmac-md5-etm@openssh.com")) => Some(16),
        _ => None,
    }
}

/// SSH 1.x: the server's key, the client's session key, then all is encrypted.
fn session_v1(sent: [u64; 2], notes: &mut Notes<'_>) -> Verdict {
    let phase = match sent {
        [0, 0] => Phase::SshBanner,
        [server, client] if server >= LET_IN_V1[0] && client >= LET_IN_V1[1] => Phase::SshEstablished,
        [_, 0] => Phase::SshKeyExchange,
        _ => Phase::SshAuthentication,
    };
    notes.phase(phase);
    match phase {
        Phase::SshEstablished => Verdict::Done,
        _ => Verdict::Is,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const LISTS: usize = 10;

    fn packet(payload: &[u8]) -> Vec<u8> {
        let padding = 8 - (payload.len() + 5) % 8 + 4;
        let mut bytes = ((payload.len() + padding + 1) as u32).to_be_bytes().to_vec();
        bytes.push(padding as u8);
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len() + padding, 0);
        bytes
    }

    fn kexinit(lists: [&str; 6]) -> Vec<u8> {
        let mut payload = vec![SSH_MSG_KEXINIT];
        payload.extend([7; 16]);
        for index in 0..LISTS {
            let list = lists.get(index).copied().unwrap_or("");
            payload.extend((list.len() as u32).to_be_bytes());
            payload.extend(list.bytes());
        }
        payload.extend([0; 5]);
        packet(&payload)
    }

    /// Both sides up to and with NEWKEYS.
    fn session(ciphers: &str, macs: &str) -> [Vec<u8>; 2] {
        let mut client = b"SSH-2.0-cc_1 comment\r\n".to_vec();
        client.extend(kexinit(["a,b", "k1,k2", ciphers, ciphers, macs, macs]));
        client.extend(packet(&[30, 1, 2, 3]));
        client.extend(packet(&[SSH_MSG_NEWKEYS]));
        let mut server = b"SSH-2.0-ss_2\n".to_vec();
        server.extend(kexinit(["x,b,a", "k2", ciphers, ciphers, macs, macs]));
        server.extend(packet(&[31, 1, 2, 3]));
        server.extend(packet(&[SSH_MSG_NEWKEYS]));
        [client, server]
    }

    #[test]
    fn l10_an_identification_line_in_a_datagram_is_ssh() {
        let lines: [(usize, &[u8]); 2] = [(0, b"SSH-2.0-a\r\n"), (1, b"SSH-2.0-b\r\n")];
        let heard = crate::dpi::testing::datagrams(datagram, &lines, [50_000, 22]);
        assert_eq!((heard.verdict, heard.phase), (Some(Verdict::Rest), Some(Phase::SshBanner)));
        assert_eq!((heard.first(Fact::SshClient), heard.first(Fact::SshServer)), ("SSH-2.0-a", "SSH-2.0-b"));
        let other: [(usize, &[u8]); 1] = [(0, b"SSH is spoken here")];
        assert_eq!(crate::dpi::testing::datagrams(datagram, &other, [50_000, 22]).verdict, Some(Verdict::No));
    }

    #[test]
    fn lines_and_algorithms_are_read() {
        let [client, server] = session("aes128-ctr,aes256-ctr", "hmac-sha2-256,hmac-sha1");
        let heard = testing::streams(streams, &client, &server, 443);
        assert_eq!((heard.verdict, heard.phase), (Some(Verdict::Is), Some(Phase::SshAuthentication)));
        for (fact, value) in [
            (Fact::SshClient, "SSH-2.0-cc_1 comment"),
            (Fact::SshServer, "SSH-2.0-ss_2"),
            (Fact::SshKex, "a"),
            (Fact::SshHostKey, "k2"),
            (Fact::SshCipher, "aes128-ctr"),
            (Fact::SshMac, "hmac-sha2-256"),
        ] {
            assert_eq!(heard.first(fact), value);
        }
        every_cut(streams, &client, &server, 22);
    }

    #[test]
    fn a_cipher_with_authentication_has_no_mac() {
        let [client, server] = session("chacha20-poly1305@openssh.com", "hmac-sha1");
        assert_eq!(testing::streams(streams, &client, &server, 22).first(Fact::SshMac), "");
    }

    #[test]
    fn phases_follow_the_packets() {
        let [client, server] = session("aes128-ctr", "hmac-sha1");
        let banner = |bytes: &[u8]| memchr::memchr(b'\n', bytes).unwrap() + 1;
        let at = |client: &[u8], server: &[u8]| testing::streams(streams, client, server, 22).phase;
        assert_eq!(at(b"SSH-2.0-x", b""), Some(Phase::SshBanner));
        assert_eq!(at(&client[..banner(&client)], &server[..banner(&server)]), Some(Phase::SshBanner));
        assert_eq!(
            at(&client[..banner(&client)], &server[..400.min(server.len() - 20)]),
            Some(Phase::SshKeyExchange)
        );
        assert_eq!(at(&client, &server[..server.len() - 1]), Some(Phase::SshKeyExchange));
        assert_eq!(at(&client, &server), Some(Phase::SshAuthentication));
    }

    #[test]
    fn being_let_in_shows_by_size_where_lengths_are_clear() {
        for (cipher, mac, tag) in
            [("aes128-gcm@openssh.com", "hmac-sha1", 16), ("aes256-ctr", "hmac-sha2-256-etm@openssh.com", 32)]
        {
            let [client, mut server] = session(cipher, mac);
            let mut reply = |len: u32| {
                server.extend(len.to_be_bytes());
                server.resize(server.len() + len as usize + tag, 0xAA);
                let heard = testing::streams(streams, &client, &server, 22);
                (heard.verdict.unwrap(), heard.phase.unwrap())
            };
            // SERVICE_ACCEPT, a long EXT_INFO, USERAUTH_FAILURE, USERAUTH_SUCCESS.
            assert_eq!(reply(32), (Verdict::Is, Phase::SshAuthentication));
            assert_eq!(reply(2000), (Verdict::Is, Phase::SshAuthentication));
            assert_eq!(reply(48), (Verdict::Is, Phase::SshAuthentication));
            assert_eq!(reply(16), (Verdict::Done, Phase::SshEstablished));
        }
    }

    #[test]
    fn being_let_in_shows_by_volume_elsewhere() {
        let [client, server] = session("chacha20-poly1305@openssh.com", "hmac-sha1");
        let after = |server_more: u64, client_more: u64| {
            let mut heard = testing::Heard::default();
            let talk = Streams {
                bytes: [&client, &server],
                ended: [false; 2],
                total: [client.len() as u64 + client_more, server.len() as u64 + server_more],
                client: 0,
                opened: true,
                ports: [50_000, 22],
            };
            let mut notes = Notes::new(&mut heard);
            (streams(&talk, &mut notes), notes.phase.unwrap())
        };
        // Six wrong passwords: 44 + 450 + 7 * 52 from the server.
        assert_eq!(after(858, 1200), (Verdict::Is, Phase::SshAuthentication));
        assert_eq!(after(1500, 900), (Verdict::Done, Phase::SshEstablished));
    }

    #[test]
    fn an_identification_captured_in_part_is_told_as_far_as_it_goes() {
        let ask = |ended| {
            let mut heard = crate::dpi::testing::Heard::default();
            let talk = Streams {
                bytes: [b"SSH-2.0-a\r\n", b"SSH-2.0-OpenSSH_9.2p1 Deb"],
                ended: [false, ended],
                total: [11, 40],
                client: 0,
                opened: true,
                ports: [50_000, 22],
            };
            let verdict = streams(&talk, &mut Notes::new(&mut heard));
            (verdict, heard.first(Fact::SshServer).to_owned())
        };
        assert_eq!(ask(false), (Verdict::Is, String::new()));
        assert_eq!(ask(true), (Verdict::Is, "SSH-2.0-OpenSSH_9.2p1 Deb".to_owned()));
    }

    #[test]
    fn lines_before_the_servers_are_passed() {
        let server = b"Hello\r\nSSH is here\r\nSSH-2.0-late\r\n";
        let heard = testing::streams(streams, b"SSH-2.0-c\r\n", server, 22);
        assert_eq!(heard.first(Fact::SshServer), "SSH-2.0-late");
        assert_eq!(testing::streams(streams, b"", server, 22).verdict, Some(Verdict::More));
    }

    #[test]
    fn version_1() {
        let heard = testing::streams(streams, b"SSH-1.5-1.2.26\n", b"SSH-1.5-1.2.27\n\0\0\x01\x0B", 22);
        assert_eq!(heard.first(Fact::SshServer), "SSH-1.5-1.2.27");
        assert_eq!(heard.phase, Some(Phase::SshKeyExchange));
        let heard = testing::streams(streams, b"SSH-2.0-c\n", b"SSH-1.99-s\n", 22);
        assert_eq!((heard.first(Fact::SshServer), heard.phase), ("SSH-1.99-s", Some(Phase::SshBanner)));
    }

    #[test]
    fn others_are_not_it() {
        for bytes in
            [&b"SSH_2.0"[..], b"SSH-x.0-a\r\n", b"SSH-20000000", b"SSH--\r\n", b"\x16\x03\x01", b"GET "]
        {
            assert_eq!(testing::streams(streams, bytes, bytes, 22).verdict, Some(Verdict::No), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..300_usize, value: u8) {
            let [mut client, mut server] = session("aes128-gcm@openssh.com", "hmac-sha1");
            testing::streams(streams, &bytes, &bytes, 22);
            server.extend(&bytes);
            if let Some(byte) = client.get_mut(at) {
                *byte = value;
            }
            testing::streams(streams, &client, &server, 22);
        }
    }

    #[test]
    fn keys_that_are_exchanged_tell_it_where_the_lines_were_missed() {
        let init = kexinit(["curve25519-sha256,ecdh-sha2-nistp256", "ssh-ed25519", "c", "c", "m", "m"]);
        let reply = packet(&[&[31, 0, 0, 0, 51, 0, 0, 0, 11][..], b"ssh-ed25519", &[9; 200]].concat());
        for first in [&init, &reply] {
            let needs = (0..=first.len()).find(|len| {
                let heard = testing::late(streams, b"", &first[..*len], 22);
                assert_ne!(heard.verdict, Some(Verdict::No), "{len} bytes");
                heard.verdict == Some(Verdict::Done)
            });
            assert!(needs.is_some_and(|len| (18..60).contains(&len)), "{needs:?}");
            // In the middle of it another packet may come first on one side.
            assert_eq!(testing::late(streams, &packet(&[30, 1]), first, 22).verdict, Some(Verdict::Done));
        }
        for other in [&packet(&[21]), &kexinit(["a,b", "", "", "", "", ""]), &packet(&[31; 60])] {
            assert_eq!(testing::late(streams, other, other, 22).verdict, Some(Verdict::No));
        }
    }
}
