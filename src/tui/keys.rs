//! The one table of keys: what they do, and their words in Help, in the palette and on the
//! bottom line.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::{
    action::{Action, Tab},
    app::App,
};

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
    /// Whether they do something now, or why they do not.
    pub works: fn(&App) -> Result<(), &'static str>,
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

type Works = fn(&App) -> Result<(), &'static str>;
type Bar = Option<(&'static str, &'static str)>;

const fn row(
    keys: &'static [(KeyModifiers, KeyCode)],
    name: &'static str,
    text: &'static str,
    bar: Bar,
    action: Action,
    works: Works,
) -> Key {
    Key { keys, name, text, bar, action, works }
}

fn always(_: &App) -> Result<(), &'static str> {
    Ok(())
}

fn if_so(so: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if so { Ok(()) } else { Err(otherwise) }
}

fn with_row(app: &App) -> Result<(), &'static str> {
    if_so(app.selected_row().is_some(), "no row is selected")
}

fn in_table(app: &App) -> Result<(), &'static str> {
    if_so(matches!(app.tab, Tab::Overview | Tab::Hosts | Tab::Processes), "only in tables")
}

fn written(app: &App) -> Result<(), &'static str> {
    if_so(app.tab == Tab::Pipeline || in_table(app).is_ok(), "only in tables and on Pipeline")
}

fn in_overview(app: &App) -> Result<(), &'static str> {
    if_so(app.tab == Tab::Overview, "only on Overview")
}

fn row_in_overview(app: &App) -> Result<(), &'static str> {
    in_overview(app).and_then(|()| no_sums(app)).and_then(|()| with_row(app))
}

fn no_sums(app: &App) -> Result<(), &'static str> {
    if_so(app.group_by().is_none(), "only of a row, not of sums")
}

fn row_in_view(app: &App) -> Result<(), &'static str> {
    if_so(matches!(app.tab, Tab::Overview | Tab::Details), "only on Overview and Details")
        .and_then(|()| no_sums(app))
        .and_then(|()| with_row(app))
}

fn records(app: &App) -> Result<(), &'static str> {
    if app.recording.is_some() {
        return Ok(());
    }
    if app.tab == Tab::Details {
        return records_row(app);
    }
    can_record(app).and_then(|()| in_table(app))
}

fn records_row(app: &App) -> Result<(), &'static str> {
    if app.recording.is_some() {
        return Ok(());
    }
    can_record(app).and_then(|()| row_in_view(app)).and_then(|()| {
        if_so(app.is_file() || app.selected_row().is_some_and(|row| row.end.is_none()), "it has ended")
    })
}

fn can_record(app: &App) -> Result<(), &'static str> {
    if_so(!app.is_file() || app.setup.rereads, "standard input cannot be read again").and_then(|()| {
        let is_read = app.view.as_ref().is_some_and(|view| view.ended);
        if_so(!app.is_file() || is_read, "the file is still being read")
    })
}

fn on_details(app: &App) -> Result<(), &'static str> {
    if_so(matches!(app.tab, Tab::Details | Tab::Pipeline), "only on Details and Pipeline")
}

fn of_file(app: &App) -> Result<(), &'static str> {
    if_so(app.is_file(), "only with --read")
        .and_then(|()| if_so(app.setup.rereads, "standard input cannot be read again"))
        .and_then(|()| if_so(app.can_step(), "the file is not read yet"))
}

fn live(app: &App) -> Result<(), &'static str> {
    if_so(app.setup.interfaces.is_some(), "a file is read")
}

fn with_listeners(app: &App) -> Result<(), &'static str> {
    if_so(app.setup.listening.is_some(), "a file tells nothing of this host's sockets")
        .and_then(|()| if_so(app.tab == Tab::Processes, "only on Processes"))
}

fn in_groups(app: &App) -> Result<(), &'static str> {
    if_so(app.group_by().is_some(), "only in sums: a, Hosts and Processes")
        .and_then(|()| if_so(app.selected_line().is_some(), "no row is selected"))
}

fn enters(app: &App) -> Result<(), &'static str> {
    match app.tab {
        Tab::Overview if app.group_by().is_none() => with_row(app),
        Tab::Overview => if_so(app.selected_line().is_some(), "no row is selected"),
        Tab::Hosts | Tab::Processes => if_so(app.selected_line().is_some(), "no row is selected"),
        Tab::Pipeline => Ok(()),
        _ => Err("only in tables and on Pipeline"),
    }
}

fn sorted(app: &App) -> Result<(), &'static str> {
    if_so(app.tab != Tab::Overview || app.sort.by.row().column.is_some(), "no column is sorted by")
        .and_then(|()| in_table(app))
}

fn has_services(app: &App) -> Result<(), &'static str> {
    if_so(app.knows_services(), "there are no names of services")
}

