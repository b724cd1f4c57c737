//! What stands in a table without rows: why, and what one can do.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    base::time::Nanos,
    capture::source::InterfaceState,
    query::{format, text, window::View},
    tui::{app::App, theme::Role},
};

/// From then on it is silence.
const SILENCE: Nanos = Nanos::from_secs(1);

/// Draws the words into the middle of the table.
pub fn draw(buf: &mut Buffer, area: Rect, app: &App) {
    let lines = match &app.view {
        None if app.is_file() => vec!["Waiting for the first packets to be counted".to_owned()],
        None => vec![starting(app).to_owned()],
        Some(view) => words(app, view),
    };
    let y = area.y + area.height.saturating_sub(lines.len() as u16) / 3;
    for (n, line) in lines.iter().enumerate().take(area.height.into()) {
        let role = if n == 0 { Role::Strong } else { Role::Dim };
        let line = text::clip(line, usize::from(area.width).saturating_sub(2), app.setup.signs.ellipsis);
        let x = area.x + area.width.saturating_sub(text::width(&line) as u16) / 2;
        buf.set_stringn(x, y + n as u16, &*line, area.width.into(), app.setup.theme.style(role));
    }
}

fn words(app: &App, view: &View) -> Vec<String> {
    let is_filtered = app.only_marked || !app.filter.text().is_empty();
    if view.all + view.hidden > 0 && is_filtered {
        let all = format::grouped((view.all + view.hidden) as u64);
        let (why, remedy) = match (app.only_marked, app.filter.text().is_empty()) {
            (true, true) => ("marked rows", "M shows all again"),
            (true, false) => ("marks and filter", "M shows those without a mark too, Esc clears the filter"),
            (false, _) => ("the filter", "Esc shows all; / changes the filter"),
        };
        if view.hidden_matched > 0 {
            let hidden = format::grouped(view.hidden_matched as u64);
            let found = format!("What matches {why} is hidden: {hidden} of {all} connections");
            return vec![found, "Both ends are this host itself; L shows such".into(), remedy.into()];
        }
        return vec![format!("0 of {all} match {why}"), remedy.into()];
    }
    if view.hidden > 0 {
        let hidden = match view.hidden {
            1 => "The only connection is hidden".to_owned(),
            n => format!("All {} connections are hidden", format::grouped(n as u64)),
        };
        return vec![hidden, "Both ends are this host itself".into(), "L shows and hides such".into()];
    }
    match (app.is_file(), view.ended, view.seen) {
        (true, false, _) if !app.has_heard() => vec!["Reading".into()],
        (true, true, _) if !app.has_heard() => vec!["There are no frames in this file".into()],
        (false, ..) if !app.has_heard() => nothing_heard(app, view),
        (.., seen) => {
            let frames = format::grouped(seen);
            let closed = format::grouped(view.totals.closed);
            vec![
                "No connections now".into(),
                format!("{frames} frames heard, {closed} connections ended"),
                format!("{} frames carry neither IP nor ARP", format::grouped(view.accounts.not_flow.frames)),
            ]
        }
    }
}

/// Returns whether nothing can have been heard yet: the first cuts come before the kernel hands out frames.
pub fn is_starting(app: &App, view: &View) -> bool {
    !app.is_file() && view.seen == 0 && view.now < SILENCE
}

/// Returns what is said then.
pub fn starting(app: &App) -> &'static str {
    if app.setup.signs.ellipsis == '…' { "Starting…" } else { "Starting..." }
}

fn nothing_heard(app: &App, view: &View) -> Vec<String> {
    if is_starting(app, view) {
        return vec![starting(app).to_owned()];
    }
    let mut lines = vec![format!("Nothing heard yet for {}", format::whole_span(view.now))];
    for interface in view.sources.iter().flat_map(|s| &s.interfaces) {
        let state = match interface.state {
            InterfaceState::Up => "up, and silent".to_owned(),
            InterfaceState::Down(since) => format!("down for {}", format::whole_span(app.clock.since(since))),
            InterfaceState::Gone(since) => format!("gone for {}", format::whole_span(app.clock.since(since))),
            InterfaceState::Unwatched(_) => "not watched: capture cannot read its links".to_owned(),
        };
        let line =
            format!("{}: {state}", text::clip(&text::escape(&interface.name), 15, app.setup.signs.ellipsis));
        if !lines.contains(&line) && lines.len() < 5 {
            lines.push(line);
        }
    }
    let elsewhere = &app.passed_elsewhere;
    if !elsewhere.is_empty() {
        let told = elsewhere.iter().take(3).map(|(name, frames)| {
            let name = text::clip(&text::escape(name), 15, app.setup.signs.ellipsis).into_owned();
            format!("{name} ({})", format::grouped(*frames))
        });
        let told = told.collect::<Vec<_>>().join(", ");
        lines.push(format!("Frames passed meanwhile on {told}; I watches another interface"));
    }
    lines.push("Connections show by themselves; rustnet -i any listens on all interfaces".into());
    lines
}
