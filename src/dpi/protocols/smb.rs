//! SMB (MS-CIFS, MS-SMB2) and the NetBIOS sessions that carry it (RFC 1002 section 4.3).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    protocols::netbios::{is_encoded, note_name},
    recogniser::Verdict,
    service::Service,
    talk::Streams,
};

/// Frames of a side that are read.
const MOST_FRAMES: usize = 64;
/// Bytes of a message that are enough of it: its sign, and what captures leave of it that keep only headers.
const LEAST: usize = 24;

/// Judges a connection: frames with the sign of SMB, or a request of a NetBIOS session.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(read(talk, notes))
}

fn read(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Read<Verdict> {
    let known = either_side(talk, sign)?;
    let mut service = Service::NetbiosSsn;
    for side in [0, 1].into_iter().filter(|side| known[*side]) {
        let mut bytes = Cursor::of(talk, side);
        for _ in 0..MOST_FRAMES {
            let Ok(frame) = frame(&mut bytes) else { break };
            match frame {
                Frame::Message(message) => {
                    service = Service::Smb;
                    note_message(message, notes);
                }
                Frame::Request { calling } => {
                    notes.client(side);
                    if let Some(name) = calling {
                        note_name(Fact::NbnsName, name, notes);
                    }
                }
                Frame::Other => {}
            }
        }
    }
    notes.service(service);
    Ok(until_ended(talk))
}

/// Judges a side by its first frame that is not a bare answer of a session.
fn sign(mut bytes: Cursor<'_>) -> Read<()> {
    for _ in 0..4 {
        match frame(&mut bytes)? {
            Frame::Other => {}
            Frame::Message(_) | Frame::Request { .. } => return Ok(()),
        }
    }
    Err(Verdict::No)
}

enum Frame<'a> {
    /// A message of SMB, as far as it is there: [`LEAST`] bytes at least.
    Message(&'a [u8]),
    /// A request of a session, with the name of who asks as far as it is shown.
    Request { calling: Option<&'a [u8; 32]> },
    /// A positive or negative answer, a keepalive.
    Other,
}

/// Reads a frame (RFC 1002 section 4.3.1, MS-SMB2 section 2.1).
fn frame<'a>(bytes: &mut Cursor<'a>) -> Read<Frame<'a>> {
    let kind = bytes.u8()?;
    ensure(matches!(kind, 0 | 0x81..=0x83 | 0x85))?;
    let length = bytes.u24()?;
    match kind {
        0 => {
            ensure(length >= 32)?;
            let mut peek = *bytes;
            let magic: [u8; 4] = peek.array()?;
            ensure(matches!(&magic, b"\xffSMB" | b"\xfeSMB" | b"\xfdSMB" | b"\xfcSMB"))?;
            let all = bytes.rest();
            match bytes.take(length) {
                Ok(message) => Ok(Frame::Message(message)),
                // The fixed part is enough of a long one, which is then the last that is seen.
                Err(verdict) => {
                    bytes.take(LEAST.min(length)).map_err(|_| verdict).map(|_| Frame::Message(all))
                }
            }
        }
        0x81 => {
            ensure(length == 68)?;
            // Who is called, who calls, each with a zero behind; what is shown must be all of the first.
            let (called, calling) = bytes.take_shown(68)?.split_first_chunk::<34>().ok_or(Verdict::No)?;
            let is_name = |name: &[u8]| match name {
                [] => true,
                [len, letters @ ..] => *len == 32 && is_encoded(&letters[..letters.len().min(32)]),
            };
            ensure(is_name(called) && is_name(calling))?;
            Ok(Frame::Request { calling: calling.get(1..).and_then(|name| name.first_chunk()) })
        }
        _ => {
            ensure(length == [0, 0, 1, 0, 0][usize::from(kind - 0x81)])?;
            bytes.take(length)?;
            Ok(Frame::Other)
        }
    }
}

/// Notes command and version.
fn note_message(message: &[u8], notes: &mut Notes<'_>) {
    match message {
        [0xff, _, _, _, command, ..] => {
            notes.text(Fact::SmbVersion, b"1");
            notes.number(Fact::SmbCommand, u64::from(*command));
        }
        // Of SMB2 the command stands at 12, and a flag at 16 tells an answer; its negotiation has the version at 68.
        [0xfe, ..] => {
            let Some(command) = message.get(12..14) else { return };
            let command = u16::from_le_bytes([command[0], command[1]]);
            notes.number(Fact::SmbCommand, u64::from(command));
            let is_answer = message.get(16).is_some_and(|flags| flags & 1 == 1);
            if let (0, true, Some(version)) = (command, is_answer, message.get(68..70)) {
                let version: &[u8] = match u16::from_le_bytes([version[0], version[1]]) {
                    0x0202 => b"2.0.2",
                    0x0210 => b"2.1",
                    0x0300 => b"3.0",
                    0x0302 => b"3.0.2",
                    0x0311 => b"3.1.1",
                    _ => return,
                };
                notes.text(Fact::SmbVersion, version);
            }
        }
        // Encrypted and compressed ones.
        _ => {}
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{protocols::netbios::tests::encoded, testing::streams as ask, trial};

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes(), message].concat()
    }

    fn smb2(command: u8, answer: u8, body: &[u8]) -> Vec<u8> {
        let mut header = [0; 64];
        header[..4].copy_from_slice(b"\xfeSMB");
        header[4] = 64;
        header[12] = command;
        header[16] = answer;
        framed(&[&header, body].concat())
    }

    #[test]
    fn version_3_is_negotiated() {
        let client = [smb2(0, 0, &[36; 36]), smb2(1, 0, &[25; 40])].concat();
        let server = smb2(0, 1, &[65, 0, 1, 0, 0x11, 3, 0, 0]);
        let heard = trial::of_streams(streams, &client, &server, 445);
        assert_eq!(heard.service, Some(Service::Smb));
        assert_eq!(
            (heard.first(Fact::SmbVersion), heard.values(Fact::SmbCommand)),
            ("3.1.1", vec!["0", "1"])
        );
        assert_eq!(ask(streams, b"", &server, 4000).service, Some(Service::Smb));
    }

    #[test]
    fn a_session_is_asked_for_before_version_1() {
        let request = [&[0x81, 0, 0, 68][..], &encoded("SERVER", 0x20), &encoded("HOST", 0)].concat();
        let negotiate = framed(&[&b"\xffSMB\x72"[..], &[0; 60]].concat());
        let client = [request.clone(), negotiate].concat();
        let heard = trial::of_streams(streams, &client, &[0x82, 0, 0, 0], 139);
        assert_eq!((heard.service, heard.first(Fact::SmbVersion)), (Some(Service::Smb), "1"));
        assert_eq!((heard.first(Fact::NbnsName), heard.first(Fact::SmbCommand)), ("HOST<00>", "114"));
        assert_eq!(ask(streams, &request, &[], 139).service, Some(Service::NetbiosSsn));
    }

    #[test]
    fn a_request_of_a_session_that_was_cut() {
        let name = encoded("HOST", 0x20);
        let request = [&[0x81, 0, 0, 68][..], &name, &name[..3]].concat();
        let heard = crate::dpi::testing::cut(streams, &request, 72, 139);
        assert_eq!((heard.service, heard.first(Fact::NbnsName)), (Some(Service::NetbiosSsn), ""));
        assert_eq!(crate::dpi::testing::cut(streams, &request, 71, 139).verdict, Some(Verdict::No));
    }
}
