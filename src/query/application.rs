//! The text of the Application column: a label, and the one fact that tells most.

use std::fmt::Write as _;

use crate::{
    dpi::{fact::Fact, service::Service},
    query::text,
    snapshot::app::App,
};

/// Ports on which TLS without ALPN is taken for HTTPS (IANA 443, and the usual second one).
const HTTPS_PORTS: [u16; 2] = [443, 8443];

/// Returns the label: TLS and QUIC by what they carry, others by their own name; `None` where
/// nothing is known.
pub fn label(app: &App, ports: [u16; 2]) -> Option<&'static str> {
    let service = app.service?;
    let carries = |protocol: &str| {
        let chosen = app.first(Fact::AlpnSelected);
        match chosen {
            Some(chosen) => chosen.starts_with(protocol.as_bytes()),
            None => app.values(Fact::Alpn).any(|offered| offered.starts_with(protocol.as_bytes())),
        }
    };
    let has_alpn = app.first(Fact::Alpn).is_some() || app.first(Fact::AlpnSelected).is_some();
    Some(match service {
        Service::Tls if carries("h2") || carries("http/1") => CARRIED[0],
        Service::Tls if !has_alpn && is_https_port(ports) => CARRIED[0],
        Service::Quic if carries("h3") => CARRIED[1],
        other => other.text(),
    })
}

/// Returns whether one of these ports is HTTPS's: all that the label depends on beside what a flow speaks.
fn is_https_port(ports: [u16; 2]) -> bool {
    ports.iter().any(|port| HTTPS_PORTS.contains(port))
}

/// Returns a number below 4 for what the text depends on beside what a flow speaks.
pub fn variant(ports: [u16; 2], called: usize) -> usize {
    usize::from(is_https_port(ports)) << 1 | called
}

/// Returns the text of the column, escaped; empty where nothing is known. `called` is the end that was
/// called, whose name from elsewhere stands behind a `~` where the flow itself has none.
pub fn application(app: &App, ports: [u16; 2], called: usize) -> String {
    let mut out = label(app, ports).unwrap_or("").to_owned();
    let mut add = |sign: &str, value: &[u8]| {
        if !value.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(sign);
            out.push_str(&text::escape(&String::from_utf8_lossy(value)));
        }
    };
    let elsewhere = || app.names.of(called).first().map(|known| ("~", &*known.name));
    let said = match app.service {
        Some(Service::Http | Service::WebSocket | Service::Http2) => {
            let path = here(app.first(Fact::HttpPath));
            let host = here(app.first(Fact::HttpHost)).or_else(elsewhere).or(path);
            [host, here(last(app, Fact::HttpStatus)), None]
        }
        Some(Service::Tls | Service::Dtls | Service::Quic | Service::Gquic) => {
            let names = [Fact::Sni, Fact::CertName];
            let name = names.iter().find_map(|fact| here(app.first(*fact))).or_else(elsewhere);
            [name.or(here(app.first(Fact::Detail))), None, None]
        }
        Some(Service::Dns | Service::Mdns | Service::Llmnr) => {
            // The last question, and what became of it.
            let question = [Fact::DnsType, Fact::DnsQuery].map(|fact| here(last(app, fact)));
            let answer = answer(app);
            question.into_iter().flatten().for_each(|(sign, value)| add(sign, value));
            add("", answer.as_bytes());
            [None; 3]
        }
        Some(Service::Ssh) => {
            let line = app.first(Fact::SshServer).or(app.first(Fact::SshClient));
            [here(line.map(ssh_software)).or_else(elsewhere), None, None]
        }
        None if app.first(Fact::IcmpId).is_some() => {
            add("", &[b"id ", app.first(Fact::IcmpId).unwrap_or_default()].concat());
            add("", millis(app.first(Fact::IcmpRtt)).as_bytes());
            [None; 3]
        }
        None if app.first(Fact::ArpMac).is_some() => {
            add("is-at ", last(app, Fact::ArpMac).unwrap_or_default());
            [None; 3]
        }
        _ => [here(main_fact(app)).or_else(elsewhere), None, None],
    };
    said.into_iter().flatten().for_each(|(sign, value)| add(sign, value));
    out
}

/// Returns the text of the column in at most `max` cells: what is cut is a name, never the error that a question
/// brought.
pub fn within(app: &App, ports: [u16; 2], called: usize, (max, ellipsis): (usize, char)) -> String {
    let all = application(app, ports, called);
    let Some(error) = dns_error(app).filter(|_| text::width(&all) > max) else { return all };
    let asked = all.strip_suffix(error).unwrap_or_default().trim_end();
    match max.checked_sub(error.len() + 1) {
        Some(room) if room >= 2 => format!("{} {error}", text::clip(asked, room, ellipsis)),
        _ => error.to_owned(),
    }
}

/// Returns a value of the flow's own, behind no sign.
fn here(value: Option<&[u8]>) -> Option<(&'static str, &[u8])> {
    value.filter(|value| !value.is_empty()).map(|value| ("", value))
}

