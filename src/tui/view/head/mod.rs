//! The first lines: which interfaces, how much, how many, whether anything was lost.
//!
//! | file | line |
//! |---|---|
//! | [`first`] | the first line: tabs, what is watched ([`watched`]), what must not be missed ([`chips`]) |
//! | [`rates`] | how much moves |
//! | [`top`] | who moves most |
//! | [`losses`] | what was lost |
//! | [`own`] | at the end of one of them: methods, own cost, age |

mod chips;
mod first;
mod losses;
mod own;
mod rates;
mod top;
mod watched;

use own::Age;
use ratatui::{buffer::Buffer, layout::Rect};

pub use self::{
    first::draw_tabs,
    losses::{Cause, KERNEL_RING, lost_by_reason},
    top::group_name,
};
use crate::tui::{app::App, widget::strip::Runs};

/// Draws one to three lines of totals, as many as `area` has.
pub fn draw_totals(buf: &mut Buffer, area: Rect, app: &App) {
    let Some(view) = &app.view else { return };
    let line = |n| Rect { y: area.y + n, height: 1, ..area };
    let rates = |age| rates::rates(app, view, area.width, age);
    let losses = |age| losses::losses(app, view, area.width, age);
    match (area.height, view.lost > 0) {
        // Where there is one line, nothing is as urgent as what is lost.
        (0 | 1, true) => losses(Age::Here).draw(buf, line(0)),
        (0 | 1, false) => rates(Age::Here).draw(buf, line(0)),
        (2, true) => {
            // Beside what is lost there is no room for how old that is.
            rates(Age::Here).draw(buf, line(0));
            losses(Age::Elsewhere).draw(buf, line(1));
        }
        (2, false) => {
            rates(Age::Elsewhere).draw(buf, line(0));
            let mut strip = top::top(app, view, area.width);
            strip.right_in_forms(9, losses::lost(app, view));
            own::add(&mut strip, app, view, area.width, Age::Here);
            strip.draw(buf, line(1));
        }
        _ => {
            rates(Age::Elsewhere).draw(buf, line(0));
            top::top(app, view, area.width).draw(buf, line(1));
            losses(Age::Here).draw(buf, line(2));
        }
    }
}
