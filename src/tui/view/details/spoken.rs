//! What the connection speaks.

use super::{card::Card, or_none};
use crate::{
    dpi::fact::Fact,
    names::known::NameSource,
    query::{application, format, text},
    snapshot::row::Row,
    tui::app::App,
};

/// Returns the card.
pub fn card(app: &App, row: &Row) -> Card {
    let first = |fact: Fact| {
        row.app
            .as_ref()
            .and_then(|app| app.first(fact))
            .map(|v| text::escape(&String::from_utf8_lossy(v)).into_owned())
    };
    let all = |fact: Fact| {
        let values = row.app.iter().flat_map(|app| app.values(fact));
        let texts: Vec<_> = values.map(|v| text::escape(&String::from_utf8_lossy(v)).into_owned()).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let both = |a: Option<String>, b: Option<String>| match (a, b) {
        (Some(a), Some(b)) => Some(format!("{a}   {b}")),
        (a, b) => a.or(b),
    };
    let label = row.app.as_ref().and_then(|app| application::label(app, row.ports)).map(str::to_owned);
    let chosen = first(Fact::AlpnSelected).map(|p| format!("chosen {p}"));
    let offered = all(Fact::Alpn).map(|p| format!("offered {p}"));
    let mut card = Card::new(
        "Application",
        [
            ("Protocol", or_none(label)),
            ("Name", or_none(first(Fact::Sni).or(first(Fact::HttpHost)))),
            ("Names", or_none(names(app, row))),
            ("ALPN", or_none(both(offered, chosen))),
            (
                "Version",
                or_none(first(Fact::TlsVersion).or(all(Fact::QuicVersion)).or(first(Fact::HttpVersion))),
            ),
            ("Cipher", or_none(both(first(Fact::TlsCipher), first(Fact::TlsCipherStrength)))),
            ("Fingerprint", or_none(first(Fact::Ja4).map(|ja4| format!("JA4 {ja4}")))),
            ("Certificate", or_none(all(Fact::CertName))),
            ("Request", or_none(both(all(Fact::HttpMethod), all(Fact::HttpPath)).or(all(Fact::DnsQuery)))),
            ("Answer", or_none(all(Fact::HttpStatus).or(all(Fact::DnsAddress)).or(all(Fact::DnsRcode)))),
            ("Agent", or_none(all(Fact::HttpUserAgent).or(first(Fact::SshClient)))),
            ("Server", or_none(first(Fact::HttpServer).or(first(Fact::SshServer)))),
        ],
    );
    // Few files have any.
    card.fields.extend(all(Fact::Comment).map(|comments| ("Comment".into(), comments)));
    card
}

/// Returns what the remote end is called elsewhere: by answers before, each with source and age, by the file, or by
/// the resolver.
fn names(app: &App, row: &Row) -> Option<String> {
    let wall = app.look(200).wall;
    let names = row.app.as_ref()?.names.of(row.remote()).iter().map(|known| {
        let name = String::from_utf8_lossy(&known.name);
        let source = match known.source {
            NameSource::Answer { service, seen } => {
                format!("{} answer, {} ago", service.text(), format::span(wall.since(seen)))
            }
            NameSource::File => "named in the file".to_owned(),
            NameSource::Resolver => "resolver".to_owned(),
        };
        format!("~{}   {source}", text::escape(&name))
    });
    Some(names.collect::<Vec<_>>().join("   "))
}
