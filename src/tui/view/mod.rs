//! What is drawn where. Views read the state and draw; they decide nothing.

pub mod bottom;
pub mod chart;
pub mod detail_lines;
pub mod details;
pub mod empty;
pub mod graph;
pub mod groups;
pub mod head;
pub mod help;
pub mod overlay;
pub mod overview;
pub mod pipeline;
pub mod table;

use ratatui::{Frame, buffer::Buffer, layout::Rect};

use crate::{
    query::signs::Signs,
    tui::{action::Tab, app::App},
};

/// The smallest screen that anything but a message is drawn on.
pub const SMALLEST: (u16, u16) = (40, 10);

/// Draws the whole screen.
pub fn draw(frame: &mut Frame, app: &mut App) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return draw_too_small(frame, area);
    }
    let areas = overview::Areas::of(area);
    app.screen_width = area.width;
    app.settle(areas.table);
    let buf = frame.buffer_mut();
    head::draw_tabs(buf, areas.tabs, app);
    match (app.tab, app.group_by()) {
        (Tab::Help, _) => help::draw(buf, areas.below_tabs(), app),
        (Tab::Details, _) => details::draw(buf, areas.below_tabs(), app),
        (Tab::Graph, _) => graph::draw(buf, areas.below_tabs(), app),
        (Tab::Pipeline, _) => pipeline::draw(buf, areas.below_tabs(), app),
        (_, Some(_)) => groups::draw(buf, &areas, app),
        (_, None) => overview::draw(buf, &areas, app),
    }
    overlay::draw(buf, areas.below_tabs(), app);
    bottom::draw(buf, areas.bottom, app);
    if app.setup.signs == Signs::ASCII {
        leave_ascii(buf);
    }
}

/// Puts `?` for each sign that a terminal without Unicode cannot show: names in the traffic have any.
fn leave_ascii(buf: &mut Buffer) {
    for cell in buf.content.iter_mut().filter(|cell| !cell.symbol().is_ascii()) {
        cell.set_char('?');
    }
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
