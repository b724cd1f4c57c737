//! Asks the kernel's table of tracked connections (nf_conntrack) what a connection of this host was before
//! its addresses were translated: masqueraded or forwarded for a container, or redirected to another port.
//!
//! One question for one connection, by its ends as they are on the wire; the table is never read as a whole,
//! and never brought into a kernel that does not track: only where it holds something is it asked.

use std::{
    fs, io,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{
    netlink::{self, Message, Netlink},
    why::Why,
};
use crate::{
    base::ids::FlowId,
    process::{nat::Question, socket::Tuple},
};

/// Questions sent at once: their answers fit the socket's buffer.
const AT_ONCE: usize = 32;
/// So many questions are not all odd ones.
const MANY: usize = 4;
/// How long it is believed that nothing is tracked.
const FRESH: Duration = Duration::from_secs(2);
/// How many connections are tracked in our network namespace; anybody may read it.
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET`, and `..._NEW` for the answer
/// (include/uapi/linux/netfilter/nfnetlink_conntrack.h; so are the attributes).
const GET: u16 = 0x0101;
const NEW: u16 = 0x0100;
/// `struct nfgenmsg`
const FAMILY: usize = 4;
const NESTED: u16 = 0x8000;
const KIND: u16 = 0x3fff;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4: [u16; 2] = [1, 2];
const IP_V6: [u16; 2] = [3, 4];
const PROTO_NUMBER: u16 = 1;
const PROTO_PORTS: [u16; 2] = [2, 3];

/// The way to the table.
#[derive(Debug, Default)]
pub struct Conntrack {
    socket: Option<Netlink>,
    checked: Option<Instant>,
    is_used: bool,
    refused: Option<Why>,
    /// It was asked with success.
    pub answers: bool,
}

impl Conntrack {
    /// Answers questions: which socket it is behind the translation. Those of connections that are not
    /// translated, or not tracked, have no answer. Calls `pause` between what is asked at once.
    pub fn translate(&mut self, questions: &[Question], mut pause: impl FnMut()) -> Vec<(FlowId, Tuple)> {
        let mut found = Vec::new();
        if questions.is_empty() || !self.is_used() {
            return found;
        }
        for some in questions.chunks(AT_ONCE) {
            match self.ask(some, &mut found) {
                Ok(odd) => self.judge(odd, some.len()),
                Err(error) => {
                    // What comes yet is not waited for; the other questions will be asked again.
                    self.socket = None;
                    self.refused = is_refusal(&error).then(|| refusal(&error));
                    break;
                }
            }
            pause();
        }
        found
    }

    /// Judges by how many of the questions asked at once were not understood.
    fn judge(&mut self, odd: usize, asked: usize) {
        if odd < asked {
            self.refused = None;
            self.answers = true;
        } else if odd >= MANY && !self.answers {
            // Nothing behind the socket knows connections: so says the kernel of each question then.
            self.refused = Some(refusal(&io::Error::from_raw_os_error(libc::EINVAL)));
        }
    }

    /// Returns why connections that are translated have no owner, if the table may not be read.
    pub fn refused(&self) -> Option<&Why> {
        self.refused.as_ref()
    }

    fn is_used(&mut self) -> bool {
        if self.checked.is_none_or(|at| at.elapsed() > FRESH) {
            self.checked = Some(Instant::now());
            let count = fs::read_to_string(COUNT).unwrap_or_default();
            // What was refused is tried again when this is looked at again.
            self.is_used = count.trim().parse::<u64>().is_ok_and(|count| count > 0);
        } else if self.refused.is_some() {
            return false;
        }
        self.is_used
    }

    /// Returns how many questions were not understood.
    fn ask(&mut self, questions: &[Question], found: &mut Vec<(FlowId, Tuple)>) -> io::Result<usize> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => Netlink::open(netlink::NETFILTER)?,
        };
        let socket = self.socket.insert(socket);
        let mut request = Vec::with_capacity(questions.len() * 96);
        for (number, question) in (0u32..).zip(questions) {
            write_question(&mut request, number, &question.tuple);
        }
        socket.send(&request)?;
        let mut answers = Answers::default();
        socket.read(|datagram| {
            read_answers(datagram, questions, &mut answers, found)?;
            Ok(answers.all >= questions.len())
        })?;
        Ok(answers.odd)
    }
}

/// How many answers came.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answers {
    all: usize,
    /// Of these, errors that concern the one question.
    odd: usize,
}

/// Returns whether it holds for all questions: who asks may not, or the kernel cannot answer.
fn is_refusal(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code.is_some_and(|code| matches!(code, libc::EPERM | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT))
}

fn refusal(error: &io::Error) -> Why {
    let text = match error.kind() {
        io::ErrorKind::PermissionDenied => "CAP_NET_ADMIN missing".to_owned(),
        _ => error.to_string(),
    };
    let reason = format!("translated connections (NAT) are not looked up: conntrack cannot be asked: {text}");
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "sudo, or cap_net_admin beside the other capabilities",
        _ => "a kernel with CONFIG_NF_CT_NETLINK (module nf_conntrack_netlink)",
    };
    (reason, remedy.into())
}

/// Writes the question about the packets that come to a socket with these ends: they are one of the two
/// directions of what is tracked, whoever began.
fn write_question(out: &mut Vec<u8>, number: u32, tuple: &Tuple) {
    let ends = [tuple.remote, tuple.local];
    let (family, kinds) = match tuple.local.0 {
        IpAddr::V4(_) => (libc::AF_INET, IP_V4),
        IpAddr::V6(_) => (libc::AF_INET6, IP_V6),
    };
    let mut body = vec![family as u8, 0, 0, 0];
    nest(&mut body, TUPLE_ORIGINAL, |body| {
        nest(body, TUPLE_IP, |body| {
            for (kind, (address, _)) in kinds.into_iter().zip(ends) {
                match address {
                    IpAddr::V4(address) => attribute(body, kind, &address.octets()),
                    IpAddr::V6(address) => attribute(body, kind, &address.octets()),
                }
            }
        });
        nest(body, TUPLE_PROTO, |body| {
            attribute(body, PROTO_NUMBER, &[tuple.proto]);
            for (kind, (_, port)) in PROTO_PORTS.into_iter().zip(ends) {
                attribute(body, kind, &port.to_be_bytes());
            }
        });
    });
    netlink::head(out, GET, netlink::REQUEST, number, body.len());
    out.extend_from_slice(&body);
}

/// Appends an attribute (`struct nlattr`), filled up to four bytes.
fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&((4 + value.len()) as u16).to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Appends an attribute that holds those that `fill` appends.
fn nest(out: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    attribute(out, kind | NESTED, &[]);
    fill(out);
    let len = (out.len() - start) as u16;
    out[start..start + 2].copy_from_slice(&len.to_ne_bytes());
}

/// Reads the answers of one datagram, each to one of the questions by its number.
fn read_answers(
    mut rest: &[u8],
    questions: &[Question],
    answers: &mut Answers,
    found: &mut Vec<(FlowId, Tuple)>,
) -> io::Result<()> {
    while let Some(message) = netlink::next(&mut rest)? {
        match message {
            Message::Data(NEW, number, body) => {
                answers.all += 1;
                let Some(question) = questions.get(number as usize) else { continue };
                found.extend(translated(body, &question.tuple).map(|tuple| (question.flow, tuple)));
            }
            Message::Error(_, libc::ENOENT) => answers.all += 1,
            Message::Error(_, error) if error != 0 => {
                let error = io::Error::from_raw_os_error(error);
                if is_refusal(&error) {
                    return Err(error);
                }
                answers.all += 1;
                answers.odd += 1;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the ends of the socket that a connection on the wire belongs to, if they are others.
///
/// ```text
///   original   A ──▶ B    the socket of who began:     A, its peer B
///   reply      C ──▶ D    the socket of who answers:   C, its peer D
/// ```
///
/// On the wire are A and B, or C and D; where nothing is translated they are the same.
fn translated(body: &[u8], asked: &Tuple) -> Option<Tuple> {
    let attributes = body.get(FAMILY..)?;
    let original = direction(find(attributes, TUPLE_ORIGINAL)?)?;
    let reply = direction(find(attributes, TUPLE_REPLY)?)?;
    let came_in = original == [asked.remote, asked.local];
    let [local, remote] = if came_in { reply } else { original };
    let socket = Tuple::new(asked.proto, local, remote);
    (socket != *asked).then_some(socket)
}

/// Returns source and destination of a direction.
fn direction(tuple: &[u8]) -> Option<[(IpAddr, u16); 2]> {
    let (ip, proto) = (find(tuple, TUPLE_IP)?, find(tuple, TUPLE_PROTO)?);
    let end = |n: usize| {
        let address = match (find(ip, IP_V4[n]), find(ip, IP_V6[n])) {
            (Some(v4), _) => IpAddr::from(<[u8; 4]>::try_from(v4).ok()?),
            (_, Some(v6)) => IpAddr::from(<[u8; 16]>::try_from(v6).ok()?),
            _ => return None,
        };
        let port = find(proto, PROTO_PORTS[n])?.try_into().ok()?;
        Some((address, u16::from_be_bytes(port)))
    };
    Some([end(0)?, end(1)?])
}

/// Finds the value of an attribute.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let [a, b, c, d, ..] = attributes {
        let (len, kind) = (usize::from(u16::from_ne_bytes([*a, *b])), u16::from_ne_bytes([*c, *d]) & KIND);
        let value = attributes.get(4..len)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{netlink::HEAD, *};
    use crate::packet::key::proto;

    fn end(text: &str) -> (IpAddr, u16) {
        let address: std::net::SocketAddr = text.parse().unwrap();
        (address.ip(), address.port())
    }

    fn tuple(local: &str, remote: &str) -> Tuple {
        Tuple::new(proto::TCP, end(local), end(remote))
    }

    fn question(tuple: Tuple) -> Question {
        Question { flow: FlowId::new(0, 1, 1), tuple }
    }

    /// What the kernel answers: a mark and a status come first, as they may.
    fn answer(number: u32, original: [&str; 2], reply: [&str; 2]) -> Vec<u8> {
        let mut body = vec![libc::AF_INET as u8, 0, 0, 0];
        attribute(&mut body, 8, &[0; 4]);
        for (kind, ends) in [(TUPLE_ORIGINAL, original), (TUPLE_REPLY, reply)] {
            let ends = ends.map(end);
            nest(&mut body, kind, |body| {
                nest(body, TUPLE_IP, |body| {
                    for (n, (address, _)) in ends.into_iter().enumerate() {
                        match address {
                            IpAddr::V4(address) => attribute(body, IP_V4[n], &address.octets()),
                            IpAddr::V6(address) => attribute(body, IP_V6[n], &address.octets()),
                        }
                    }
                });
                nest(body, TUPLE_PROTO, |body| {
                    attribute(body, PROTO_NUMBER, &[proto::TCP]);
                    attribute(body, PROTO_PORTS[0], &ends[0].1.to_be_bytes());
                    attribute(body, PROTO_PORTS[1], &ends[1].1.to_be_bytes());
                });
            });
        }
        let mut out = Vec::new();
        netlink::head(&mut out, NEW, 0, number, body.len());
        out.extend_from_slice(&body);
        out
    }

    fn ask(wire: Tuple, original: [&str; 2], reply: [&str; 2]) -> Option<Tuple> {
        let (mut answers, mut found) = (Answers::default(), Vec::new());
        let bytes = answer(0, original, reply);
        read_answers(&bytes, &[question(wire)], &mut answers, &mut found).unwrap();
        assert_eq!(answers, Answers { all: 1, odd: 0 });
        found.pop().map(|(_, tuple)| tuple)
    }

    #[test]
    fn each_kind_of_translation_leads_to_its_socket() {
        // A container's connection, masqueraded: on the wire it is this host's.
        let original = ["172.17.0.2:5000", "192.0.2.1:443"];
        let reply = ["192.0.2.1:443", "10.0.0.1:61000"];
        let wire = tuple("10.0.0.1:61000", "192.0.2.1:443");
        assert_eq!(ask(wire, original, reply), Some(tuple("172.17.0.2:5000", "192.0.2.1:443")));
        // A published port: what came in goes to the container.
        let (original, reply) = (["192.0.2.9:4000", "10.0.0.1:8080"], ["172.17.0.2:80", "192.0.2.9:4000"]);
        let wire = tuple("10.0.0.1:8080", "192.0.2.9:4000");
        assert_eq!(ask(wire, original, reply), Some(tuple("172.17.0.2:80", "192.0.2.9:4000")));
        // An own process that connects to a service's address, which stands for another.
        let (original, reply) = (["10.0.0.1:5000", "10.96.0.1:443"], ["10.0.0.7:6443", "10.0.0.1:5000"]);
        let wire = tuple("10.0.0.1:5000", "10.0.0.7:6443");
        assert_eq!(ask(wire, original, reply), Some(tuple("10.0.0.1:5000", "10.96.0.1:443")));
        // IPv6.
        let (original, reply) =
            (["[fd00::2]:5000", "[2001:db8::1]:443"], ["[2001:db8::1]:443", "[2001:db8::9]:700"]);
        let wire = tuple("[2001:db8::9]:700", "[2001:db8::1]:443");
        assert_eq!(ask(wire, original, reply), Some(tuple("[fd00::2]:5000", "[2001:db8::1]:443")));
        // Tracked, but nothing is translated.
        let wire = tuple("10.0.0.1:5000", "192.0.2.1:443");
        let ends = ["10.0.0.1:5000", "192.0.2.1:443"];
        assert_eq!(ask(wire, ends, [ends[1], ends[0]]), None);
    }

    #[test]
    fn cut_and_odd_answers_say_nothing() {
        let wire = tuple("10.0.0.1:61000", "192.0.2.1:443");
        let whole = answer(0, ["172.17.0.2:5000", "192.0.2.1:443"], ["192.0.2.1:443", "10.0.0.1:61000"]);
        for cut in HEAD..whole.len() {
            assert_eq!(translated(&whole[HEAD..cut], &wire), None, "{cut}");
        }
        for at in HEAD..whole.len() {
            for value in [0, 1, 3, 0x7f, 0xff] {
                let mut odd = whole.clone();
                odd[at] = value;
                // Whatever comes out, it ends.
                let _ = translated(&odd[HEAD..], &wire);
            }
        }
        let (mut answers, mut found) = (Answers::default(), Vec::new());
        let stranger = answer(99, ["172.17.0.2:5000", "192.0.2.1:443"], ["192.0.2.1:443", "10.0.0.1:61000"]);
        read_answers(&stranger, &[question(wire)], &mut answers, &mut found).unwrap();
        assert!(found.is_empty());
        let error = failed(0, libc::EPERM);
        let refused = read_answers(&error, &[], &mut answers, &mut found).unwrap_err();
        assert!(refusal(&refused).0.contains("CAP_NET_ADMIN"));
    }

    /// What the kernel answers where it has no answer.
    fn failed(number: u32, code: i32) -> Vec<u8> {
        let mut out = Vec::new();
        netlink::head(&mut out, 2, 0, number, 4);
        out.extend_from_slice(&(-code).to_ne_bytes());
        out
    }

    #[test]
    fn an_odd_error_concerns_one_question_only() {
        let wire = tuple("10.0.0.1:61000", "192.0.2.1:443");
        let questions = [question(wire); 4];
        let ends = (["172.17.0.2:5000", "192.0.2.1:443"], ["192.0.2.1:443", "10.0.0.1:61000"]);
        let all = [failed(0, libc::EINVAL), failed(1, libc::ENOENT), failed(2, libc::ENOMEM)];
        let bytes: Vec<u8> = all.into_iter().chain([answer(3, ends.0, ends.1)]).flatten().collect();
        let (mut answers, mut found) = (Answers::default(), Vec::new());
        read_answers(&bytes, &questions, &mut answers, &mut found).unwrap();
        assert_eq!((&answers, found.len()), (&Answers { all: 4, odd: 2 }, 1));
        for code in [libc::EPERM, libc::EOPNOTSUPP, libc::EPROTONOSUPPORT] {
            assert!(read_answers(&failed(0, code), &questions, &mut answers, &mut found).is_err(), "{code}");
        }
    }

    #[test]
    fn only_errors_of_all_questions_are_a_refusal() {
        let mut table = Conntrack::default();
        table.judge(1, 1);
        assert_eq!((table.refused(), table.answers), (None, false), "one odd question says nothing");
        table.judge(MANY, MANY);
        assert!(table.refused().unwrap().1.contains("CONFIG_NF_CT_NETLINK"));
        table.judge(MANY - 1, MANY);
        assert_eq!((table.refused(), table.answers), (None, true));
        table.judge(MANY, MANY);
        assert_eq!(table.refused(), None, "it has answered");
    }

    #[test]
    fn the_question_is_what_comes_to_the_socket() {
        let mut out = Vec::new();
        write_question(&mut out, 7, &tuple("10.0.0.1:80", "192.0.2.1:50000"));
        let mut rest = &out[..];
        let Some(Message::Data(GET, 7, body)) = netlink::next(&mut rest).unwrap() else { panic!("{out:?}") };
        let original = find(&body[FAMILY..], TUPLE_ORIGINAL).unwrap();
        assert_eq!(direction(original), Some([end("192.0.2.1:50000"), end("10.0.0.1:80")]));
    }
}