fn last(app: &App, fact: Fact) -> Option<&[u8]> {
    app.values(fact).last()
}

/// The time of a DNS answer, or the error it brought.
fn answer(app: &App) -> String {
    dns_error(app).map_or_else(|| millis(app.first(Fact::DnsTime)), str::to_owned)
}

/// Errors that DNS questions bring, by number from 1 on (RFC 1035 section 4.1.1, RFC 6895).
const DNS_ERRORS: [&str; 5] = ["FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/// The error that the last DNS question brought.
fn dns_error(app: &App) -> Option<&'static str> {
    error_of(last(app, Fact::DnsRcode)?)
}

fn error_of(rcode: &[u8]) -> Option<&'static str> {
    let [digit @ b'1'..=b'5'] = rcode else { return None };
    DNS_ERRORS.get(usize::from(digit - b'1')).copied()
}

/// Returns the names of all errors that its DNS questions brought.
pub fn dns_errors(app: &App) -> impl Iterator<Item = &'static str> + '_ {
    app.values(Fact::DnsRcode).filter_map(error_of)
}

/// Labels that no service has for a name.
const CARRIED: [&str; 2] = ["HTTPS", "HTTP/3"];
/// What stands in the column beside labels and facts.
const SIGNS: [&str; 3] = ["id", "is-at", "ms"];

/// Returns whether a text may be in the column, as `holds` says, although it is in no fact and no service's name.
pub fn may_hold(mut holds: impl FnMut(&[u8]) -> bool) -> bool {
    CARRIED.iter().chain(&DNS_ERRORS).any(|text| holds(text.as_bytes()))
}

/// Returns whether a word (lower case) may reach over several parts of the column, or be one that is made for it alone:
/// a sign, or a time as `1.2`.
pub fn may_be_composed(word: &str) -> bool {
    let is_time =
        word.len() <= 4 && word.contains('.') && word.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    word.contains(' ') || is_time || SIGNS.iter().any(|sign| sign.contains(word))
}

/// Returns a time that is there in microseconds as it is shown.
fn millis(micros: Option<&[u8]>) -> String {
    let micros = micros.and_then(|t| std::str::from_utf8(t).ok()?.parse::<f64>().ok());
    let mut out = String::new();
    if let Some(micros) = micros {
        let ms = micros / 1000.0;
        let places = match ms {
            ..0.095 => 2,
            ..9.95 => 1,
            _ => 0,
        };
        let _ = write!(out, "{ms:.places$} ms");
    }
    out
}

/// `SSH-2.0-OpenSSH_9.6 Debian-2` is `OpenSSH_9.6` (RFC 4253 section 4.2).
fn ssh_software(line: &[u8]) -> &[u8] {
    let software = line.splitn(3, |c| *c == b'-').nth(2).unwrap_or(line);
    software.split(|c| *c == b' ').next().unwrap_or(software)
}

