//! What is drawn where. Views read the state and draw; they decide nothing.

pub mod bottom;
pub mod detail_lines;
pub mod empty;
pub mod head;
pub mod help;
pub mod overview;
pub mod table;

use ratatui::{Frame, layout::Rect};

use crate::tui::app::App;

/// The smallest screen that anything but a message is drawn on.
pub const SMALLEST: (u16, u16) = (40, 10);

/// Draws the whole screen.
pub fn draw(frame: &mut Frame, app: &mut App) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return draw_too_small(frame, area);
    }
    let areas = overview::Areas::of(area);
    app.settle(areas.table);
    let buf = frame.buffer_mut();
    head::draw_tabs(buf, areas.tabs, app);
    if app.help.is_some() {
        help::draw(buf, areas.below_tabs(), app);
    } else {
        overview::draw(buf, &areas, app);
    }
    bottom::draw(buf, areas.bottom, app);
}

fn draw_too_small(frame: &mut Frame, area: Rect) {
    let lines = [
        "terminal too small".to_owned(),
        format!("{}x{}, needs {}x{}", area.width, area.height, SMALLEST.0, SMALLEST.1),
        "q q quits".to_owned(),
    ];
    for (y, line) in (area.y..area.bottom()).zip(&lines) {
        frame.buffer_mut().set_stringn(area.x, y, line, area.width.into(), ratatui::style::Style::new());
    }
}
