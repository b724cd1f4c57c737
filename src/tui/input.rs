//! Keys, the mouse and pasted text, given to what has the word: an overlay, the filter's line, or
//! the table of keys.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};

use crate::tui::{
    action::Action,
    app::{App, Next},
    field::Field,
    keys,
    overlay::{Overlay, entries},
    theme::Role,
};

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;

/// Returns whether an event has to wait for rows that were asked for.
pub fn waits(app: &App, event: &Event) -> bool {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            app.overlay.is_none() && app.filter.editing.is_none() && keys::waits_for_rows(*key, app)
        }
        _ => false,
    }
}

/// Returns whether an event never waits, not even behind keys that do: Ctrl+C, and the mouse, which means what is on the
/// screen.
pub fn never_waits(event: &Event) -> bool {
    match event {
        Event::Key(key) => keys::plain(*key) == (CTRL, KeyCode::Char('c')),
        Event::Paste(_) => false,
        _ => true,
    }
}

/// Takes an event of the terminal.
pub fn take(app: &mut App, event: &Event) -> Next {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => take_key(app, *key),
        Event::Paste(text) => {
            if let Some(field) = &mut app.filter.editing {
                text.chars().for_each(|c| field.insert(c));
                app.filter_typed();
            }
            Next::Draw
        }
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => scrolled(app, -3),
            MouseEventKind::ScrollDown => scrolled(app, 3),
            MouseEventKind::Down(MouseButton::Left) if app.overlay.is_some() && mouse.row > 0 => {
                clicked_entry(app, mouse.row)
            }
            MouseEventKind::Down(MouseButton::Left) => {
                app.clicked(mouse.column, mouse.row).map_or(Next::Draw, |action| app.act(action))
            }
            _ => Next::Draw,
        },
        _ => Next::Draw,
    }
}

/// Selects the entry on a line of what lies on top; chooses one that is selected.
fn clicked_entry(app: &mut App, y: u16) -> Next {
    let hit = app.hits.entries.iter().find(|(line, _)| *line == y).map(|(_, entry)| *entry);
    let was_selected = hit.zip(app.overlay.as_mut()).is_some_and(|(entry, overlay)| overlay.select(entry));
    if was_selected { app.choose() } else { Next::Draw }
}

/// Moves in what lies on top by so many lines.
fn scrolled(app: &mut App, lines: i32) -> Next {
    if app.overlay.is_none() {
        return app.act(Action::Move(lines));
    }
    let len = palette_len(app);
    if let Some(overlay) = &mut app.overlay {
        overlay.step(lines, len);
    }
    Next::Draw
}

/// Returns how many entries the palette has now; 0 if it is not open.
fn palette_len(app: &App) -> usize {
    match &app.overlay {
        Some(Overlay::Palette { field, .. }) => entries(app, field.text()).len(),
        _ => 0,
    }
}

/// Takes a key.
pub fn take_key(app: &mut App, event: KeyEvent) -> Next {
    let key = keys::plain(event);
    if key == (CTRL, KeyCode::Char('c')) {
        return Next::Quit;
    }
    if app.overlay.is_some() {
        return in_overlay(app, key);
    }
    if app.filter.editing.is_some() {
        return in_filter(app, key);
    }
    match keys::action_of(event, app) {
        Some(action) => app.act(action),
        None => {
            let stays = app.asks_to_quit;
            app.other_key();
            // A key that cannot work now says why, unless it says that one stays.
            if let Some(reason) = keys::refusal_of(event, app).filter(|_| !stays) {
                app.say(reason, Role::Warn);
            }
            Next::Draw
        }
    }
}

/// Edits a line; returns whether the key was for it.
fn edit(field: &mut Field, key: (KeyModifiers, KeyCode)) -> bool {
    match key {
        (NONE, KeyCode::Char(c)) => field.insert(c),
        (NONE | KeyModifiers::SHIFT, KeyCode::Backspace) => drop(field.backspace()),
        (NONE, KeyCode::Delete) => field.delete(),
        (NONE, KeyCode::Left) => field.step(false),
        (NONE, KeyCode::Right) => field.step(true),
        (NONE, KeyCode::Home) | (CTRL, KeyCode::Char('a')) => field.home(),
        (NONE, KeyCode::End) | (CTRL, KeyCode::Char('e')) => field.end(),
        (CTRL, KeyCode::Char('w')) => field.delete_word(),
        (CTRL, KeyCode::Char('u')) => field.delete_to_start(),
        _ => return false,
    }
    true
}

fn in_filter(app: &mut App, key: (KeyModifiers, KeyCode)) -> Next {
    match key {
        (_, KeyCode::Enter) => {
            app.filter_kept();
            return Next::Draw;
        }
        (_, KeyCode::Esc) => {
            app.filter_cleared();
            return Next::Draw;
        }
        (_, KeyCode::Up) => return app.act(Action::Move(-1)),
        (_, KeyCode::Down) => return app.act(Action::Move(1)),
        (_, KeyCode::PageUp) => return app.act(Action::Move(-10)),
        (_, KeyCode::PageDown) => return app.act(Action::Move(10)),
        (CTRL, KeyCode::Char('p')) => app.filter.recall(true),
        (CTRL, KeyCode::Char('n')) => app.filter.recall(false),
        (_, KeyCode::Tab) => app.complete_filter(false),
        (_, KeyCode::BackTab) => app.complete_filter(true),
        key => {
            if let Some(field) = &mut app.filter.editing {
                edit(field, key);
            }
        }
    }
    app.filter_typed();
    Next::Draw
}

fn in_overlay(app: &mut App, key: (KeyModifiers, KeyCode)) -> Next {
    let len = palette_len(app);
    let typing = matches!(app.overlay, Some(Overlay::Palette { .. }));
    match key {
        (_, KeyCode::Esc) => return app.act(Action::Close),
        (_, KeyCode::Enter) => return app.choose(),
        (NONE, KeyCode::Char(' ')) if !typing => return app.choose(),
        (NONE, KeyCode::Char('q')) if !typing => return app.act(Action::Close),
        _ => {}
    }
    let Some(overlay) = &mut app.overlay else { return Next::Draw };
    match key {
        (_, KeyCode::Up) | (CTRL, KeyCode::Char('p')) => overlay.step(-1, len),
        (_, KeyCode::Down) | (CTRL, KeyCode::Char('n')) => overlay.step(1, len),
        (NONE, KeyCode::Char('k')) if !typing => overlay.step(-1, len),
        (NONE, KeyCode::Char('j')) if !typing => overlay.step(1, len),
        (_, KeyCode::PageUp) => overlay.step(-10, len),
        (_, KeyCode::PageDown) => overlay.step(10, len),
        key => {
            if let Overlay::Palette { field, selected } = overlay {
                let was_empty = field.text().is_empty();
                if key.1 == KeyCode::Backspace && was_empty {
                    app.overlay = None;
                } else if edit(field, key) {
                    *selected = 0;
                }
            }
        }
    }
    Next::Draw
}
