//! What must not be missed, in one chip each: watches that fire, what is degraded, frames that are written, rows that
//! stand still.

use crate::{
    query::{format, text},
    tui::{
        action::Tab,
        app::{App, PROMISCUOUS},
    },
};

/// Returns one chip for all watches that fire, one for all that is degraded, one while frames are written, and one
/// while rows stand still on a page that does not say so itself; each with its weight, in words where there is room
/// for them.
pub fn chips(app: &App, in_words: bool) -> Vec<(u8, String)> {
    let signs = &app.setup.signs;
    let (degraded, firing) = (app.degraded(), app.firing().count());
    let watched = app.firing().next().map(|(watch, _)| {
        let name = text::escape(&watch.name);
        let more = if firing > 1 { format!(" +{}", firing - 1) } else { String::new() };
        match in_words {
            false => format!("{}{firing}", signs.watched),
            true => format!("{} {}{more}", signs.watched, text::clip(&name, 24, signs.ellipsis)),
        }
    });
    let less = match &degraded[..] {
        [] => None,
        all if !in_words => Some(format!("!{}", all.len())),
        [(PROMISCUOUS, _)] => Some(format!("! {PROMISCUOUS}")),
        [(what, _)] => Some(format!("! {what} degraded")),
        all if all.iter().any(|(what, _)| *what == PROMISCUOUS) => {
            Some(format!("! {} degraded, {PROMISCUOUS}", all.len()))
        }
        all => Some(format!("! {} degraded", all.len())),
    };
    let recording = app.recording.as_ref().map(|_| if in_words { "P records" } else { "P" });
    let says_so = matches!(app.tab, Tab::Overview | Tab::Details | Tab::Hosts | Tab::Processes);
    let frozen = app.frozen_for().filter(|_| !says_so).map(|frozen| match in_words {
        true => format!("FROZEN {}", format::whole_span(frozen)),
        false => "FROZEN".into(),
    });
    let all = [(7, watched), (6, less), (8, recording.map(str::to_owned)), (8, frozen)];
    all.into_iter().filter_map(|(weight, text)| Some((weight, text?))).collect()
}
