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
        Service::Tls if carries("h2") || carries("http/1") => "HTTPS",
        Service::Tls if !has_alpn && ports.iter().any(|p| HTTPS_PORTS.contains(p)) => "HTTPS",
        Service::Quic if carries("h3") => "HTTP/3",
        other => other.text(),
    })
}

/// Returns the text of the column, escaped; empty where nothing is known.
pub fn application(app: &App, ports: [u16; 2]) -> String {
    let mut out = label(app, ports).unwrap_or("").to_owned();
    let mut add = |value: &[u8]| {
        if !value.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&text::escape(&String::from_utf8_lossy(value)));
        }
    };
    match app.service {
        Some(Service::Http | Service::WebSocket | Service::Http2) => {
            let host = app.first(Fact::HttpHost).or(app.first(Fact::HttpPath));
            host.into_iter().for_each(&mut add);
            last(app, Fact::HttpStatus).into_iter().for_each(&mut add);
        }
        Some(Service::Tls | Service::Dtls | Service::Quic | Service::Gquic) => {
            let names = [Fact::Sni, Fact::CertName, Fact::Detail];
            names.iter().find_map(|fact| app.first(*fact)).into_iter().for_each(&mut add);
        }
        Some(Service::Dns | Service::Mdns | Service::Llmnr) => {
            // The last question, and what became of it.
            last(app, Fact::DnsType).into_iter().for_each(&mut add);
            last(app, Fact::DnsQuery).into_iter().for_each(&mut add);
            add(answer(app).as_bytes());
        }
        Some(Service::Ssh) => {
            let line = app.first(Fact::SshServer).or(app.first(Fact::SshClient));
            line.map(ssh_software).into_iter().for_each(&mut add);
        }
        _ => main_fact(app).into_iter().for_each(&mut add),
    }
    out
}

fn last(app: &App, fact: Fact) -> Option<&[u8]> {
    app.values(fact).last()
}

/// The time of a DNS answer, or the error it brought (RFC 1035 section 4.1.1, RFC 6895).
fn answer(app: &App) -> String {
    match last(app, Fact::DnsRcode) {
        Some(b"1") => return "FORMERR".into(),
        Some(b"2") => return "SERVFAIL".into(),
        Some(b"3") => return "NXDOMAIN".into(),
        Some(b"4") => return "NOTIMP".into(),
        Some(b"5") => return "REFUSED".into(),
        _ => {}
    }
    let micros = app.first(Fact::DnsTime).and_then(|t| std::str::from_utf8(t).ok()?.parse::<f64>().ok());
    let mut out = String::new();
    if let Some(micros) = micros {
        let ms = micros / 1000.0;
        let places = if ms < 10.0 { 1 } else { 0 };
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
    app.first(Fact::Detail).or_else(|| app.facts().map(|(_, value)| value).find(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(service: Option<Service>, port: u16, facts: &[(Fact, &str)]) -> String {
        let mut app = service.map_or_else(App::default, App::of);
        facts.iter().for_each(|(fact, value)| app.learn(*fact, value.as_bytes()));
        application(&app, [50_000, port])
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
        assert_eq!(shown(None, 0, &[(Detail, "id 4211 11.2 ms")]), "id 4211 11.2 ms");
        assert_eq!(shown(None, 0, &[]), "");
    }

    #[test]
    fn hostile_names_are_escaped() {
        let text = shown(Some(Service::Tls), 443, &[(Fact::Sni, "\x1b[2Ja\u{202e}b")]);
        assert_eq!(text, "HTTPS \\u{1b}[2Ja\\u{202e}b");
        let mut app = App::of(Service::Tls);
        app.learn(Fact::Sni, b"\xff\xfe");
        assert_eq!(application(&app, [0, 443]), "HTTPS \u{fffd}\u{fffd}");
    }
}
