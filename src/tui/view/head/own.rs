//! By which methods, at what cost of its own, and how old all this is.

use ratatui::style::Style;

use super::Runs;
use crate::{
    query::{format, window::View},
    tui::{app::App, theme::Role, widget::strip::Strip},
};

/// How old all this is, and where that stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Behind the program's own cost.
    Here,
    /// On another line.
    Elsewhere,
}

/// Adds methods, as far as the first line does not say them, the program's own cost, and the age.
pub fn add(strip: &mut Strip, app: &App, view: &View, width: u16, age: Age) {
    if width < 100 {
        let (role, method) = owner_method(view);
        let capture = capture_method(view);
        // Where both have the same name, which is which is told as long as there is room.
        let forms = [format!("  owners {method}"), format!(" {method}")].map(|owners| -> Runs {
            let owners = (!view.owner_method.is_off()).then(|| app.run(role, owners));
            std::iter::once(app.run(Role::Dim, capture.as_str())).chain(owners).collect()
        });
        strip.right_in_forms(7, forms);
    }
    let is_short = width < 100;
    let age_run = age_of(app, view, width).filter(|_| age == Age::Here);
    // On short lines it is part of the same piece, so that it can come a cell nearer.
    let joined = age_run.clone().filter(|_| is_short && !app.is_frozen());
    if let Some(usage) = &app.readings.usage {
        let memory = format::bytes(usage.memory);
        let own = format!("{:.2} core {memory}", usage.cores);
        let short = format!("{:.2}c {}", usage.cores, memory.replace([' ', 'B'], ""));
        let forms = [(format!("rustnet {own}"), "  "), (own, "  "), (short, " ")];
        let runs = forms[usize::from(is_short)..].iter().map(|(text, gap)| {
            let own = app.run(Role::Dim, text.as_str());
            let age = joined.clone().map(|(text, style)| (format!("{gap}{text}"), style));
            std::iter::once(own).chain(age).collect()
        });
        strip.right_in_forms(6, runs.collect::<Vec<Runs>>());
    }
    if age == Age::Here && (joined.is_none() || app.readings.usage.is_none()) {
        add_age(strip, app, view, width);
    }
}

/// Adds the age.
pub fn add_age(strip: &mut Strip, app: &App, view: &View, width: u16) {
    if let Some(run) = age_of(app, view, width) {
        strip.right(if app.is_frozen() { 9 } else { 5 }, [run]);
    }
}

/// Returns since when what is shown stands still, or else how old it is. Of a file that says nothing.
fn age_of(app: &App, view: &View, width: u16) -> Option<(String, Style)> {
    if let Some(frozen) = app.frozen_for() {
        return Some(app.run(Role::Warn, format!("FROZEN {}", format::whole_span(frozen))));
    }
    if app.is_file() {
        return None;
    }
    let age = app.clock.since(view.wall).as_secs_f64();
    let usual = f64::from(app.setup.refresh_ms) / 1000.0;
    let role = if age > (usual + 1.0).max(5.0) { Role::Warn } else { Role::Dim };
    let text = if width >= 100 { format!("{age:.1} s old") } else { format!("{age:.1}s") };
    Some(app.run(role, text))
}

/// Returns how frames are captured.
pub fn capture_method(view: &View) -> String {
    unique(view.sources.iter().map(|s| s.method)).join(" ")
}

/// Returns how owners are found; not the best way is a warning, and the key `!` says why.
pub fn owner_method(view: &View) -> (Role, &str) {
    let owners = &view.owner_method;
    (if owners.reason.is_some() { Role::Warn } else { Role::Dim }, owners.method)
}

fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::new();
    for one in all {
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}
