//! A line with pieces on its left and on its right, which drops the least important ones until
//! the rest fits.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::query::text;

/// Blanks between the two sides, and between two pieces of a line that is no rule.
const GAP: usize = 2;

/// A line in the making.
pub struct Strip {
    left: Vec<Piece>,
    right: Vec<Piece>,
    /// What fills the line between the pieces, with its style; a rule has a margin of two.
    fill: Option<(char, Style)>,
    /// Blanks between two pieces.
    gap: usize,
    ellipsis: char,
}

struct Piece {
    weight: u8,
    runs: Vec<(String, Style)>,
}

impl Piece {
    fn width(&self) -> usize {
        self.runs.iter().map(|(t, _)| text::width(t)).sum()
    }
}

impl Strip {
    /// Returns an empty line.
    pub fn new(ellipsis: char) -> Self {
        Self { left: Vec::new(), right: Vec::new(), fill: None, gap: GAP, ellipsis }
    }

    /// Returns an empty rule.
    pub fn rule(ellipsis: char, fill: char, style: Style) -> Self {
        Self { fill: Some((fill, style)), gap: 1, ..Self::new(ellipsis) }
    }

    /// Adds a piece on the left; what weighs least goes first.
    pub fn left(&mut self, weight: u8, runs: impl Into<Vec<(String, Style)>>) {
        self.left.push(Piece { weight, runs: runs.into() });
    }

    /// Adds a piece on the right, behind those that are there.
    pub fn right(&mut self, weight: u8, runs: impl Into<Vec<(String, Style)>>) {
        self.right.push(Piece { weight, runs: runs.into() });
    }

    /// Draws the line into the first line of `area`.
    pub fn draw(mut self, buf: &mut Buffer, area: Rect) {
        if area.is_empty() {
            return;
        }
        let margin = if self.fill.is_some() { 3 } else { 1 };
        let room = usize::from(area.width).saturating_sub(2 * margin);
        self.fit(room);
        if let Some((fill, style)) = self.fill {
            buf.set_stringn(area.x, area.y, fill.to_string().repeat(area.width.into()), usize::MAX, style);
        }
        let start = usize::from(area.x) + margin;
        let end = start + room;
        self.put(buf, area.y, &self.left, start, end);
        let right = self.side_width(&self.right);
        self.put(buf, area.y, &self.right, end.saturating_sub(right).max(start), end);
    }

    fn put(&self, buf: &mut Buffer, y: u16, pieces: &[Piece], start: usize, end: usize) {
        let mut x = start;
        if !pieces.is_empty() && start < end {
            self.blank(buf, y, start - 1, 1);
        }
        for (n, piece) in pieces.iter().enumerate() {
            if n > 0 {
                self.blank(buf, y, x, self.gap);
                x += self.gap;
            }
            for (run, style) in &piece.runs {
                let run = text::clip(run, end.saturating_sub(x), self.ellipsis);
                if !run.is_empty() {
                    self.blank(buf, y, x, text::width(&run));
                    buf.set_stringn(x as u16, y, &*run, end - x, *style);
                    x += text::width(&run);
                }
            }
        }
        if !pieces.is_empty() && start < end {
            self.blank(buf, y, x, 1);
        }
    }

    /// Takes the fill away between pieces.
    fn blank(&self, buf: &mut Buffer, y: u16, x: usize, cells: usize) {
        if self.fill.is_some() {
            buf.set_stringn(x as u16, y, " ".repeat(cells), cells, Style::reset());
        }
    }

    fn side_width(&self, pieces: &[Piece]) -> usize {
        pieces.iter().map(Piece::width).sum::<usize>() + self.gap * pieces.len().saturating_sub(1)
    }

    fn is_within(&self, room: usize) -> bool {
        let [left, right] = [self.side_width(&self.left), self.side_width(&self.right)];
        let both = if left > 0 && right > 0 { GAP } else { 0 };
        left + right + both <= room
    }

    /// Drops the lightest pieces until the rest fits, then puts those on the right back that fit into
    /// what a heavier one has left.
    fn fit(&mut self, room: usize) {
        let mut dropped = Vec::new();
        self.drop_until_fit(room, &mut dropped);
        for (at, piece) in dropped.into_iter().rev() {
            let at = at.min(self.right.len());
            self.right.insert(at, piece);
            if !self.is_within(room) {
                drop(self.right.remove(at));
            }
        }
    }

    fn drop_until_fit(&mut self, room: usize, dropped: &mut Vec<(usize, Piece)>) {
        loop {
            if self.is_within(room) || self.left.len() + self.right.len() <= 1 {
                return;
            }
            let lightest = |side: &[Piece]| {
                side.iter().enumerate().min_by_key(|(_, p)| p.weight).map(|(n, p)| (p.weight, n))
            };
            match (lightest(&self.left), lightest(&self.right)) {
                (Some((l, _)), Some((r, n))) if r <= l => dropped.push((n, self.right.remove(n))),
                (None, Some((_, n))) => dropped.push((n, self.right.remove(n))),
                (Some((_, n)), _) => drop(self.left.remove(n)),
                (None, None) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: u16, strip: Strip) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buf = Buffer::empty(area);
        strip.draw(&mut buf, area);
        buf.content().iter().map(|c| c.symbol()).collect()
    }

    fn strip() -> Strip {
        let plain = Style::new();
        let mut strip = Strip::rule('…', '─', plain);
        strip.left(9, [("Connections".to_owned(), plain)]);
        strip.left(2, [("sorted".to_owned(), plain)]);
        strip.right(5, [("104,233".to_owned(), plain)]);
        strip
    }

    #[test]
    fn the_lightest_pieces_go_first() {
        assert_eq!(drawn(36, strip()), "── Connections sorted ─── 104,233 ──");
        assert_eq!(drawn(33, strip()), "── Connections sorted  104,233 ──");
        assert_eq!(drawn(32, strip()), "── Connections ────── 104,233 ──");
        assert_eq!(drawn(20, strip()), "── Connections ─────");
        assert_eq!(drawn(12, strip()), "── Conne… ──");
        for width in 0..40 {
            drawn(width, strip());
        }
    }
}
