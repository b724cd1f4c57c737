//! The tab Pipeline: whether anything was lost, where every frame went, what each thread does.
//!
//! | file | part |
//! |---|---|
//! | [`page`] | lines, and the items that they make up |
//! | [`sums`] | the verdict, and where every frame went |
//! | [`drops`] | what was dropped, and what helps |
//! | [`stages`] | the threads |
//! | [`host`] | capture, owners, own cost |

mod drops;
mod host;
pub mod page;
mod stages;
mod sums;

use page::{About, Page, Part, Runs};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::text,
    tui::{action::Tab, app::App, theme::Role, view::overview},
};

/// Draws the page, scrolled so that the item under the cursor is seen.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App) {
    let page = of(app, area.width);
    let last = page.items().count().saturating_sub(1);
    let cursor = &mut app.scroll[Tab::Pipeline.place()];
    *cursor = (*cursor).min(last);
    let cursor = *cursor;
    let lines = lines(&page);
    let of_item = |n: usize| lines.iter().rposition(|line| line.item() == Some(n)).map_or(0, |at| at + 1);
    let top = of_item(cursor).saturating_sub(area.height.into());
    for (y, line) in (area.y..area.bottom()).zip(&lines[top..]) {
        let area = Rect { y, height: 1, ..area };
        match line {
            Line::Rule(title, right) => {
                let mut rule = overview::rule(app);
                rule.left(9, [app.run(Role::Strong, *title)]);
                if !right.is_empty() {
                    rule.right(5, [app.run(Role::Dim, *right)]);
                }
                rule.draw(buf, area);
            }
            Line::Item(n, runs) => {
                put(buf, area, app, runs);
                if *n == cursor {
                    buf.set_style(area, app.setup.theme.band());
                }
            }
        }
    }
}

fn put(buf: &mut Buffer, area: Rect, app: &App, runs: &Runs) {
    let mut x = area.x + 1;
    for (run, style) in runs {
        let room = usize::from(area.right().saturating_sub(x + 1));
        let run = text::clip(run, room, app.setup.signs.ellipsis);
        buf.set_stringn(x, area.y, &*run, room, *style);
        x += text::width(&run) as u16;
    }
}

/// A line of the page, with the number of the item that it belongs to.
enum Line<'a> {
    Rule(&'static str, &'a str),
    Item(usize, &'a Runs),
}

impl Line<'_> {
    fn item(&self) -> Option<usize> {
        match self {
            Line::Rule(..) => None,
            Line::Item(n, _) => Some(*n),
        }
    }
}

fn lines(page: &Page) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut n = 0;
    for part in &page.parts {
        match part {
            Part::Rule(title, right) => lines.push(Line::Rule(title, right)),
            Part::Item(item) => {
                lines.extend(item.lines.iter().map(|runs| Line::Item(n, runs)));
                n += 1;
            }
        }
    }
    lines
}

/// Returns what is to say of the item under the cursor.
pub fn about(app: &App) -> About {
    let page = of(app, app.screen_width);
    let cursor = app.scroll[Tab::Pipeline.place()];
    page.items().nth(cursor).map_or_else(Vec::new, |item| item.about.clone())
}

/// Returns the page as text, for a ticket.
pub fn diagnosis(app: &App) -> String {
    let text = |line: Line| match line {
        Line::Rule(title, right) => format!("== {title} {right}").trim_end().to_owned(),
        Line::Item(_, runs) => {
            runs.iter().map(|(run, _)| run.as_str()).collect::<String>().trim_end().to_owned()
        }
    };
    lines(&of(app, 200)).into_iter().map(text).collect::<Vec<_>>().join("\n")
}

fn of(app: &App, width: u16) -> Page {
    let mut page = Page::new(width);
    let Some(engine) = app.engine() else {
        let waits = "Waiting for the first epoch";
        page.item(
            page::about("epoch", "A cut through all tables, at every refresh, and at least once a second."),
            vec![vec![app.run(Role::Strong, waits)]],
        );
        return page;
    };
    sums::verdict(app, engine, &mut page);
    sums::conservation(app, engine, &mut page);
    // What was lost matters more than who did it, where there is no room for both.
    if width >= 100 {
        stages::stages(app, engine, &mut page);
        drops::drops(app, engine, &mut page);
    } else {
        drops::drops(app, engine, &mut page);
        stages::stages(app, engine, &mut page);
    }
    host::capture(app, engine, &mut page);
    host::own(app, engine, &mut page);
    drops::lately(app, engine, &mut page);
    page
}

/// Cells of a page's number and of the name before it.
fn figures(width: u16) -> (usize, usize) {
    let number = if width < 60 { 15 } else { 20 };
    let name = usize::from(width).saturating_sub(number + 7).min(30);
    (name, number)
}
