//! The selected row in full, in two lines below the table.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    base::time::{Nanos, Stamp},
    packet::key::proto,
    query::{application, column, format, text},
    snapshot::row::Row,
    tui::{app::App, theme::Role, view::table, widget::strip::Strip},
};

/// Draws the selected row, as far as there is room and one.
pub fn draw(buf: &mut Buffer, area: Rect, app: &App) {
    if let Some(row) = app.selected_row() {
        draw_row(buf, area, app, row);
    }
}

/// Draws a row, as far as there is room.
pub fn draw_row(buf: &mut Buffer, area: Rect, app: &App, row: &Row) {
    if area.height < 2 {
        return;
    }
    let ellipsis = app.setup.signs.ellipsis;
    let [mut first, mut second] = [Strip::new(ellipsis), Strip::new(ellipsis)];
    add_ends(&mut first, &mut second, app, row, area.width);
    add_owner(&mut first, &mut second, app, row, area.width);
    add_life(&mut first, app, row);
    add_traffic(&mut second, app, row);
    first.draw(buf, Rect { height: 1, ..area });
    second.draw(buf, Rect { y: area.y + 1, height: 1, ..area });
}

/// Adds both ends in full: on one line, or one on each where they are too long.
fn add_ends(first: &mut Strip, second: &mut Strip, app: &App, row: &Row, width: u16) {
    let sign = app.setup.signs.direction(row.direction());
    let [local, remote] =
        [row.local(), row.remote()].map(|end| text::endpoint(row.addresses[end], column::port(row, end)));
    if local.len() + remote.len() + 5 <= usize::from(width) {
        return first.left(9, [app.run(Role::Strong, format!("{local} {sign} {remote}"))]);
    }
    first.left(9, [app.run(Role::Strong, format!("{local} {sign}"))]);
    second.left(9, [app.run(Role::Strong, remote)]);
}

fn add_owner(first: &mut Strip, second: &mut Strip, app: &App, row: &Row, width: u16) {
    let look = app.look(width);
    let owner = column::process(row, &look, usize::MAX);
    if !matches!(&*owner, "n/a" | "?") {
        let user = row.owner.as_ref().and_then(|o| o.user.as_ref());
        let user = user.map_or(String::new(), |user| format!(" {}", text::escape(user)));
        first.left(7, [app.run(Role::Plain, format!("{owner}{user}"))]);
    }
    if let Some(container) = row.owner.as_ref().and_then(|o| o.container.as_ref()) {
        let name = text::clip(&text::escape(container), 24, look.signs.ellipsis).into_owned();
        second.right(3, [app.run(Role::Dim, "container "), app.run(Role::Plain, name)]);
    }
    if let Some(app_facts) = &row.app {
        let text = application::application(app_facts, row.ports, 1 - row.roles.initiator());
        let text = text::clip(&text, usize::from(width) / 3, look.signs.ellipsis).into_owned();
        if !text.is_empty() {
            second.left(8, [app.run(Role::Accent, text)]);
        }
    }
}

fn add_life(strip: &mut Strip, app: &App, row: &Row) {
    let state = format!("{} {}", column::protocol(row), row.state_text());
    strip.left(6, [app.run(Role::Plain, state)]);
    let kept = app.gone().filter(|k| k.row.id == row.id).and_then(|k| k.ended);
    if let Some((at, reason)) = kept.or_else(|| Some((table::end_of(row)?, row.end))) {
        let why = table::why(reason);
        strip.left(8, [app.run(Role::Warn, format!("ended {}{why}", clock(app, at)))]);
    }
    let wall = if kept.is_some() { row.last } else { app.look(0).wall };
    let age = row.age(wall);
    let since = if app.is_file() || age >= Nanos::from_secs(86_400) {
        format::date_time(row.first, (app.setup.utc_offset)(row.first))
    } else {
        clock(app, row.first)
    };
    let forms = [format!("{since} ({})", format::span(age)), since];
    let forms = forms.map(|text| [app.run(Role::Dim, "since "), app.run(Role::Plain, text)].into());
    strip.left_in_forms(5, forms);
    let interfaces = app.view.iter().flat_map(|v| v.sources.first()).flat_map(|s| &s.interfaces);
    if let Some(interface) = interfaces.into_iter().nth(row.iface.0.into()) {
        let name = text::escape(&interface.name);
        strip.right(3, [app.run(Role::Dim, text::clip(&name, 24, app.setup.signs.ellipsis))]);
    }
    if let Some(vlan) = row.vlan {
        strip.right(4, [app.run(Role::Plain, format!("vlan {vlan}"))]);
    }
}

fn add_traffic(strip: &mut Strip, app: &App, row: &Row) {
    let signs = &app.setup.signs;
    let unit = |packets| match (row.roles.segments_unknown(), packets) {
        (true, 1) => "frame",
        (true, _) => "frames",
        (false, 1) => "pkt",
        (false, _) => "pkts",
    };
    for (sign, end, weight) in [(signs.down, row.remote(), 8), (signs.up, row.local(), 7)] {
        let packets = format::count(row.packets[end] as f64);
        let bytes = format::bytes(row.bytes[end]);
        let forms =
            [format!("{sign} {bytes} {packets} {}", unit(row.packets[end])), format!("{sign} {bytes}")];
        strip.left_in_forms(weight, forms.map(|text| [app.run(Role::Plain, text)].into()));
    }
    if let Some(rtt) = row.rtt_data.or(row.rtt_handshake) {
        strip.left(6, [app.run(Role::Dim, "RTT "), app.run(Role::Plain, format::span(rtt))]);
    }
    if row.key.proto == proto::TCP {
        let (again, packets) = row.retransmits_of();
        let share = format::percent(again, packets);
        let again = format::grouped(again);
        let forms = [("retrans ", format!("{again} ({share})")), ("R ", again)];
        let forms = forms.map(|(name, text)| [app.run(Role::Dim, name), app.run(Role::Plain, text)].into());
        strip.left_in_forms(5, forms);
        let late: u64 = row.out_of_order.iter().map(|n| u64::from(*n)).sum();
        if late > 0 {
            let text = format::grouped(late);
            strip.left(4, [app.run(Role::Dim, "out of order "), app.run(Role::Plain, text)]);
        }
        let closed = row.health.map_or(0, |health| health.zero_windows.iter().map(|n| u64::from(*n)).sum());
        if closed > 0 {
            let text = format::grouped(closed);
            strip.left(4, [app.run(Role::Dim, "zero windows "), app.run(Role::Plain, text)]);
        }
    }
    if row.end.is_none() && app.gone().is_none_or(|k| k.row.id != row.id) {
        let left = format::countdown(row.left());
        strip.right(7, [app.run(Role::Dim, "left "), app.run(Role::Plain, left)]);
    }
}

fn clock(app: &App, at: Stamp) -> String {
    format::clock(at, (app.setup.utc_offset)(at))
}
