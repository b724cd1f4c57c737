//! The tab Graph: rates over a minute, ten minutes and an hour, packets, and what the connections are.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::{format, text},
    tui::{
        action::Tab,
        app::App,
        theme::Role,
        view::{chart, overview},
        widget::bars,
    },
};

/// A chart: title, which rate, seconds and their text.
type Chart = (&'static str, usize, u64, &'static str);

/// Those of a span of time, which stand side by side where there is room.
const SPANS: [&[Chart]; 3] = [
    &[("Down", 0, 60, "60 s"), ("Up", 1, 60, "60 s"), ("Packets", 2, 60, "60 s")],
    &[("Down", 0, 600, "10 min"), ("Up", 1, 600, "10 min")],
    &[("Down", 0, 3600, "1 h"), ("Up", 1, 3600, "1 h")],
];

/// Draws as many charts as there is room for, those of a span side by side or one below the other, the others by
/// scrolling; below them what the connections are.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App) {
    // Each has room for what its title says.
    let side_by_side = match area.width {
        180.. => 3,
        140.. => 2,
        _ => 1,
    };
    let rows: Vec<&[Chart]> = SPANS.iter().flat_map(|span| span.chunks(side_by_side)).collect();
    let census_height = match area.height {
        ..12 => 0,
        12..24 => 7,
        _ => 9,
    };
    let charts_area = Rect { height: area.height - census_height, ..area };
    let lines = usize::from(charts_area.height / 6).clamp(1, rows.len());
    let top = &mut app.scroll[Tab::Graph.place()];
    *top = (*top).min(rows.len() - lines);
    let (before, shown) = (&rows[..*top], &rows[*top..*top + lines]);
    let count = |rows: &[&[Chart]]| rows.iter().map(|row| row.len()).sum::<usize>();
    let (before, here, all) = (count(before), count(shown), count(&rows));
    let height = (charts_area.height / lines as u16).max(3);
    let app = &*app;
    for (n, row) in shown.iter().enumerate() {
        let line = Rect { y: area.y + n as u16 * height, height, ..area };
        for (m, chart) in row.iter().enumerate() {
            let (from, to) = (m as u16 * area.width, (m as u16 + 1) * area.width);
            let (from, to) = (from / row.len() as u16, to / row.len() as u16);
            let place = Rect { x: area.x + from, width: to - from, ..line }.intersection(charts_area);
            let more = (n == 0 && m == 0 && here < all).then(|| {
                let keys = if place.width < 100 { "" } else { "; arrow keys show others" };
                format!("(chart {}-{} of {all}{keys})", before + 1, before + here)
            });
            draw_chart(buf, place, app, *chart, more);
        }
    }
    let below = Rect { y: charts_area.bottom(), height: census_height, ..area };
    draw_census(buf, below, app);
}

/// Draws connections by state, protocols with their shares, round trips and retransmits side by side.
fn draw_census(buf: &mut Buffer, area: Rect, app: &App) {
    let Some(view) = app.view.as_ref().filter(|_| area.height > 1) else { return };
    let Some(census) = &view.census else { return };
    let third = area.width / 3;
    let states = census.states.iter().map(|(state, flows)| {
        (state.to_string(), format::grouped(*flows), share(app, *flows, view.totals.flows))
    });
    let all: f64 = census.protocols.iter().map(|p| p.rate).sum();
    let protocols = census.protocols.iter().map(|p| {
        let part = share(app, (p.rate * 1000.0) as u64, (all * 1000.0) as u64);
        (p.name.to_string(), app.rate(p.rate), part)
    });
    let trips = census.round_trips;
    let trip = |name: &str, span| {
        (name.to_owned(), if trips.count == 0 { "-".into() } else { format::span(span) }, String::new())
    };
    let packets = view.accounts.packets();
    let health = [
        trip("RTT p50", trips.p50),
        trip("RTT p90", trips.p90),
        trip("RTT p99", trips.p99),
        (
            "retransmits".into(),
            format::grouped(view.totals.retransmits),
            format::percent(view.totals.retransmits, packets),
        ),
        ("half-open".into(), format::grouped(view.totals.half_open), String::new()),
    ];
    let place = |n: u16| Rect {
        x: area.x + n * third,
        width: if n == 2 { area.width - 2 * third } else { third - 1 },
        ..area
    };
    // Shares of protocols are told on narrow screens too, without a bar.
    draw_list(buf, place(0), app, ("By state", 0), states);
    draw_list(buf, place(1), app, ("By protocol", SHARE), protocols);
    draw_list(buf, place(2), app, ("Health", 0), health.into_iter());
}