/// All keys, in the order in which Help lists them.
pub const KEYS: &[Key] = &[
    row(&[key(KeyCode::Up), ch('k')], "Up, k", "the row above", None, Action::Move(-1), always),
    row(&[key(KeyCode::Down), ch('j')], "Down, j", "the row below", None, Action::Move(1), always),
    row(&[key(KeyCode::PageUp)], "PageUp", "10 rows up", None, Action::Move(-10), always),
    row(&[key(KeyCode::PageDown)], "PageDown", "10 rows down", None, Action::Move(10), always),
    row(&[ctrl('f')], "Ctrl+F", "a screen down", None, Action::HalfScreens(2), always),
    row(&[ctrl('b')], "Ctrl+B", "a screen up", None, Action::HalfScreens(-2), always),
    row(&[ctrl('d')], "Ctrl+D", "half a screen down", None, Action::HalfScreens(1), always),
    row(&[ctrl('u')], "Ctrl+U", "half a screen up", None, Action::HalfScreens(-1), always),
    row(&[ch('g'), key(KeyCode::Home)], "g, Home", "the first row", None, Action::First, always),
    row(
        &[ch('G'), key(KeyCode::End)],
        "G, End",
        "the last row; in the default order the selection follows new ones until moved",
        None,
        Action::Last,
        always,
    ),
    row(&[ch('/')], "/", "filter: the table follows each key", Some(("/", "filter")), Action::Filter, always),
    row(&[ch('s')], "s", "sorts by the next column", Some(("s", "sort")), Action::NextSort, in_table),
    row(&[ch('S')], "S", "sorts the other way round", None, Action::FlipSort, in_table),
    row(
        &[ch(' ')],
        "Space",
        "freezes table, Details and panels, and goes live again",
        Some(("Space", "freeze")),
        Action::Freeze,
        always,
    ),
    row(
        &[key(KeyCode::Enter)],
        "Enter",
        "the row in detail; on Hosts and Processes its connections; on Pipeline what it means",
        Some(("Enter", "details")),
        Action::Enter,
        enters,
    ),
    row(&[ch('c')], "c", "copies the remote end", Some(("c", "copy")), Action::Copy, row_in_view),
    row(&[ch('Y')], "Y", "copies the row in another form", None, Action::CopyAs, row_in_view),
    row(
        &[ch('y')],
        "y",
        "copies the field, on Pipeline the diagnosis",
        Some(("y", "copy field")),
        Action::CopyField,
        on_details,
    ),
    row(
        &[ch('=')],
        "=",
        "only rows like this one",
        Some(("=", "only like this")),
        Action::Include,
        row_in_overview,
    ),
    row(
        &[ch('-')],
        "-",
        "no rows like this one",
        Some(("-", "hide like this")),
        Action::Exclude,
        row_in_overview,
    ),
    row(&[ch(':')], ":", "every action by name", Some((":", "all")), Action::Palette, always),
    row(
        &[ch('a')],
        "a",
        "sums up by process, by host, not at all",
        Some(("a", "rows")),
        Action::Group,
        always,
    ),
    row(
        &[key(KeyCode::Right)],
        "Right",
        "in sums: shows the rows of the group below it",
        Some(("Right", "open")),
        Action::Unfold,
        in_groups,
    ),
    row(&[key(KeyCode::Left)], "Left", "hides them", Some(("Left", "close")), Action::Fold, in_groups),
    row(
        &[ch('l')],
        "l",
        "on Processes: the sockets that wait for others",
        Some(("l", "listening")),
        Action::Listening,
        with_listeners,
    ),
    row(&[ch('t')], "t", "shows or hides ended rows", None, Action::Ended, always),
    row(&[ch('x')], "x x", "clears ended rows", None, Action::Clear, always),
    row(&[ch('X')], "X X", "resets counters, history and peaks", None, Action::Reset, always),
    row(&[ch('m')], "m", "marks the row", None, Action::Mark, row_in_overview),
    row(&[ch('M')], "M", "only marked rows, and all again", None, Action::OnlyMarked, always),
    row(&[ch('C')], "C", "which columns are shown", None, Action::Columns, in_overview),
    row(&[ch('<')], "<", "makes the sort column narrower", None, Action::Widen(-1), sorted),
    row(&[ch('>')], ">", "makes the sort column wider", None, Action::Widen(1), sorted),
    row(&[ch('b')], "b", "bits or bytes a second", None, Action::Bits, always),
    row(&[ch('p')], "p", "service names or port numbers", None, Action::Services, has_services),
    row(
        &[ch('L')],
        "L",
        "shows or hides connections of this host with itself",
        None,
        Action::Localhost,
        always,
    ),
    row(
        &[ch('e')],
        "e",
        "writes the rows or the sums of the view to a file, on Pipeline its text",
        Some(("e", "export this page")),
        Action::Export,
        written,
    ),
    row(
        &[ch('P')],
        "P",
        "writes the frames of the rows of the view, in Details of the row, to a new pcapng file: live from now on until P again, also of rows that come later and pass the filter",
        None,
        Action::Record,
        records,
    ),
    row(
        &[],
        ": record",
        "records the selected row alone, as P all rows of the view",
        None,
        Action::RecordRow,
        records_row,
    ),
    row(
        &[ch('I')],
        "I",
        "watches another interface; asks before, as rows, history, marks and a frozen view go",
        None,
        Action::Interfaces,
        live,
    ),
    row(&[ch('!')], "!", "what is degraded, and what helps", None, Action::Degraded, always),
    row(&[ch(',')], ",", "with --read: a second back", Some((",", "back")), Action::StepTime(-1), of_file),
    row(&[ch('.')], ".", "with --read: a second on", Some((".", "on")), Action::StepTime(1), of_file),
    row(
        &[ch(';')],
        ";",
        "with --read: plays at the speed at which it was recorded, and stops",
        Some((";", "play")),
        Action::Play,
        of_file,
    ),
    row(&[ch('r')], "r", "resets filter, order, columns and their widths", None, Action::ResetView, always),
    row(&[ch('T')], "T", "the next theme", None, Action::Theme, always),
    row(&[key(KeyCode::Tab), ch(']')], "Tab, ]", "the next tab", None, Action::Cycle(1), always),
    row(
        &[(KeyModifiers::SHIFT, KeyCode::BackTab), key(KeyCode::BackTab), ch('[')],
        "Shift+Tab, [",
        "the tab before",
        None,
        Action::Cycle(-1),
        always,
    ),
    row(&[ch('1')], "1", "Overview", None, Action::Go(Tab::Overview), always),
    row(&[ch('2')], "2", "Details", None, Action::Go(Tab::Details), always),
    row(&[ch('3')], "3", "Help", None, Action::Go(Tab::Help), always),
    row(&[ch('4')], "4", "Hosts", None, Action::Go(Tab::Hosts), always),
    row(&[ch('5')], "5", "Processes", None, Action::Go(Tab::Processes), always),
    row(&[ch('6')], "6", "Graph", None, Action::Go(Tab::Graph), always),
    row(&[ch('7')], "7", "Pipeline", None, Action::Go(Tab::Pipeline), always),
    row(&[ctrl('l')], "Ctrl+L", "draws the screen anew", None, Action::Redraw, always),
    row(&[ctrl('z')], "Ctrl+Z", "back to the shell; fg comes back", None, Action::Suspend, always),
    row(
        &[key(KeyCode::Esc)],
        "Esc",
        "closes what is open, goes back, clears the filter, goes live; never quits",
        None,
        Action::Close,
        always,
    ),
    row(&[ch('h'), ch('?')], "h, ?", "opens and closes this help", Some(("h", "help")), Action::Help, always),
    row(
        &[ch('q')],
        "q q",
        "quits; any other key after the first q stays",
        Some(("q", "quit")),
        Action::AskQuit,
        always,
    ),
    row(&[ctrl('c')], "Ctrl+C", "quits at once", None, Action::Quit, always),
];

