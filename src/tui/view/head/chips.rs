//! What must not be missed, in one chip each: watches that fire, what is degraded, frames that are written.

use crate::{query::text, tui::app::App};

/// Returns one chip for all watches that fire, one for all that is degraded and one while frames are written,
/// each with its weight; in words where there is room for them.
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
        [(what, _)] => Some(format!("! {what} degraded")),
        all => Some(format!("! {} degraded", all.len())),
    };
    let recording = app.recording.as_ref().map(|_| if in_words { "P writes frames" } else { "P" });
    let all = [(7, watched), (6, less), (8, recording.map(str::to_owned))];
    all.into_iter().filter_map(|(weight, text)| Some((weight, text?))).collect()
}
