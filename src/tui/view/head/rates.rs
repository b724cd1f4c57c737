//! How much moves: both rates with their traces, packets, and connections with what began and ended.

use super::own::{self, Age};
use crate::{
    query::{format, window::View},
    tui::{
        app::App,
        theme::Role,
        widget::{bars, strip::Strip},
    },
};

/// Returns the line, with how old all this is or without.
pub fn rates(app: &App, view: &View, width: u16, age: Age) -> Strip {
    let wide = width >= 100;
    let most = match width {
        ..72 => 0,
        72..100 => 8,
        100..180 => 15,
        _ => 30,
    };
    let with = |cells| {
        let mut strip = rates_with(app, view, wide, cells);
        if age == Age::Here {
            own::add_age(&mut strip, app, view, width);
        }
        strip
    };
    // Where the line has no room for all, the traces are shorter; beside for how long it stands still, they go.
    let missing = with(most).width().saturating_sub(usize::from(width).saturating_sub(2));
    let least = if age == Age::Here && app.is_frozen() { 0 } else { most.min(4) };
    with(most.saturating_sub(missing.div_ceil(2)).max(least))
}

/// Returns the line with traces of so many cells.
fn rates_with(app: &App, view: &View, wide: bool, cells: usize) -> Strip {
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    for (which, label, rate) in [(0, "Down", view.totals.down), (1, "Up", view.totals.up)] {
        let label = app.run(Role::Dim, format!("{label} "));
        let mut runs = vec![label, app.run(Role::Strong, format!("{:>9}", app.rate(rate)))];
        if cells > 0 {
            let trace = bars::trace(&app.history.parts(which, cells), &app.setup.signs);
            runs.push(app.run(Role::Accent, format!(" {trace}")));
        }
        strip.left(9 - which as u8, runs);
    }
    let packets = packets_per_second(view, if wide { "packets/s" } else { "p/s" });
    strip.left(5, [app.run(Role::Plain, packets)]);
    let flows = [format::grouped(view.totals.flows), format::count(view.totals.flows as f64)];
    let noun = match (wide, view.totals.flows) {
        (true, 1) => " connection",
        (true, _) => " connections",
        (false, 1) => " conn",
        (false, _) => " conns",
    };
    strip
        .right_in_forms(7, flows.map(|flows| vec![app.run(Role::Strong, flows), app.run(Role::Plain, noun)]));
    let per_second = |n: f64| match n {
        n if n < 0.5 => "0".to_owned(),
        n => format::compact(n.round(), format::Digits::Two),
    };
    let [opened, closed] = [view.totals.opened_per_second, view.totals.closed_per_second].map(per_second);
    let unit = if wide { "/s" } else { "" };
    strip
        .right(6, [app.run(Role::Plain, format!("+{opened}{unit} {}{closed}{unit}", app.setup.signs.minus))]);
    strip
}

fn packets_per_second(view: &View, unit: &str) -> String {
    let count = format::count(view.totals.packets_per_second);
    match (unit, &*count) {
        ("packets/s", "1") => "1 packet/s".into(),
        (unit, count) => format!("{count} {unit}"),
    }
}
