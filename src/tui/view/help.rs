//! The page Help: every key, read off the table of keys, and what signs and colours mean.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    query::{
        filter::field::{KEYWORDS, Unit},
        text,
    },
    tui::{action::Tab, app::App, keys::KEYS, theme::Role},
};

/// What filters are made of, beside keywords.
const FILTERS: &[(&str, &str)] = &[
    ("google tcp", "rows with both words anywhere"),
    ("a or b", "either; ( ) group, ! or not excludes"),
    ("\"a b\"", "a text with blanks; = makes it exact: port:=443, process:=\"a b\""),
    ("/go+gle/", "a regular expression; also sni:/^api/"),
    ("~ffx", "letters in this order: finds firefox, best first"),
    ("10.0.0.0/8", "a network; also src:10.0.0.0/8"),
];

type Line = Vec<(String, Style)>;

/// Draws the page from its line of scroll on.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App) {
    let lines = lines(app, area.width);
    let last = lines.len().saturating_sub(area.height.into());
    let scroll = &mut app.scroll[Tab::Help.place()];
    *scroll = (*scroll).min(last);
    let scroll = *scroll;
    for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(scroll)) {
        let (mut x, end) = (area.x + 1, area.right().saturating_sub(1));
        for (run, style) in line {
            let room = usize::from(end.saturating_sub(x));
            let run = text::clip(run, room, app.setup.signs.ellipsis);
            buf.set_stringn(x, y, &*run, room, *style);
            x += text::width(&run) as u16;
        }
    }
}

fn lines(app: &App, width: u16) -> Vec<Line> {
    let signs = &app.setup.signs;
    let item = |role, name: String, text: &str| {
        let name = format!("  {name:<12} ");
        let below = " ".repeat(text::width(&name));
        let room = usize::from(width).saturating_sub(text::width(&name) + 2).max(8);
        let names = std::iter::once(name).chain(std::iter::repeat(below));
        let lines = names.zip(text::wrap(text, room));
        lines.map(|(name, text)| vec![app.run(role, name), app.run(Role::Plain, text)]).collect::<Vec<_>>()
    };
    let mut lines = vec![vec![app.run(Role::Strong, "Keys")]];
    for key in KEYS {
        lines.extend(item(Role::Accent, key.name.into(), key.text));
    }
    lines.push(Vec::new());
    lines.push(vec![app.run(Role::Strong, "Filter")]);
    for (example, text) in FILTERS {
        lines.extend(item(Role::Accent, (*example).into(), text));
    }
    for keyword in KEYWORDS {
        let sign = match keyword.unit {
            Unit::Text | Unit::Number => ':',
            _ => '>',
        };
        lines.extend(item(Role::Accent, format!("{}{sign}", keyword.name), keyword.text));
    }
    lines.push(Vec::new());
    lines.push(vec![app.run(Role::Strong, "Signs")]);
    for (role, sign, text) in [
        (Role::Plain, signs.out, "this host opened the connection"),
        (Role::Plain, signs.inward, "the other side opened it"),
        (Role::Plain, signs.forwarded, "neither end is this host; the one that opened it is Local"),
        (Role::Plain, signs.selected, "the selected row, told in full below the table"),
        (Role::Warn, signs.watched, "a watch looks for this row, or fires"),
        (Role::Warn, signs.aging, "silent for 75 % of the time after which the row goes (yellow)"),
        (Role::Bad, signs.dying, "silent for more than 90 % of it (red)"),
        (Role::Warn, signs.fading, "nothing came in the last second, the rate fades (yellow)"),
    ] {
        lines.extend(item(role, sign.into(), text));
    }
    lines.push(Vec::new());
    lines.push(vec![app.run(Role::Strong, "Figures")]);
    for (name, text) in [
        ("Down/Up", "bytes per second towards Local and towards Remote; K is 1,000, - is none"),
        ("Lost", "frames that passed and were not counted, of all that passed"),
        (
            "Window",
            "what the receiver of what is down, or up, said last that it takes; zero: it took no more",
        ),
        ("Acked after", "how long data waited from here until its receiver acknowledged it"),
        ("+ and -", "connections that began and ended in the last second"),
    ] {
        lines.extend(item(Role::Plain, name.into(), text));
    }
    lines
}