/// Returns a key as the table has it: Shift is part of a character; Alt and the like make another
/// key.
pub fn plain(event: KeyEvent) -> (KeyModifiers, KeyCode) {
    let modifiers = match event.code {
        KeyCode::Char(_) => event.modifiers - KeyModifiers::SHIFT,
        _ => event.modifiers,
    };
    match event.code {
        // Enter that was typed before the terminal was ours: it is a line feed by then.
        KeyCode::Char('j' | 'J') if modifiers == CTRL => (KeyModifiers::NONE, KeyCode::Enter),
        KeyCode::Char(c) if modifiers == CTRL => (modifiers, KeyCode::Char(c.to_ascii_lowercase())),
        code => (modifiers, code),
    }
}

/// Returns whether a key acts on rows that are asked for and not here yet: it would act on those before.
pub fn waits_for_rows(event: KeyEvent, app: &App) -> bool {
    use Action::*;
    let pressed = plain(event);
    let mut actions = KEYS.iter().filter(|k| k.keys.contains(&pressed)).map(|k| k.action);
    actions.any(|action| match action {
        Move(_) | HalfScreens(_) | First | Last => app.awaits_rows(),
        Enter | Mark | Include | Exclude | Copy | CopyAs | CopyField | Record | RecordRow | Unfold | Fold => {
            app.awaits_rows() || app.awaits_selection()
        }
        _ => false,
    })
}

/// Returns what a key asks for, `None` for one without meaning here.
pub fn action_of(event: KeyEvent, app: &App) -> Option<Action> {
    let pressed = plain(event);
    KEYS.iter().find(|k| k.keys.contains(&pressed) && (k.works)(app).is_ok()).map(|k| k.action)
}

/// Returns why a key that has a meaning elsewhere has none here.
pub fn refusal_of(event: KeyEvent, app: &App) -> Option<&'static str> {
    let pressed = plain(event);
    KEYS.iter().filter(|k| k.keys.contains(&pressed)).find_map(|k| (k.works)(app).err())
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
                assert_eq!(found, (entry.works)(&app).is_ok().then_some(entry.action), "{}", entry.name);
            }
        }
        let shifted = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(action_of(shifted, &app), Some(Action::Last));
        let alt = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT);
        assert_eq!(action_of(alt, &app), None);
    }
}
