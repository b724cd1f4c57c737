//! What happened, with its time.

use super::{
    DAY,
    card::{Card, Field},
};
use crate::{
    base::time::Stamp,
    flow::{entry::Evidence, state::EndReason},
    names::known::NameSource,
    packet::key::{kind, proto},
    query::{column, format, text},
    snapshot::row::Row,
    tui::{app::App, view::table},
};

/// The title of what happened.
pub const TITLE: &str = "What happened";

/// Returns the card of what happened.
pub fn card(app: &App, row: &Row) -> Card {
    Card { title: TITLE, fields: story(app, row) }
}

/// Returns what is known with its time, newest first: the first packet, a state that is final, what changed while the
/// row was the selected one.
fn story(app: &App, row: &Row) -> Vec<Field> {
    let wall = app.look(200).wall;
    let remote = row.remote();
    let mut lines: Vec<(Stamp, String)> = Vec::new();
    if let Some(app) = &row.app {
        lines.extend(app.names.of(remote).iter().filter_map(|known| {
            let name = String::from_utf8_lossy(&known.name);
            // When the resolver was asked is nothing that happened in the traffic.
            let NameSource::Answer { service, seen } = known.source else { return None };
            Some((seen, format!("{} answer: {} is the remote end", service.text(), text::escape(&name))))
        }));
    }
    if let Some(owner) = &row.owner
        && let Some(at) = owner.started.filter(|at| row.first.since(*at) < DAY)
    {
        lines.push((at, format!("{} started", text::escape(&owner.name))));
    }
    lines.push((row.first, first_packet(row)));
    lines.extend(app.changes_of(row.id).map(|(at, what)| (*at, text::escape(what).into_owned())));
    // The lifetime of what is over runs from entering that state.
    let was_seen = app.changes_of(row.id).any(|(_, what)| what.starts_with(row.state_text()));
    if row.state.is_over() && !was_seen {
        lines.push((row.in_state_since(wall), format!("became {}", row.state_text())));
    }
    if let Some((at, reason)) = end(app, row) {
        lines.push((at, format!("ended{}", table::why(reason))));
    }
    // Of what happened at the same time, what is told last came last.
    lines.reverse();
    lines.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let line = |(at, what): (Stamp, String)| {
        let offset = (app.setup.utc_offset)(at);
        let time =
            if wall.since(at) < DAY { format::clock(at, offset) } else { format::date_time(at, offset) };
        let ms = at.0 / 1_000_000 % 1000;
        (format!("{time}.{ms:03}").into(), what)
    };
    lines.into_iter().map(line).collect()
}

/// Returns what the first packet was, as far as it is known.
fn first_packet(row: &Row) -> String {
    let from = row.roles.initiator();
    let from = text::endpoint(row.addresses[from], column::port(row, from));
    let is_tcp = row.key.proto == proto::TCP && row.key.kind & kind::ARP == 0;
    let opened = row.roles.evidence() == Evidence::Handshake as u8;
    match (is_tcp, opened, row.rtt_handshake) {
        (true, true, Some(rtt)) => format!("SYN from {from}   the handshake took {}", format::span(rtt)),
        (true, true, None) => format!("first packet; {from} opened it"),
        (true, false, _) => "first packet that was seen; it was open before".into(),
        (false, ..) => format!("first packet, from {from}"),
    }
}

/// Returns when a row ended and why, if it has.
pub fn end(app: &App, row: &Row) -> Option<(Stamp, Option<EndReason>)> {
    let gone = app.gone().filter(|kept| kept.row.id == row.id).and_then(|kept| kept.ended);
    gone.or_else(|| Some((table::end_of(row)?, row.end)))
}
