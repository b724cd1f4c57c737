//! The tab Graph: rates over a minute, ten minutes and an hour, packets.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::format,
    tui::{
        app::App,
        theme::Role,
        view::{chart, overview},
    },
};

/// A chart: title, which rate, seconds and their text.
type Chart = (&'static str, usize, u64, &'static str);

const CHARTS: [Chart; 7] = [
    ("Down", 0, 60, "60 s"),
    ("Up", 1, 60, "60 s"),
    ("Packets", 2, 60, "60 s"),
    ("Down", 0, 600, "10 min"),
    ("Up", 1, 600, "10 min"),
    ("Down", 0, 3600, "1 h"),
    ("Up", 1, 3600, "1 h"),
];

/// Draws as many charts as there is room for, one or two side by side.
pub fn draw(buf: &mut Buffer, area: Rect, app: &App) {
    let columns = if area.width >= 140 { 2 } else { 1 };
    let fitting = usize::from(area.height / 6).max(1) * columns;
    let charts = &CHARTS[..fitting.min(CHARTS.len())];
    let lines = charts.len().div_ceil(columns);
    let height = (area.height / lines.max(1) as u16).max(3);
    let width = area.width / columns as u16;
    for (n, chart) in charts.iter().enumerate() {
        let (x, y) = ((n % columns) as u16 * width, (n / columns) as u16 * height);
        let place = Rect { x: area.x + x, y: area.y + y, width, height }.intersection(area);
        draw_chart(buf, place, app, *chart);
    }
}

fn draw_chart(buf: &mut Buffer, area: Rect, app: &App, (title, which, seconds, span): Chart) {
    let cells = usize::from(area.width.saturating_sub(10));
    let parts = app.history.over(which, seconds, cells);
    let peak = parts.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    let known = parts.iter().flatten().count().max(1);
    let mean = parts.iter().flatten().sum::<f64>() / known as f64;
    let now = parts.iter().rev().flatten().next().copied().unwrap_or(0.0);
    let amount = |value: f64| match which {
        2 => format!("{}/s", format::count(value)),
        _ => app.rate(value),
    };
    let dot = app.setup.signs.dot;
    let mut rule = overview::rule(app);
    rule.left(9, [app.run(Role::Strong, title)]);
    rule.right(
        8,
        [app.run(
            Role::Plain,
            format!(
                "now {} {dot} mean {} {dot} peak {} {dot} {span}",
                amount(now),
                amount(mean),
                amount(peak)
            ),
        )],
    );
    rule.draw(buf, Rect { height: 1, ..area });
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let scale =
        format::compact(if app.bits && which != 2 { peak * 8.0 } else { peak }, format::Digits::Three);
    chart::draw(buf, below, app, &parts, span, &scale);
}
