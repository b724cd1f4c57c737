//! How much was moved, and how well.

use super::{card::Card, is_narrow, or_none, story::end};
use crate::{
    base::time::Nanos,
    flow::health::{Health, MOST_ZERO_WINDOWS, Window},
    packet::key::{kind, proto},
    query::format,
    snapshot::row::Row,
    tui::app::App,
};

/// Returns the card. What is down is what comes to Local: its window is the one that Local offers.
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
    let [windows, zero_windows, acked_after] = health(app, row, two);
    Card::new(
        "Transport health",
        [
            ("Bytes", counts(row.bytes)),
            ("Packets", counts(row.packets)),
            ("Rate", two(app.rate(down.into()), app.rate(up.into()))),
            ("Retransmits", tcp(row.retransmits)),
            ("Out of order", tcp(row.out_of_order)),
            ("Window", windows),
            ("Zero windows", zero_windows),
            ("Acked after", acked_after),
            ("RTT", or_none((!rtts.is_empty()).then(|| rtts.join("   ")))),
        ],
    )
}

/// Returns the windows, how often they were closed, and after how long data was acknowledged.
fn health(app: &App, row: &Row, two: impl Fn(String, String) -> String) -> [String; 3] {
    let Some(Health { windows, zero_windows, legs_us }) = row.health else {
        let is_tcp = row.key.proto == proto::TCP && row.key.kind & kind::ARP == 0;
        if is_tcp && row.end.is_some() {
            // Of what has ended, windows are kept where one was closed: here none was.
            let none = if row.is_sampled { "0 sampled" } else { "0" };
            let windows = "- (kept of ended rows if one was closed)";
            return [windows.into(), two(none.into(), none.into()), "-".into()];
        }
        if is_tcp && end(app, row).is_some() {
            return ["- (nobody looked before it ended)", "-", "-"].map(String::from);
        }
        let why = if is_tcp && app.is_frozen() && row.end.is_none() {
            "- (another row was selected when it froze)"
        } else {
            "-"
        };
        return [why, "-", "-"].map(String::from);
    };
    // Whoever receives what is down, and what is up.
    let (of_down, of_up) = (row.local(), row.remote());
    let sampled = |text: String| if row.is_sampled { format!("{text} sampled") } else { text };
    let is_at_least = |window| matches!(window, Window::AtLeast(_));
    let window = |end: usize| match windows[end] {
        Window::Unknown => "-".into(),
        Window::Bytes(bytes) => sampled(format::bytes(bytes.into())),
        Window::AtLeast(bytes) => format!(">= {}", format::bytes(bytes.into())),
    };
    let windows = match windows.into_iter().any(is_at_least) {
        false => two(window(of_down), window(of_up)),
        true => {
            let signs = &app.setup.signs;
            format!("{} {}  {} {}  (scale unknown)", signs.down, window(of_down), signs.up, window(of_up))
        }
    };
    let closed = |end: usize| match zero_windows[end] {
        MOST_ZERO_WINDOWS => sampled(format!("{MOST_ZERO_WINDOWS}+")),
        count => sampled(count.to_string()),
    };
    let leg = |from: usize| match legs_us[from] {
        0 => "-".into(),
        us => sampled(format::span(Nanos(u64::from(us) * 1000))),
    };
    [windows, two(closed(of_down), closed(of_up)), two(leg(of_up), leg(of_down))]
}
