//! From frames to the screen: conversations through the whole engine, drawn at three sizes.

use std::{io, net::IpAddr, sync::Mutex};

use rustnet::{
    flow::locals::Locals,
    packet::build::Body,
    pipeline::launch::EngineConfig,
    snapshot::tap::{Ended, Tap},
};

use crate::{
    engine,
    stage::*,
    talk::{Talk, dns_answer, dns_query, initial, quic_hello, slow_reader, ssh_kexinit},
};

const US: &str = "10.0.0.1";

/// Keeps the last epoch.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<Option<Snapshot>>>);

impl Tap for Last {
    fn ended(&mut self, _: &[Ended]) -> io::Result<()> {
        Ok(())
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        *self.0.lock().unwrap() = snapshot.detached();
        Ok(())
    }
}

/// What a host does in three seconds.
fn talk() -> Talk {
    let mut talk = Talk::default();
    let to = |port: u16, server: &'static str, to: u16| [(US, port), (server, to)];
    let query = dns_query(7, "www.example.org");
    let answer = dns_answer(7, "www.example.org", &[], "192.0.2.80".parse().unwrap());
    talk.datagrams(to(40_053, "192.0.2.53", 53), &[(0, true, &query), (11, false, &answer)]);
    talk.connection(
        100,
        to(40_080, "192.0.2.80", 80),
        &[
            (150, true, b"GET /page HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8\r\n\r\n"),
            (190, false, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"),
        ],
    );
    let (hello, kex) = (quic_hello("h3"), ssh_kexinit());
    talk.datagrams(
        to(40_443, "2001:db8::443", 443).map(|(a, p)| (if a == US { "2001:db8::1" } else { a }, p)),
        &[(200, true, &initial(0, 0, &hello))],
    );
    talk.connection(
        300,
        [("198.51.100.9", 51_022), (US, 22)],
        &[
            (310, false, b"SSH-2.0-OpenSSH_9.6\r\n"),
            (320, true, b"SSH-2.0-PuTTY\r\n"),
            (330, true, &kex),
            (340, false, &kex),
        ],
    );
    talk.connection(400, to(40_222, "192.0.2.9", 9), &[]);
    talk.datagrams(to(40_999, "192.0.2.9", 9), &[(900, true, &[b'x'; 900]), (2_900, true, &[b'y'; 1000])]);
    let ends = |a: &str, b: &str| [a, b].map(|a| a.parse::<IpAddr>().unwrap());
    talk.frame(500, ends(US, "192.0.2.1"), Body::Icmp(8, 0, 0x1073_0001), &[0; 48]);
    talk.frame(511, ends("192.0.2.1", US), Body::Icmp(0, 0, 0x1073_0001), &[0; 48]);
    talk.frame(600, ends(US, "10.0.0.254"), Body::Arp(1), &[]);
    talk
}

fn seen() -> Snapshot {
    seen_of(talk())
}

fn seen_of(talk: Talk) -> Snapshot {
    let locals = Locals::new([(US.parse().unwrap(), 32), ("2001:db8::1".parse().unwrap(), 128)]);
    let config = EngineConfig { fused: true, workers: 1, locals, ..engine::config() };
    let last = Last::default();
    engine::run_with_taps(config, vec![talk.source()], vec![Box::new(last.clone())], |_| ());
    let mut snapshot = last.0.lock().unwrap().take().unwrap();
    // The threads' names and times are the machine's.
    snapshot.stages.clear();
    snapshot
}

#[test]
fn what_a_host_does_is_on_the_screen_at_every_size() {
    let snapshot = seen();
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        let name: rustnet::query::column::ServiceName = rustnet::flow::services::service_name;
        let mut stage = Stage::with(width, height, Setup { services: Some(name), ..Setup::default() });
        stage.app.clock = Stamp(snapshot.wall.0 + 300_000_000);
        for tab in ['1', '2', '4', '6'] {
            stage.key(KeyCode::Char(tab));
            let text = stage.epoch(&snapshot).text();
            insta::assert_snapshot!(format!("frames_tab{tab}_{width}x{height}"), text);
        }
    }
}

