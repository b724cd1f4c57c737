//! Where cards and charts stand, and which of their lines are seen.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    card::{Card, draw_field, title},
    traces,
};
use crate::tui::app::App;

/// Cards that stand side by side, in two pairs; what follows them is as long as it likes.
const PAIRED: usize = 4;
/// Lines that both charts take at least, where there is room for anything else below them.
const CHARTS: u16 = 8;
/// Lines from which on there is room for something else.
const BOTH_CHARTS: u16 = CHARTS + 3;
/// Lines of both charts side by side, and those that cards below each other have before there are any.
const LOW_CHARTS: u16 = 3;
/// See `LOW_CHARTS`.
const CARDS_FIRST: u16 = 12;
/// Cells from which on what follows the pairs stands side by side, too.
const WIDE: u16 = 160;

/// Draws the cards side by side: connection and owner on the left, application and transport on the right;
/// below them the charts, and what is as long as it likes. What has no room is scrolled to.
pub fn beside(buf: &mut Buffer, area: Rect, app: &App, cards: &[Card], cursor: usize) {
    let (pairs, others) = cards.split_at(PAIRED.min(cards.len()));
    let mut pairs = deal(pairs, 0, area, 2);
    let first = pairs.iter().map(|placed| placed.card.fields.len()).sum();
    let mut others = deal(others, first, area, if area.width >= WIDE { 2 } else { 1 });
    let (used, below) = (height(&pairs), height(&others));
    let Some(free) = area.height.checked_sub(used).filter(|free| *free > 2) else {
        others.iter_mut().for_each(|placed| placed.line += used);
        pairs.append(&mut others);
        return draw_placed(buf, area, app, &pairs, cursor);
    };
    draw_placed(buf, Rect { height: used, ..area }, app, &pairs, cursor);
    let least = match free {
        0..5 => 0,
        5..BOTH_CHARTS => 3,
        _ => CHARTS,
    };
    let charts = free.saturating_sub(below).max(least);
    let charts = if charts < 3 { 0 } else { charts };
    let rest = Rect { y: area.y + used, height: charts, ..area };
    traces::draw(buf, rest, app);
    draw_placed(buf, Rect { y: rest.bottom(), height: free - charts, ..area }, app, &others, cursor);
}

/// Draws the cards below each other, and the charts below them: in what the cards leave, and on a screen that is not
/// too low in few lines at its end.
pub fn below(buf: &mut Buffer, area: Rect, app: &App, cards: &[Card], cursor: usize) {
    let lines: u16 = cards.iter().map(Card::lines).sum();
    let least = if area.height >= CARDS_FIRST + LOW_CHARTS { LOW_CHARTS } else { 0 };
    let charts = area.height.saturating_sub(lines).max(least);
    let above = Rect { height: area.height - charts, ..area };
    draw_scrolled(buf, above, app, cards, cursor);
    traces::draw(buf, Rect { y: above.bottom(), height: charts, ..area }, app);
}

/// Draws the cards below each other, scrolled so that the cursor is seen.
fn draw_scrolled(buf: &mut Buffer, area: Rect, app: &App, cards: &[Card], cursor: usize) {
    let mut lines: Vec<(usize, Option<usize>)> = Vec::new();
    for (n, card) in cards.iter().enumerate() {
        lines.push((n, None));
        lines.extend((0..card.fields.len()).map(|f| (n, Some(f))));
    }
    let mut first = 0;
    let starts: Vec<usize> = cards
        .iter()
        .map(|card| {
            first += card.fields.len();
            first - card.fields.len()
        })
        .collect();
    let at = lines.iter().position(|(n, f)| f.is_some_and(|f| starts[*n] + f == cursor)).unwrap_or(0);
    let top = (at + 2).saturating_sub(area.height.into()).min(lines.len());
    for (y, (n, f)) in lines.iter().skip(top).take(area.height.into()).enumerate() {
        let place = Rect { y: area.y + y as u16, height: 1, ..area };
        match f {
            None => title(app, cards[*n].title).draw(buf, place),
            Some(f) => {
                draw_field(buf, place, app, &cards[*n], &cards[*n].fields[*f], starts[*n] + f == cursor)
            }
        }
    }
}

/// A card, the number of its first field, and where it stands: first cell and cells, and its first line.
struct Placed<'a> {
    card: &'a Card,
    first: usize,
    x: u16,
    width: u16,
    line: u16,
}

impl Placed<'_> {
    fn end(&self) -> u16 {
        self.line + self.card.lines()
    }

    /// Returns the line of a field, if it is one of this card.
    fn line_of(&self, cursor: usize) -> Option<u16> {
        let n = cursor.checked_sub(self.first).filter(|n| *n < self.card.fields.len())?;
        Some(self.line + 1 + n as u16)
    }
}

/// Deals cards out to two columns in turns, or one below the other.
fn deal(cards: &[Card], first: usize, area: Rect, columns: usize) -> Vec<Placed<'_>> {
    let half = area.width / 2;
    let (mut first, mut used) = (first, [0; 2]);
    let place = |(n, card): (usize, &'_ Card)| {
        let side = n % columns;
        let (x, width) = match (columns, side) {
            (1, _) => (area.x, area.width),
            (_, 0) => (area.x, half - 1),
            (_, _) => (area.x + half, area.width - half),
        };
        let placed = (first, x, width, used[side]);
        first += card.fields.len();
        used[side] += card.lines();
        placed
    };
    let places: Vec<_> = cards.iter().enumerate().map(place).collect();
    let placed = cards.iter().zip(places);
    placed.map(|(card, (first, x, width, line))| Placed { card, first, x, width, line }).collect()
}

/// Returns the lines that cards take.
fn height(placed: &[Placed]) -> u16 {
    placed.iter().map(Placed::end).max().unwrap_or(0)
}

/// Draws as many lines of cards as `area` has, so that the field under the cursor is among them.
fn draw_placed(buf: &mut Buffer, area: Rect, app: &App, placed: &[Placed], cursor: usize) {
    let at = placed.iter().find_map(|placed| placed.line_of(cursor)).unwrap_or(0);
    let top = (at + 1).saturating_sub(area.height);
    for Placed { card, first, x, width, line } in placed {
        let rows = Rect { x: *x, width: *width, height: 1, ..area };
        for (n, line) in (0..card.lines()).zip(*line..) {
            let Some(y) = line.checked_sub(top).filter(|y| *y < area.height) else { continue };
            let row = Rect { y: area.y + y, ..rows };
            match usize::from(n).checked_sub(1) {
                // A title alone says nothing.
                None if y + 1 == area.height && !card.fields.is_empty() => {}
                None => title(app, card.title).draw(buf, row),
                Some(n) => draw_field(buf, row, app, card, &card.fields[n], first + n == cursor),
            }
        }
    }
}
