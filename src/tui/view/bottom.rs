//! The last line: the keys that work here, or a question.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    action::Action,
    app::App,
    keys::{KEYS, Key},
    theme::Role,
    widget::strip::Strip,
};

/// Draws the line. Help and quit stand on its right and go last.
pub fn draw(buf: &mut Buffer, area: Rect, app: &App) {
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    if app.asks_to_quit {
        strip.left(9, [app.run(Role::Warn, "Quit? q again quits, any other key stays")]);
        return strip.draw(buf, area);
    }
    let help = app.help.is_some();
    for (n, key) in KEYS.iter().filter(|k| (k.works)(app)).enumerate() {
        let Some(bar) = key.bar else { continue };
        let runs =
            [app.run(Role::Accent, bar.0), app.run(Role::Dim, format!(" {}", bar_word(key, bar.1, help)))];
        match key.action {
            Action::Help | Action::AskQuit => strip.right(99, runs),
            Action::Services | Action::Localhost if help => {}
            _ => strip.left(50_u8.saturating_sub(n as u8), runs),
        }
    }
    strip.draw(buf, area);
}

fn bar_word(key: &Key, word: &'static str, help: bool) -> &'static str {
    if help && key.action == Action::Help { "back" } else { word }
}