/// Cells of a share, a blank before it; with its bar.
const SHARE: usize = 6;
const SHARE_AND_BAR: usize = 14;

fn share(app: &App, part: u64, whole: u64) -> String {
    let bar = bars::progress(part, whole, 6, &app.setup.signs);
    format!("{:>5} {}", format::percent(part, whole), bar.trim_end_matches(app.setup.signs.empty))
}

/// Draws names on the left, values on the right of them, and a share where there is room, or in so many cells
/// anyway.
fn draw_list(
    buf: &mut Buffer,
    area: Rect,
    app: &App,
    (title, least_share): (&'static str, usize),
    rows: impl Iterator<Item = (String, String, String)>,
) {
    let mut rule = overview::rule(app);
    rule.left(9, [app.run(Role::Strong, title)]);
    rule.draw(buf, Rect { height: 1, ..area });
    let rows: Vec<_> = rows.take(area.height.into()).collect();
    let value_width = rows.iter().map(|(_, value, _)| text::width(value)).max().unwrap_or(0);
    let share_width = if area.width >= 44 { SHARE_AND_BAR } else { least_share };
    let name_width = usize::from(area.width).saturating_sub(value_width + share_width + 2);
    for (y, (name, value, part)) in (area.y + 1..area.bottom()).zip(rows) {
        let name = text::clip(&name, name_width, app.setup.signs.ellipsis);
        let blanks = " ".repeat(name_width.saturating_sub(text::width(&name)));
        let mut line = format!(" {name}{blanks} {value:>value_width$}");
        if share_width > 0 {
            let part: String = part.chars().take(share_width - 1).collect();
            line += &format!(" {}", part.trim_end());
        }
        buf.set_stringn(area.x, y, line, area.width.into(), app.setup.theme.style(Role::Plain));
    }
}

fn draw_chart(
    buf: &mut Buffer,
    area: Rect,
    app: &App,
    (title, which, seconds, span): Chart,
    more: Option<String>,
) {
    let cells = usize::from(area.width.saturating_sub(10));
    let mut parts = app.charts.over(which, seconds, cells);
    let (mean, peak) = app.charts.mean_and_peak(which, seconds);
    // That of the last second, as the head has it, whatever the parts of the chart are.
    let now = match &app.view {
        Some(view) if !app.is_frozen() => {
            let totals = &view.totals;
            [totals.down, totals.up, totals.packets_per_second][which]
        }
        _ => app.charts.now(which),
    };
    let amount = |value: f64| match which {
        2 => format!("{}/s", format::count(value)),
        _ => app.rate(value),
    };
    let dot = app.setup.signs.dot;
    let mut rule = overview::rule(app);
    rule.left(9, [app.run(Role::Strong, title)]);
    if let Some(more) = more {
        rule.left(7, [app.run(Role::Dim, more)]);
    }
    // That there is more stays told; its mean can be seen.
    // The last second may lie across two of the chart's, and be the largest: title, bars and scale are of one number.
    let peak = peak.max(now);
    if let Some(last) = parts.last_mut() {
        *last = last.map(|rate| rate.max(now));
    }
    let texts = [amount(now), amount(mean), amount(peak)];
    let forms = [
        format!("now {} {dot} mean {} {dot} peak {} {dot} {span}", texts[0], texts[1], texts[2]),
        format!("now {} {dot} peak {} {dot} {span}", texts[0], texts[2]),
    ];
    rule.right_in_forms(8, forms.map(|text| vec![app.run(Role::Plain, text)]));
    rule.draw(buf, Rect { height: 1, ..area });
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let scale =
        format::compact(if app.bits && which != 2 { peak * 8.0 } else { peak }, format::Digits::Three);
    chart::draw(buf, below, app, &parts, span, &scale);
}
