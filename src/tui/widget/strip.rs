//! A line with pieces on its left and on its right, which shortens and drops the least important ones
//! until the rest fits.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::query::text;

/// Blanks between the two sides, and between two pieces of a line that is no rule.
const GAP: usize = 2;

/// Returns the cells that runs take.
fn width(runs: &Runs) -> usize {
    runs.iter().map(|(t, _)| text::width(t)).sum()
}

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

/// The texts of a piece, with their styles.
pub type Runs = Vec<(String, Style)>;

/// What weighs so much, or less, goes before anything else is shortened.
const EXTRA: u8 = 3;

/// Where a piece stands; of two that weigh the same that on the right goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Right,
    Left,
}

struct Piece {
    weight: u8,
    /// From the longest to the shortest; at least one.
    forms: Vec<Runs>,
    /// The one that is shown.
    form: usize,
}

impl Piece {
    fn runs(&self) -> &Runs {
        &self.forms[self.form]
    }

    fn width(&self) -> usize {
        width(self.runs())
    }

    fn can_be_shorter(&self) -> bool {
        self.form + 1 < self.forms.len()
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
    pub fn left(&mut self, weight: u8, runs: impl Into<Runs>) {
        self.left_in_forms(weight, [runs.into()]);
    }

    /// Adds a piece on the left in the longest of its forms that there is room for.
    pub fn left_in_forms(&mut self, weight: u8, forms: impl Into<Vec<Runs>>) {
        self.left.push(Piece { weight, forms: forms.into(), form: 0 });
    }

    /// Adds a piece on the right, behind those that are there.
    pub fn right(&mut self, weight: u8, runs: impl Into<Runs>) {
        self.right_in_forms(weight, [runs.into()]);
    }

    /// As [`Strip::left_in_forms`], on the right.
    pub fn right_in_forms(&mut self, weight: u8, forms: impl Into<Vec<Runs>>) {
        self.right.push(Piece { weight, forms: forms.into(), form: 0 });
    }

    /// Returns the cells that all pieces take in their longest forms, a gap between the sides included.
    pub fn width(&self) -> usize {
        let [left, right] = [self.side_width(&self.left), self.side_width(&self.right)];
        left + right + if left > 0 && right > 0 { GAP } else { 0 }
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
            for (run, style) in piece.runs() {
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
        self.width() <= room
    }

    /// Drops extras until the rest fits; if it does not, shortens what weighs least first; if that does not
    /// do either, drops the lightest pieces. Then makes longer again what can be, and puts back what fits
    /// into what a heavier one has left.
    fn fit(&mut self, room: usize) {
        let mut dropped = Vec::new();
        self.drop_until_fit(room, EXTRA, &mut dropped);
        self.shorten_until_fit(room);
        self.drop_until_fit(room, u8::MAX, &mut dropped);
        self.lengthen(room);
        let mut is_left_full = false;
        for (side, at, piece) in dropped.into_iter().rev() {
            // Those on the left are a list, which has no gaps.
            if side == Side::Left && is_left_full {
                continue;
            }
            let pieces = self.side(side);
            let at = at.min(pieces.len());
            pieces.insert(at, piece);
            if !self.is_within(room) {
                drop(self.side(side).remove(at));
                is_left_full |= side == Side::Left;
            }
        }
    }

    fn side(&mut self, side: Side) -> &mut Vec<Piece> {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    fn drop_until_fit(&mut self, room: usize, most: u8, dropped: &mut Vec<(Side, usize, Piece)>) {
        while !self.is_within(room) && self.left.len() + self.right.len() > 1 {
            let on = |side: Side, pieces: &[Piece]| {
                let some = pieces.iter().enumerate().filter(|(_, p)| p.weight <= most);
                // Of those on the left that weigh the same the last one goes, of those on the right the first.
                let order = |n: usize| if side == Side::Left { usize::MAX - n } else { n };
                some.map(|(n, p)| (p.weight, side, order(n), n)).min()
            };
            let lightest =
                [on(Side::Right, &self.right), on(Side::Left, &self.left)].into_iter().flatten().min();
            let Some((_, side, _, n)) = lightest else { return };
            let piece = self.side(side).remove(n);
            dropped.push((side, n, piece));
        }
    }

    fn shorten_until_fit(&mut self, room: usize) {
        while !self.is_within(room) {
            let all = self.right.iter_mut().chain(&mut self.left);
            let Some(piece) = all.filter(|p| p.can_be_shorter()).min_by_key(|p| p.weight) else { return };
            piece.form += 1;
        }
    }

    fn lengthen(&mut self, room: usize) {
        let mut free = room.saturating_sub(self.width());
        let mut all: Vec<_> = self.left.iter_mut().chain(&mut self.right).collect();
        all.sort_by_key(|piece| std::cmp::Reverse(piece.weight));
        for piece in all {
            while let Some(longer) = piece.form.checked_sub(1) {
                let more = width(&piece.forms[longer]).saturating_sub(piece.width());
                if more > free {
                    break;
                }
                free -= more;
                piece.form = longer;
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

    #[test]
    fn extras_go_before_anything_is_shortened_and_nothing_goes_that_fits_shortened() {
        let runs = |text: &str| vec![(text.to_owned(), Style::new())];
        let strip = || {
            let mut strip = Strip::new('…');
            strip.left_in_forms(9, ["Lost 0 of 1,234,567", "Lost 0 of 1.23 M"].map(runs));
            strip.left(2, runs("half-open 3"));
            strip.right_in_forms(6, ["0.11 core", "0.11c"].map(runs));
            strip.right(7, runs("bpf"));
            strip
        };
        for expected in [
            " Lost 0 of 1,234,567  half-open 3  0.11 core  bpf ",
            " Lost 0 of 1,234,567  0.11 core  bpf ",
            " Lost 0 of 1,234,567  0.11c  bpf ",
            " Lost 0 of 1.23 M  0.11c  bpf ",
            " Lost 0 of 1,234,567  bpf ",
            " Lost 0 of 1.23 M  bpf ",
            " Lost 0 of 1,234,567 ",
        ] {
            assert_eq!(drawn(expected.len() as u16, strip()), expected);
        }
    }
}
