//! The tab Details: all that is known of the selected row, in fixed places.
//!
//! A field that does not apply is `-`, so that nothing jumps from row to row.
//!
//! | file | part |
//! |---|---|
//! | [`card`] | a titled list of fields |
//! | [`place`] | where cards and charts stand, and which of their lines are seen |
//! | [`traces`] | what the row moved lately |
//! | [`connection`], [`spoken`], [`owner`], [`transport`] | the four cards that every row has |
//! | [`story`] | what happened, with its time |

mod card;
mod connection;
mod owner;
mod place;
mod spoken;
mod story;
mod traces;
mod transport;

use card::Card;
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    base::time::{Nanos, Stamp},
    query::{application, column, format, text},
    snapshot::row::Row,
    tui::{action::Tab, app::App, theme::Role, widget::strip::Strip},
};

/// Draws the page.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App) {
    let Some(row) = app.selected_row().cloned() else {
        let words = "No row is selected: choose one on Overview (1), Enter comes here";
        let x = area.x + area.width.saturating_sub(words.len() as u16) / 2;
        buf.set_stringn(
            x,
            area.y + area.height / 3,
            words,
            area.width.into(),
            app.setup.theme.style(Role::Strong),
        );
        return;
    };
    draw_head(buf, area, app, &row);
    let cards = cards(app, &row);
    let count: usize = cards.iter().map(|c| c.fields.len()).sum();
    let cursor = &mut app.scroll[Tab::Details.place()];
    *cursor = (*cursor).min(count.saturating_sub(1));
    let cursor = *cursor;
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    match area.width {
        100.. => place::beside(buf, body, app, &cards, cursor),
        _ => place::below(buf, body, app, &cards, cursor),
    }
}

/// Returns the text of the field under the cursor.
pub fn field(app: &App) -> Option<String> {
    let row = app.selected_row()?;
    let cards = cards(app, row);
    let mut fields = cards.iter().flat_map(|card| card.fields.iter().map(move |field| (card.title, field)));
    let (title, (label, value)) = fields.nth(app.scroll[Tab::Details.place()])?;
    // What happened says little without its time.
    Some(if title == story::TITLE { format!("{label} {value}") } else { value.clone() })
}

fn draw_head(buf: &mut Buffer, area: Rect, app: &App, row: &Row) {
    let look = app.look(area.width);
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    let ends = column::ends(row, &look, usize::from(area.width).saturating_sub(2));
    strip.left(9, [app.run(Role::Strong, ends)]);
    strip.left(8, [app.run(Role::Plain, format!("{} {}", column::protocol(row), row.state_text()))]);
    let room = (60, app.setup.signs.ellipsis);
    let facts = row
        .app
        .as_ref()
        .map_or(String::new(), |app| application::within(app, row.ports, 1 - row.roles.initiator(), room));
    if !facts.is_empty() {
        strip.left(6, [app.run(Role::Accent, text::clip(&facts, room.0, room.1))]);
    }
    strip.left(5, [app.run(Role::Plain, column::process(row, &look, usize::MAX))]);
    if let Some(frozen) = app.frozen_for() {
        strip.right(7, [app.run(Role::Warn, format!("FROZEN {}", format::whole_span(frozen)))]);
    }
    let places = app.view.as_ref().map_or(0, |v| v.places());
    let place =
        format!("row {} of {}", format::grouped(app.place() as u64 + 1), format::grouped(places as u64));
    strip.right(4, [app.run(Role::Dim, place)]);
    strip.draw(buf, Rect { height: 1, ..area });
}

fn cards(app: &App, row: &Row) -> Vec<Card> {
    // In the order in which they are dealt out to left and right.
    let mut cards = vec![
        connection::card(app, row),
        spoken::card(app, row),
        owner::card(app, row),
        transport::card(app, row),
        story::card(app, row),
    ];
    if let Some(facts) = &row.app {
        let fields: Vec<_> = facts
            .facts()
            .map(|(fact, value)| (fact.key(), text::escape(&String::from_utf8_lossy(value)).into_owned()))
            .collect();
        if !fields.is_empty() {
            cards.push(Card::new("All facts of the traffic", fields));
        }
    }
    cards
}

/// Returns whether two cards share a screen that has little room for them.
fn is_narrow(app: &App) -> bool {
    (100..116).contains(&app.screen_width)
}

fn or_none(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into())
}

/// Returns a moment with its age.
fn moment(app: &App, at: Stamp) -> String {
    let offset = (app.setup.utc_offset)(at);
    let age = app.look(200).wall.since(at);
    // Where two cards share a narrow screen, the day is told of what was not within one.
    let (at, gap) = match is_narrow(app) {
        true if age < DAY => (format::clock(at, offset), "   "),
        // Without its seconds.
        true => (format::date_time(at, offset).chars().take(16).collect(), " "),
        false => (format::date_time(at, offset), "   "),
    };
    format!("{at}{gap}{} ago", format::span(age))
}

const DAY: Nanos = Nanos::from_secs(86_400);