#[test]
fn a_slow_reader_is_seen_by_its_windows() {
    let mut talk = Talk::default();
    talk.segments([(US, 40_000), ("192.0.2.80", 80)], &slow_reader());
    let snapshot = seen_of(talk);
    let mut stage = Stage::with(120, 40, Setup::default());
    stage.epoch(&snapshot).key(KeyCode::Char('2'));
    insta::assert_snapshot!("slow_reader_120x40", stage.epoch(&snapshot).text());
    // Its line as an export has it tells them, too.
    let row = &stage.app.view.as_ref().unwrap().rows[0];
    let mut line = Vec::new();
    rustnet::export::line(&mut line, &rustnet::query::kept::of_row(row));
    let line = String::from_utf8(line).unwrap();
    assert!(line.contains(r#","zero_windows":[0,2],"windows":[1500032,0],"#), "{line}");
}

#[test]
fn f13_filters_find_what_frames_said() {
    let snapshot = seen();
    let mut wrong = Vec::new();
    for (filter, count) in [
        ("proto:tcp state:established", 3),
        ("state:keyexchange", 1),
        ("sport:22 ssh:openssh", 1),
        ("state:established ssh:openssh", 1),
        ("dport:=22 ssh:openssh", 0),
        ("state:dns_response", 1),
        ("state:dns_query", 0),
        ("state:udp_active", 1),
        ("state:quic_initial", 1),
        ("dst:example.org", 2),
        ("www.example.org", 2),
        ("proto:icmp state:echo_reply", 1),
        ("proto:arp", 1),
        ("dir:in", 1),
        ("http:curl", 1),
        ("src:10.0.0.0/24 dport:9 !proto:udp", 1),
        ("~oph", 1),
    ] {
        let mut stage = Stage::with(80, 24, Setup { filter: filter.into(), ..Setup::default() });
        stage.epoch(&snapshot);
        let found = stage.app.view.as_ref().unwrap().len;
        if found != count {
            wrong.push((filter, count, found));
        }
    }
    assert!(wrong.is_empty(), "filter, expected, found: {wrong:?}");
}

#[test]
fn d8_echoes_have_their_number_and_time_and_arp_replies_their_address() {
    let mut talk = Talk::default();
    let ends = |a: &str, b: &str| [a, b].map(|a| a.parse::<IpAddr>().unwrap());
    for (ms, from_us, kind, number) in [
        (0, true, 8, 0x1073_0001),
        (4, true, 8, 0x1073_0002),
        (6, false, 0, 0x2222_0001), // nobody has asked so
        (9, false, 0, 0x1073_0002),
        (11, false, 0, 0x1073_0001),
    ] {
        let [us, them] = ends(US, "192.0.2.1");
        talk.frame(ms, if from_us { [us, them] } else { [them, us] }, Body::Icmp(kind, 0, number), &[0; 48]);
    }
    talk.frame(20, ends("2001:db8::1", "2001:db8::9"), Body::Icmp(128, 0, 0x004d_0001), &[0; 48]);
    talk.frame(30, ends(US, "10.0.0.254"), Body::Arp(1), &[]);
    talk.frame(31, ends("10.0.0.254", US), Body::Arp(2), &[]);
    talk.frame(40, ends(US, "10.0.0.253"), Body::Arp(1), &[]);
    let config = EngineConfig { fused: true, workers: 1, ..engine::config() };
    let last = Last::default();
    let run = engine::run_with_taps(config, vec![talk.source()], vec![Box::new(last.clone())], |_| ());
    let mut snapshot = last.0.lock().unwrap().take().unwrap();
    snapshot.stages.clear();
    for (filter, text) in [
        ("4211", "id 4211 5.0 ms"),
        ("app:=77", "id 77"),
        ("state:arp_reply", "is-at 02:00:0a:00:00:fe"),
        ("mac:02:00:0a", "is-at 02:00:0a:00:00:fe"),
        ("\"02:00:0a:00:00:fe\"", "is-at 02:00:0a:00:00:fe"),
    ] {
        let mut stage = Stage::with(160, 24, Setup { filter: filter.into(), ..Setup::default() });
        let shown = stage.epoch(&snapshot).text();
        assert_eq!(stage.app.view.as_ref().unwrap().len, 1, "{filter}: {shown}");
        assert!(shown.contains(text), "{filter}: {shown}");
    }
    let jsonl = String::from_utf8(run.jsonl).unwrap();
    for fields in
        ["\"icmp_id\":4211,\"icmp_rtt_us\":5000", "\"icmp_id\":77", "\"arp_mac\":[\"02:00:0a:00:00:fe\"]"]
    {
        assert_eq!(jsonl.matches(fields).count(), 1, "{fields}: {jsonl}");
    }
}

#[test]
fn st4_over_tcp_dns_and_tcp_states_both_find_the_row() {
    let [one, two] = ["a.example", "b.example"].map(|name| dns_query(7, name));
    let answer = dns_answer(7, "a.example", &[], "192.0.2.80".parse().unwrap());
    let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    let [one, answer, two] = [&one, &answer, &two].map(|message| framed(message));
    let mut talk = Talk::default();
    talk.connection(0, [(US, 40_001), ("192.0.2.53", 53)], &[(100, true, &one), (120, false, &answer)]);
    talk.connection(0, [(US, 40_002), ("192.0.2.54", 53)], &[(100, true, &two)]);
    talk.datagrams([(US, 9), ("192.0.2.9", 9)], &[(2000, true, b"?")]);
    let snapshot = seen_of(talk);
    for (filter, remote) in [
        ("state:established proto:tcp", &["192.0.2.53", "192.0.2.54"][..]),
        ("state:dns_response", &["192.0.2.53"]),
        ("state:dns_query", &["192.0.2.54"]),
        ("state:DNS_ state:=Established", &["192.0.2.53", "192.0.2.54"]),
    ] {
        let mut stage = Stage::with(120, 24, Setup { filter: filter.into(), ..Setup::default() });
        let text = stage.epoch(&snapshot).text();
        assert_eq!(stage.app.view.as_ref().unwrap().len, remote.len(), "{filter}: {text}");
        for remote in remote {
            assert!(stage.line(&format!("→ {remote}:53 ")).contains(" ESTABLISHED "), "{filter}: {text}");
        }
    }
}

/// Records of TLS with parts of a handshake message each (RFC 8446 section 5.1).
fn records(message: &[u8], most: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    message.chunks(most).flat_map(record).collect()
}

/// A ServerHello that takes TLS 1.2, a cipher and `h2`.
fn server_hello() -> Vec<u8> {
    let extensions = [0, 16, 0, 5, 0, 3, 2, b'h', b'2'];
    let body =
        [&[3, 3][..], &[0xbb; 32], &[0, 0xc0, 0x2f, 0, 0, extensions.len() as u8], &extensions].concat();
    [&[2, 0, 0, body.len() as u8][..], &body].concat()
}

#[test]
fn d2_tls_from_frames_is_named_on_the_screen_however_its_hello_is_cut() {
    /// What stands before the message in a CRYPTO frame.
    const FRAME: usize = 4;
    let hello = records(&quic_hello("h2")[FRAME..], 60);
    let answer = records(&server_hello(), 4096);
    let mut talk = Talk::default();
    let (head, tail) = hello.split_at(45);
    let said: [(u64, bool, &[u8]); 3] = [(50, true, head), (60, true, tail), (90, false, &answer)];
    talk.connection(0, [(US, 40_443), ("192.0.2.80", 9443)], &said);
    let snapshot = seen_of(talk);
    for (width, height) in [(80, 40), (120, 40), (200, 50)] {
        let mut stage = Stage::new(width, height);
        assert!(stage.epoch(&snapshot).line("192.0.2.80:9443 ").contains("HTTPS"), "{}", stage.text());
        assert!(width == 80 || stage.text().contains(" HTTPS example.org "), "{}", stage.text());
        stage.key(KeyCode::Char('2'));
        for (label, value) in [
            ("Protocol", "HTTPS"),
            ("Name", "example.org"),
            ("ALPN", "h2"),
            ("Version", "TLS1.2"),
            ("Cipher", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ] {
            let text = stage.text();
            let is_told =
                text.lines().any(|line| line.contains(&format!(" {label} ")) && line.contains(value));
            assert!(is_told, "{label} at {width}: {text}");
        }
    }
}

#[test]
fn c8_names_and_comments_of_a_file_are_told_in_details() {
    use rustnet::names::known::{EndNames, KnownName, NameSource};
    let mut snapshot = known();
    let name = KnownName { name: b"named\x1b.example"[..].into(), source: NameSource::File };
    let mut app = rustnet::snapshot::app::App::default();
    app.learn(rustnet::dpi::fact::Fact::Comment, b"nginx (77)\x1b[2J");
    app.names = EndNames::new([vec![name.clone()], vec![name]]);
    sample::set_app(&mut snapshot, 0, app);
    for filter in ["named", "dst:named", "(77)"] {
        let setup = Setup { filter: filter.replace("(77)", "\"nginx (77)\""), ..Setup::default() };
        let mut stage = Stage::with(120, 40, setup);
        let line = stage.epoch(&snapshot).line("203.0.113.77:51022").to_owned();
        assert!(line.contains("~named"), "{filter}: {line}");
        stage.key(KeyCode::Char('2'));
        let text = stage.settle(&snapshot).text();
        assert!(text.contains("~named\\u{1b}.example   named in the file"), "{text}");
        let comment = text.lines().find(|line| line.contains(" Comment ")).unwrap_or_default();
        assert!(comment.contains("nginx (77)\\u{1b}[2J"), "{text}");
    }
}

#[test]
fn d8_names_that_answers_gave_have_a_sign_until_the_flow_says_one() {
    let mut talk = Talk::default();
    let answer = dns_answer(7, "www.example.net", &[], "192.0.2.80".parse().unwrap());
    let query = dns_query(7, "www.example.net");
    talk.datagrams([(US, 40_053), ("192.0.2.53", 53)], &[(0, true, &query), (11, false, &answer)]);
    talk.connection(2000, [(US, 40_001), ("192.0.2.80", 9999)], &[]);
    talk.connection(
        2000,
        [(US, 40_002), ("192.0.2.80", 80)],
        &[(2050, true, b"GET / HTTP/1.1\r\nHost: own.example\r\n\r\n")],
    );
    talk.datagrams([(US, 9), ("192.0.2.9", 9)], &[(4000, true, b"?")]);
    let snapshot = seen_of(talk);
    let mut stage = Stage::new(120, 24);
    assert!(
        stage.epoch(&snapshot).line("192.0.2.80:9999 ").contains(" ~www.example.net "),
        "{}",
        stage.text()
    );
    let line = stage.line("192.0.2.80:80 ");
    assert!(line.contains(" HTTP own.example ") && !line.contains('~'), "{line}");
    // Both are found by it.
    for (filter, found) in [("dst:example.net", 2), ("dst:own.example", 1), ("src:example.net", 0)] {
        let mut stage = Stage::with(120, 24, Setup { filter: filter.into(), ..Setup::default() });
        stage.epoch(&snapshot);
        assert_eq!(stage.app.view.as_ref().unwrap().len, found, "{filter}");
    }
}
