//! A rate over time as columns of block characters, with a scale.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::text,
    tui::{app::App, theme::Role},
};

/// Draws the last `seconds` of samples into `area`: the scale on the left, time below.
pub fn draw(buf: &mut Buffer, area: Rect, app: &App, parts: &[Option<f64>], seconds: &str, scale: &str) {
    if area.height < 2 || area.width < 20 {
        return;
    }
    let signs = &app.setup.signs;
    let dim = app.setup.theme.style(Role::Dim);
    let accent = app.setup.theme.style(Role::Accent);
    let top = parts.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    let rows = area.height - 1;
    let left = 9;
    let width = usize::from(area.width - left - 1);
    put(buf, area.x, area.y, &format!("{scale:>8}"), left, dim);
    put(buf, area.x, area.y + rows, &format!("{:>8}", 0), left, dim);
    let line = format!(
        "{}{seconds}{}now",
        signs.rule,
        signs.rule.to_string().repeat(width.saturating_sub(text::width(seconds) + 4))
    );
    put(buf, area.x + left, area.y + rows, &line, area.width - left, dim);
    let count = parts.len().max(1);
    for x in 0..width {
        let Some(value) = parts.get(x * count / width).copied().flatten() else { continue };
        let eighths = if top >= 1.0 { (value / top * f64::from(rows) * 8.0).ceil() as u16 } else { 0 };
        for row in 0..rows {
            let y = area.y + rows - 1 - row;
            let level = eighths.saturating_sub(row * 8).min(8);
            if level > 0 {
                let sign = signs.levels[usize::from(level) - 1].to_string();
                put(buf, area.x + left + x as u16, y, &sign, 1, accent);
            }
        }
    }
}

fn put(buf: &mut Buffer, x: u16, y: u16, text: &str, width: u16, style: ratatui::style::Style) {
    buf.set_stringn(x, y, text, width.into(), style);
}