/// The fact of a service without a rule of its own: `Detail`, else the first one.
fn main_fact(app: &App) -> Option<&[u8]> {
    // What somebody wrote into a file is nothing that the connection speaks.
    let mut said = app.facts().filter(|(fact, value)| *fact != Fact::Comment && !value.is_empty());
    app.first(Fact::Detail).or_else(|| said.next().map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::time::Stamp,
        names::known::{EndNames, KnownName, NameSource},
    };

    fn shown(service: Option<Service>, port: u16, facts: &[(Fact, &str)]) -> String {
        let mut app = service.map_or_else(App::default, App::of);
        facts.iter().for_each(|(fact, value)| app.learn(*fact, value.as_bytes()));
        application(&app, [50_000, port], 1)
    }

    #[test]
    fn d8_the_column_is_label_and_fact() {
        use Fact::*;
        let sni = (Sni, "api.example.org");
        for (service, port, facts, text) in [
            (
                Service::Http,
                80,
                vec![(HttpHost, "example.org"), (HttpStatus, "301"), (HttpStatus, "200")],
                "HTTP example.org 200",
            ),
            (Service::Tls, 443, vec![sni], "HTTPS api.example.org"),
            (Service::Tls, 8443, vec![], "HTTPS"),
            (Service::Tls, 993, vec![sni], "TLS api.example.org"),
            (Service::Tls, 993, vec![sni, (Alpn, "h2")], "HTTPS api.example.org"),
            (Service::Tls, 443, vec![sni, (Alpn, "dot")], "TLS api.example.org"),
            (Service::Tls, 443, vec![(Alpn, "h2"), (AlpnSelected, "mqtt"), sni], "TLS api.example.org"),
            (Service::Quic, 443, vec![sni, (Alpn, "h3")], "HTTP/3 api.example.org"),
            (Service::Quic, 443, vec![sni], "QUIC api.example.org"),
            (
                Service::Dns,
                53,
                vec![(DnsType, "A"), (DnsQuery, "a.b"), (DnsTime, "11234")],
                "DNS A a.b 11 ms",
            ),
            (
                Service::Dns,
                53,
                vec![(DnsType, "A"), (DnsQuery, "a.b"), (DnsTime, "1234")],
                "DNS A a.b 1.2 ms",
            ),
            (
                Service::Dns,
                53,
                vec![(DnsType, "A"), (DnsQuery, "no.b"), (DnsRcode, "3"), (DnsTime, "9")],
                "DNS A no.b NXDOMAIN",
            ),
            (Service::Dns, 53, vec![(DnsType, "AAAA"), (DnsQuery, "open.b")], "DNS AAAA open.b"),
            (
                Service::Ssh,
                22,
                vec![(SshClient, "SSH-2.0-PuTTY"), (SshServer, "SSH-2.0-OpenSSH_9.6 Debian")],
                "SSH OpenSSH_9.6",
            ),
            (Service::Postgres, 5432, vec![(SqlDatabase, "orders")], "PostgreSQL orders"),
            (Service::Kafka, 9092, vec![], "Kafka"),
            (Service::Mqtt, 1883, vec![(MqttClient, "a"), (Detail, "b")], "MQTT b"),
        ] {
            assert_eq!(shown(Some(service), port, &facts), text);
        }
        assert_eq!(shown(None, 0, &[(IcmpId, "4211")]), "id 4211");
        assert_eq!(shown(None, 0, &[(IcmpId, "4211"), (IcmpRtt, "1234")]), "id 4211 1.2 ms");
        assert_eq!(shown(None, 0, &[(IcmpId, "4211"), (IcmpRtt, "41")]), "id 4211 0.04 ms");
        let macs = [(ArpMac, "02:00:00:00:00:01"), (ArpMac, "02:00:00:00:00:02")];
        assert_eq!(shown(None, 0, &macs), "is-at 02:00:00:00:00:02");
        assert_eq!(shown(None, 0, &[]), "");
    }

    #[test]
    fn d8_the_error_of_a_question_is_never_cut() {
        let mut app = App::of(Service::Dns);
        for (fact, value) in
            [(Fact::DnsType, "A"), (Fact::DnsQuery, "nowhere.invalid"), (Fact::DnsRcode, "3")]
        {
            app.learn(fact, value.as_bytes());
        }
        for (max, text) in [
            (60, "DNS A nowhere.invalid NXDOMAIN"),
            (30, "DNS A nowhere.invalid NXDOMAIN"),
            (29, "DNS A nowhere.inval… NXDOMAIN"),
            (16, "DNS A … NXDOMAIN"),
            (11, "D… NXDOMAIN"),
            (10, "NXDOMAIN"),
        ] {
            assert_eq!(within(&app, [50_000, 53], 1, (max, '…')), text);
        }
        app = App::of(Service::Dns);
        app.learn(Fact::DnsQuery, b"somewhere.example");
        assert_eq!(within(&app, [50_000, 53], 1, (8, '…')), "DNS somewhere.example", "the table cuts it");
    }

    #[test]
    fn d8_a_name_from_elsewhere_has_a_sign_and_gives_way_to_the_flow_s_own() {
        use Fact::*;
        let with_name = |service: Option<Service>, facts: &[(Fact, &str)], called| {
            let mut app = service.map_or_else(App::default, App::of);
            facts.iter().for_each(|(fact, value)| app.learn(*fact, value.as_bytes()));
            let source = NameSource::Answer { service: Service::Dns, seen: Stamp(1) };
            let known = KnownName { name: b"dl.go\x1bgle.com"[..].into(), source };
            app.names = EndNames::new([Vec::new(), vec![known]]);
            application(&app, [50_000, 443], called)
        };
        for (service, facts, text) in [
            (Some(Service::Tls), vec![], "HTTPS ~dl.go\\u{1b}gle.com"),
            (Some(Service::Tls), vec![(Sni, "a.b")], "HTTPS a.b"),
            (
                Some(Service::Http),
                vec![(HttpPath, "/x"), (HttpStatus, "200")],
                "HTTP ~dl.go\\u{1b}gle.com 200",
            ),
            (Some(Service::Http), vec![(HttpHost, "a.b")], "HTTP a.b"),
            (Some(Service::Dns), vec![(DnsQuery, "q.r")], "DNS q.r"),
            (Some(Service::Kafka), vec![], "Kafka ~dl.go\\u{1b}gle.com"),
            (Some(Service::Ssh), vec![(SshClient, "SSH-2.0-PuTTY")], "SSH PuTTY"),
            (None, vec![], "~dl.go\\u{1b}gle.com"),
        ] {
            assert_eq!(with_name(service, &facts, 1), text);
        }
        assert_eq!(with_name(Some(Service::Tls), &[], 0), "HTTPS", "it names the other end");
    }

    #[test]
    fn hostile_names_are_escaped() {
        let text = shown(Some(Service::Tls), 443, &[(Fact::Sni, "\x1b[2Ja\u{202e}b")]);
        assert_eq!(text, "HTTPS \\u{1b}[2Ja\\u{202e}b");
        let mut app = App::of(Service::Tls);
        app.learn(Fact::Sni, b"\xff\xfe");
        assert_eq!(application(&app, [0, 443], 1), "HTTPS \u{fffd}\u{fffd}");
    }
}
