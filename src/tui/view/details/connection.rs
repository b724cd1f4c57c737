//! Between whom, since when, for how long.

use super::{card::Card, moment, or_none, story::end};
use crate::{
    dpi::fact::Fact,
    packet::key::kind,
    query::{column, format, text},
    snapshot::row::{Direction, Row},
    tui::{app::App, view::table, widget::bars},
};

/// Returns the card.
pub fn card(app: &App, row: &Row) -> Card {
    let look = app.look(200);
    let clock = |at| format::date_time(at, (app.setup.utc_offset)(at));
    let family = if row.key.kind & kind::V6 != 0 { "IPv6" } else { "IPv4" };
    let interfaces = app.view.iter().flat_map(|v| v.sources.first()).flat_map(|s| &s.interfaces);
    let interface =
        interfaces.into_iter().nth(row.iface.0.into()).map(|i| text::escape(&i.name).into_owned());
    let direction = match row.direction() {
        Direction::Out => "outgoing: this host opened it",
        Direction::In => "incoming: the other side opened it",
        Direction::Forwarded => "neither end is this host; Local opened it",
    };
    // What leaves the list in silence leaves it then: an active row gets no longer.
    let life = row.state.expires_after();
    let left = match end(app, row) {
        Some((at, reason)) => format!("ended {}{}", clock(at), table::why(reason)),
        None => {
            let bar = bars::progress(row.left().0, life.0, 10, &app.setup.signs);
            format!("{} left of {}  {bar}", format::countdown(row.left()), format::countdown(life))
        }
    };
    let address = |end: usize| text::endpoint(row.addresses[end], column::port(row, end));
    Card::new(
        "Connection",
        [
            ("Protocol", format!("{} over {family}", column::protocol(row))),
            ("Local", address(row.local())),
            ("Remote", address(row.remote())),
            ("Direction", direction.into()),
            ("State", row.state_text().into()),
            ("Opened", moment(app, row.first)),
            ("Last packet", moment(app, row.last)),
            ("Lifetime", left),
            ("Service", or_none(Some(column::service(row, &look).into_owned()))),
            ("Interface", or_none(interface)),
            ("VLAN", or_none(row.vlan.map(|vlan| vlan.to_string()))),
            ("MAC", or_none(hardware_address(app, row))),
        ],
    )
}

/// Returns the hardware address of the other end: what ARP said, or what this host has found out for itself.
fn hardware_address(app: &App, row: &Row) -> Option<String> {
    let app_of_arp = row.app.as_ref().filter(|_| row.key.kind & kind::ARP != 0);
    let told = app_of_arp.and_then(|spoken| spoken.first(Fact::ArpMac));
    told.map(|mac| text::escape(&String::from_utf8_lossy(mac)).into_owned())
        .or_else(|| app.neighbour_of(row.addresses[row.remote()]))
}
