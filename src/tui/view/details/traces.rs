//! What the row moved lately, each way.

use ratatui::{buffer::Buffer, layout::Rect};

use super::card::title;
use crate::{
    query::format,
    snapshot::history::SECONDS,
    tui::{app::App, theme::Role, view::chart},
};

/// Draws both charts, as large as `area` is.
pub fn draw(buf: &mut Buffer, area: Rect, app: &App) {
    // A rule, a line of the chart, and the one of time.
    if area.height < 3 {
        return;
    }
    let is_low = area.height < 8;
    for (which, name) in [(0, "Down"), (1, "Up")] {
        // Below each other, and where there are few lines beside each other.
        let place = match (is_low, which as u16) {
            (false, 0) => Rect { height: area.height / 2, ..area },
            (false, _) => Rect { y: area.y + area.height / 2, height: area.height.div_ceil(2), ..area },
            (true, 0) => Rect { width: area.width / 2 - 1, ..area },
            (true, _) => Rect { x: area.x + area.width / 2, width: area.width - area.width / 2, ..area },
        };
        let parts = app.trace.parts(which, usize::from(place.width.saturating_sub(10)));
        let (mean, peak) = app.trace.mean_and_peak(which, SECONDS);
        let now = app.trace.now(which);
        let dot = app.setup.signs.dot;
        let mut rule = title(app, name);
        // Of a file that can be read again the packets' time tells all of it.
        let span = if app.can_step() { "60 s" } else { "since selected, 60 s" };
        let [now, mean, peak_rate] = [now, mean, peak].map(|rate| app.rate(rate));
        let forms = [
            format!("now {now} {dot} mean {mean} {dot} peak {peak_rate} {dot} {span}"),
            format!("now {now} {dot} mean {mean} {dot} peak {peak_rate}"),
            format!("now {now} {dot} peak {peak_rate}"),
            format!("now {now}"),
        ];
        rule.right_in_forms(5, forms.map(|text| vec![app.run(Role::Dim, text)]));
        if app.can_step() && !app.plays() && !is_low {
            rule.left(4, [app.run(Role::Dim, "; plays the file along")]);
        }
        rule.draw(buf, Rect { height: 1, ..place });
        let below = Rect { y: place.y + 1, height: place.height - 1, ..place };
        let scale = format::compact(if app.bits { peak * 8.0 } else { peak }, format::Digits::Three);
        chart::draw(buf, below, app, &parts, "60 s", &scale);
    }
}
