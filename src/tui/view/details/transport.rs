//! How much was moved, and how well.

use super::{card::Card, is_narrow, or_none};
use crate::{base::time::Nanos, packet::key::proto, query::format, snapshot::row::Row, tui::app::App};

/// Returns the card.
pub fn card(app: &App, row: &Row) -> Card {
    let (down, up) = row.down_up();
    let [from_remote, from_local] = [row.remote(), row.local()];
    let two = |a: String, b: String| match (app.setup.signs.down, app.setup.signs.up) {
        // Where two cards share a narrow screen, both numbers have less room.
        (down, up) if is_narrow(app) => format!("{down}{a:>14}  {up}{b:>14}"),
        (down, up) => format!("{down} {a:>16}   {up} {b:>16}"),
    };
    let counts =
        |numbers: [u64; 2]| two(format::grouped(numbers[from_remote]), format::grouped(numbers[from_local]));
    let tcp = |numbers: [u32; 2]| match row.key.proto {
        proto::TCP => {
            let share = |end: usize| {
                let share = format::percent(numbers[end].into(), row.packets[end]);
                format!("{} ({share})", format::grouped(numbers[end].into()))
            };
            two(share(from_remote), share(from_local))
        }
        _ => "-".into(),
    };
    let rtt = |name: &str, rtt: Option<Nanos>| rtt.map(|rtt| format!("{} {name}", format::span(rtt)));
    let data = if row.is_sampled { "data, sampled" } else { "data" };
    let rtts = [rtt("handshake", row.rtt_handshake), rtt(data, row.rtt_data)];
    let rtts: Vec<_> = rtts.into_iter().flatten().collect();
    Card::new(
        "Transport health",
        [
            ("Bytes", counts(row.bytes)),
            ("Packets", counts(row.packets)),
            ("Rate", two(app.rate(down.into()), app.rate(up.into()))),
            ("Retransmits", tcp(row.retransmits)),
            ("Out of order", tcp(row.out_of_order)),
            ("RTT", or_none((!rtts.is_empty()).then(|| rtts.join("   ")))),
        ],
    )
}
