//! The one table of keys: what they do, and their words in Help and on the bottom line.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::{action::Action, app::App};

/// One row of the table.
pub struct Key {
    /// Keys that do it, without regard to Shift for characters.
    pub keys: &'static [(KeyModifiers, KeyCode)],
    /// The keys in Help.
    pub name: &'static str,
    /// What they do, in Help.
    pub text: &'static str,
    /// Key and word on the bottom line, if they have a place there.
    pub bar: Option<(&'static str, &'static str)>,
    /// What they ask for.
    pub action: Action,
    /// Whether they do something now; those that do not are not shown.
    pub works: fn(&App) -> bool,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;

const fn ch(c: char) -> (KeyModifiers, KeyCode) {
    (NONE, KeyCode::Char(c))
}

const fn ctrl(c: char) -> (KeyModifiers, KeyCode) {
    (CTRL, KeyCode::Char(c))
}

const fn key(code: KeyCode) -> (KeyModifiers, KeyCode) {
    (NONE, code)
}

fn always(_: &App) -> bool {
    true
}

/// All keys, in the order in which Help lists them.
pub const KEYS: &[Key] = &[
    Key {
        keys: &[key(KeyCode::Up), ch('k')],
        name: "Up, k",
        text: "the row above",
        bar: None,
        action: Action::Move(-1),
        works: always,
    },
    Key {
        keys: &[key(KeyCode::Down), ch('j')],
        name: "Down, j",
        text: "the row below",
        bar: Some(("j/k", "move")),
        action: Action::Move(1),
        works: always,
    },
    Key {
        keys: &[key(KeyCode::PageUp)],
        name: "PageUp",
        text: "10 rows up",
        bar: None,
        action: Action::Move(-10),
        works: always,
    },
    Key {
        keys: &[key(KeyCode::PageDown)],
        name: "PageDown",
        text: "10 rows down",
        bar: Some(("PgUp/PgDn", "by 10")),
        action: Action::Move(10),
        works: always,
    },
    Key {
        keys: &[ctrl('f')],
        name: "Ctrl+F",
        text: "a screen down",
        bar: None,
        action: Action::HalfScreens(2),
        works: always,
    },
    Key {
        keys: &[ctrl('b')],
        name: "Ctrl+B",
        text: "a screen up",
        bar: None,
        action: Action::HalfScreens(-2),
        works: always,
    },
    Key {
        keys: &[ctrl('d')],
        name: "Ctrl+D",
        text: "half a screen down",
        bar: None,
        action: Action::HalfScreens(1),
        works: always,
    },
    Key {
        keys: &[ctrl('u')],
        name: "Ctrl+U",
        text: "half a screen up",
        bar: None,
        action: Action::HalfScreens(-1),
        works: always,
    },
    Key {
        keys: &[ch('g'), key(KeyCode::Home)],
        name: "g, Home",
        text: "the first row",
        bar: Some(("g", "first")),
        action: Action::First,
        works: always,
    },
    Key {
        keys: &[ch('G'), key(KeyCode::End)],
        name: "G, End",
        text: "the last row; the selection follows new ones until moved",
        bar: Some(("G", "last")),
        action: Action::Last,
        works: always,
    },
    Key {
        keys: &[ch('p')],
        name: "p",
        text: "service names or port numbers",
        bar: Some(("p", "ports")),
        action: Action::Services,
        works: App::knows_services,
    },
    Key {
        keys: &[ch('L')],
        name: "L",
        text: "shows or hides connections of this host with itself",
        bar: Some(("L", "localhost")),
        action: Action::Localhost,
        works: always,
    },
    Key {
        keys: &[ctrl('l')],
        name: "Ctrl+L",
        text: "draws the screen anew",
        bar: None,
        action: Action::Redraw,
        works: always,
    },
    Key {
        keys: &[ch('h'), ch('?')],
        name: "h, ?",
        text: "opens and closes this help",
        bar: Some(("h", "help")),
        action: Action::Help,
        works: always,
    },
    Key {
        keys: &[key(KeyCode::Esc)],
        name: "Esc",
        text: "closes this help",
        bar: None,
        action: Action::Close,
        works: always,
    },
    Key {
        keys: &[ch('q')],
        name: "q q",
        text: "quits; any other key after the first q stays",
        bar: Some(("q", "quit")),
        action: Action::AskQuit,
        works: always,
    },
    Key {
        keys: &[ctrl('c')],
        name: "Ctrl+C",
        text: "quits at once",
        bar: None,
        action: Action::Quit,
        works: always,
    },
];

/// Returns what a key asks for, `None` for one without meaning.
pub fn action_of(event: KeyEvent, app: &App) -> Option<Action> {
    // Shift is part of the character; Alt and the like make another key.
    let modifiers = match event.code {
        KeyCode::Char(_) => event.modifiers - KeyModifiers::SHIFT,
        _ => event.modifiers,
    };
    let code = match event.code {
        KeyCode::Char(c) if modifiers == CTRL => KeyCode::Char(c.to_ascii_lowercase()),
        code => code,
    };
    KEYS.iter().find(|k| k.keys.contains(&(modifiers, code)) && (k.works)(app)).map(|k| k.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_given_twice_and_all_are_found() {
        let app = App::new(crate::tui::app::Setup::default());
        let mut seen = Vec::new();
        for entry in KEYS {
            for (modifiers, code) in entry.keys {
                assert!(!seen.contains(&(modifiers, code)), "{}", entry.name);
                seen.push((modifiers, code));
                let found = action_of(KeyEvent::new(*code, *modifiers), &app);
                assert_eq!(found, (entry.works)(&app).then_some(entry.action), "{}", entry.name);
            }
        }
        let shifted = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(action_of(shifted, &app), Some(Action::Last));
        let alt = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT);
        assert_eq!(action_of(alt, &app), None);
    }
}
