//! Which columns a width has room for, and how wide each is.
//!
//! A column grows at once to what stands in it and shrinks only after five seconds, so that a
//! table does not twitch. Width that is left over goes out cell by cell to the column that has
//! the least for its share: first to those whose text is cut, then to all that can use it.

use crate::{
    base::time::Nanos,
    query::{
        column::{COLUMNS, Column, ColumnId, Look},
        format::Digits,
        text,
    },
    snapshot::row::Row,
};

/// How long a column stays wider than what stands in it.
const SHRINK_AFTER: Nanos = Nanos::from_secs(5);

/// Columns that are shown from this width on are shown on every screen.
const NARROW: u16 = 40;

/// From this width on all main columns are shown, with their headers in full.
const ALL_MAIN: u16 = 120;

/// Cells of the longest IPv4 address with its port.
const IPV4_END: u16 = "255.255.255.255:65535".len() as u16;

/// Cells of the sign before the remote address, with the blank behind it.
const SIGN: u16 = 2;

/// What each column would like to have, by index in [`COLUMNS`].
#[derive(Clone, Debug, Default)]
pub struct Wishes([Wish; COLUMNS.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Wish {
    cells: u16,
    /// When something that wide was last seen.
    seen: Nanos,
}

/// Which columns are shown beside those that the width gives, and how wide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Shown at any width.
    pub on: Vec<ColumnId>,
    /// Never shown.
    pub off: Vec<ColumnId>,
    /// Cells more or less than usual.
    pub wider: Vec<(ColumnId, i16)>,
}

impl Choice {
    /// The least and the most cells by which a column is made wider.
    pub const WIDER: [i16; 2] = [-40, 80];

    /// Returns whether a column is shown on a screen of `width` cells that is sorted by `sort`.
    pub fn shows(&self, column: &Column, width: u16, sort: Option<ColumnId>) -> bool {
        sort == Some(column.id)
            || self.on.contains(&column.id)
            || column.shown_from <= width && !self.off.contains(&column.id)
    }

    /// Shows a column, or hides it; the last one that is shown stays.
    pub fn switch(&mut self, column: &Column, width: u16) {
        let shown = self.shows(column, width, None);
        let is_alone = COLUMNS.iter().filter(|c| self.shows(c, width, None)).count() == 1;
        if shown && is_alone {
            return;
        }
        self.on.retain(|id| *id != column.id);
        self.off.retain(|id| *id != column.id);
        if shown { self.off.push(column.id) } else { self.on.push(column.id) }
    }

    /// Makes a column wider, or narrower, by some cells.
    pub fn widen(&mut self, column: ColumnId, by: i16) {
        let [least, most] = Self::WIDER;
        let cells = self.wider(column).saturating_add(by).clamp(least, most);
        self.wider.retain(|(id, _)| *id != column);
        if cells != 0 {
            self.wider.push((column, cells));
        }
    }

    /// Returns by how many cells a column was made wider.
    pub fn wider(&self, column: ColumnId) -> i16 {
        self.wider.iter().find(|(id, _)| *id == column).map_or(0, |(_, cells)| *cells)
    }
}

/// A column and its place on a line.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The column.
    pub column: &'static Column,
    /// Its first cell.
    pub x: u16,
    /// Its cells.
    pub width: u16,
}

impl Wishes {
    /// Takes the rows that are on screen at `now` (any clock that does not go back).
    pub fn learn<'a>(&mut self, rows: impl Iterator<Item = &'a Row> + Clone, look: &Look, now: Nanos) {
        for (column, wish) in COLUMNS.iter().zip(&mut self.0) {
            let cells = rows
                .clone()
                .map(|row| text::width(&(column.cell)(row, look, usize::MAX)))
                .max()
                .unwrap_or(0)
                .max(column.short.len()) as u16;
            if cells >= wish.cells || now.since(wish.seen) > SHRINK_AFTER {
                *wish = Wish { cells, seen: now };
            }
        }
    }

    /// Returns the columns for a screen of `width` cells, side by side; the first cell of a line
    /// is left to the sign. The header of the sort column has room for its arrow, the short one where the
    /// long one would cost other columns.
    pub fn places(&self, width: u16, choice: &Choice, sort: Option<ColumnId>) -> Vec<Place> {
        let long = self.places_with(width, choice, sort, |column| column.header);
        let short = self.places_with(width, choice, sort, |column| column.short);
        if short.len() > long.len() { short } else { long }
    }

    fn places_with(
        &self,
        width: u16,
        choice: &Choice,
        sort: Option<ColumnId>,
        header: impl Fn(&Column) -> &'static str,
    ) -> Vec<Place> {
        let mut shown: Vec<usize> =
            (0..COLUMNS.len()).filter(|i| choice.shows(&COLUMNS[*i], width, sort)).collect();
        if shown.is_empty() {
            // Whatever was chosen for wider screens, something is shown.
            shown = (0..COLUMNS.len()).filter(|i| COLUMNS[*i].id == ColumnId::Remote).collect();
        }
        let with_arrow = |i: &usize| match sort == Some(COLUMNS[*i].id) {
            true => with_arrow(&COLUMNS[*i], header(&COLUMNS[*i])),
            false => 0,
        };
        // Addresses are cut in their middle, headers would be cut at their end.
        let first = |column: &Column| match width {
            ALL_MAIN.. => first_cells(column, width).max(text::width(header(column)) as u16),
            _ => first_cells(column, width),
        };
        let least = |i: &usize| first(&COLUMNS[*i]).max(with_arrow(i));
        // On the narrowest screens the other end's address gives way before a column goes.
        let give_way = |over: u16, shown: &[usize]| {
            let n = shown.iter().position(|i| COLUMNS[*i].id == ColumnId::Remote)?;
            let (column, cells) = (&COLUMNS[shown[n]], least(&shown[n]));
            let room = cells - least_cells(column, width).max(with_arrow(&shown[n]));
            (over > 0 && room >= over).then(|| (n, cells - over))
        };
        // What a wider screen would show goes first where there is no room for all; on the narrowest
        // ones that is the column that is sorted by, whose name stands in the title.
        let taken = |shown: &[usize]| shown.iter().map(|i| least(i) + 1).sum::<u16>();
        while taken(&shown) > width && shown.len() > 1 {
            let always = |n: &usize| COLUMNS[shown[*n]].shown_from <= NARROW;
            let kept = |n: &usize| Some(COLUMNS[shown[*n]].id) == sort || always(n);
            let places = || 0..shown.len();
            let rank = |n: &usize| (COLUMNS[shown[*n]].shown_from, *n);
            let n = places()
                .filter(|n| !kept(n))
                .max_by_key(rank)
                .or_else(|| places().filter(|n| !always(n)).max_by_key(rank))
                .or_else(|| places().max_by_key(rank));
            let Some(n) = n else { break };
            if always(&n) && give_way(taken(&shown) - width, &shown).is_some() {
                break;
            }
            shown.remove(n);
        }
        let mut widths: Vec<u16> = shown.iter().map(least).collect();
        if let Some((n, cells)) = give_way(taken(&shown).saturating_sub(width), &shown) {
            widths[n] = cells;
        }
        let mut left = width.saturating_sub(widths.iter().map(|cells| cells + 1).sum());
        // What must not be cut, as far as it is there; then what is cut.
        deal(&mut left, &mut widths, &shown, |i| self.0[i].cells.min(COLUMNS[i].min));
        // IPv4 addresses in full say more than the end of what is spoken; that of the other end comes first.
        for (id, most) in [(ColumnId::Remote, IPV4_END + SIGN), (ColumnId::Local, IPV4_END)] {
            let address = |i: usize| if COLUMNS[i].id == id { self.0[i].cells.min(most) } else { 0 };
            deal(&mut left, &mut widths, &shown, address);
        }
        let wanted = |i: usize| self.0[i].cells.clamp(first(&COLUMNS[i]), COLUMNS[i].max);
        deal(&mut left, &mut widths, &shown, wanted);
        let any = |i: usize| COLUMNS[i].max * u16::from(COLUMNS[i].max == u16::MAX);
        deal(&mut left, &mut widths, &shown, any);
        // What somebody made narrower gives to the others what it has.
        let narrower = |i: usize| choice.wider(COLUMNS[i].id).min(0);
        for (i, cells) in shown.iter().zip(&mut widths).filter(|(i, _)| narrower(**i) < 0) {
            let least = least_cells(&COLUMNS[*i], width).max(with_arrow(i)).min(*cells);
            let new = cells.saturating_add_signed(narrower(*i)).max(least);
            left += *cells - new;
            *cells = new;
        }
        deal(&mut left, &mut widths, &shown, |i| if narrower(i) < 0 { 0 } else { any(i) });
        // What somebody made wider has it from those that have more than they need: no column goes for it.
        let wider = |n: &usize| choice.wider(COLUMNS[shown[*n]].id).max(0) as u16;
        for n in (0..shown.len()).filter(|n| wider(n) > 0) {
            for _ in 0..wider(&n) {
                // Numbers, states and IPv4 addresses of ours have what they need, and beside a pid there is a name.
                let spare = |n: &usize| match &COLUMNS[shown[*n]] {
                    column if !(1..100).contains(&column.share) => 0,
                    column => {
                        let own = if column.id == ColumnId::Local { IPV4_END } else { 0 };
                        let kept = self.0[shown[*n]].cells.min(own).max(column.min);
                        widths[*n].saturating_sub(least(&shown[*n]).max(kept))
                    }
                };
                let others = (0..shown.len()).filter(|other| wider(other) == 0 && spare(other) > 0);
                if left > 0 {
                    left -= 1;
                } else if let Some(giver) =
                    others.max_by_key(|other| (spare(other), std::cmp::Reverse(*other)))
                {
                    widths[giver] -= 1;
                } else {
                    break;
                }
                widths[n] += 1;
            }
        }
        let mut x = 1;
        let place = |(i, width): (&usize, &u16)| {
            let place = Place { column: &COLUMNS[*i], x, width: *width };
            x += width + 1;
            place
        };
        shown.iter().zip(&widths).map(place).filter(|p| p.x + p.width <= width).collect()
    }
}

/// Returns the cells that a column has before any others are dealt out: room for a name beside its pid comes
/// after the other columns and the sort column's header.
fn first_cells(column: &Column, width: u16) -> u16 {
    match column.id {
        ColumnId::Process => column.least,
        ColumnId::Bandwidth => least_cells(column, width),
        _ => column.min,
    }
}

/// Returns the cells below which a column is not made narrower. A rate is never cut, whatever digits it has.
fn least_cells(column: &Column, width: u16) -> u16 {
    match column.id {
        ColumnId::Bandwidth => column.least.max(2 * Digits::on(width).cells() + 1),
        _ => column.least,
    }
}

/// Returns the cells of a header of the column that is sorted by: with its arrow, which stands behind a
/// blank, or among the names of both rates.
pub fn with_arrow(column: &Column, header: &str) -> u16 {
    text::width(header) as u16 + if column.id == ColumnId::Bandwidth { 1 } else { 2 }
}

/// Returns the headers of the main columns that a screen of this width leaves out.
pub fn left_out(places: &[Place]) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(move |c| c.shown_from <= 120 && places.iter().all(|p| p.column.id != c.id))
}

/// Deals `left` cells out to columns below their limit, by share.
fn deal(left: &mut u16, widths: &mut [u16], shown: &[usize], limit: impl Fn(usize) -> u16) {
    let mut dealt = vec![0_u32; widths.len()];
    while *left > 0 {
        let open = (0..shown.len()).filter(|n| COLUMNS[shown[*n]].share > 0 && widths[*n] < limit(shown[*n]));
        let Some(n) = open.min_by_key(|n| (dealt[*n] + 1) * 1000 / u32::from(COLUMNS[shown[*n]].share))
        else {
            return;
        };
        widths[n] += 1;
        dealt[n] += 1;
        *left -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::column::ColumnId;

    fn default_places(wishes: &Wishes, width: u16) -> Vec<Place> {
        wishes.places(width, &Choice::default(), None)
    }

    #[test]
    fn so3_the_sort_column_is_always_shown_and_columns_can_be_chosen() {
        let ids = |choice: &Choice, sort| -> Vec<ColumnId> {
            Wishes::default().places(80, choice, sort).iter().map(|p| p.column.id).collect()
        };
        for row in crate::query::sort::SORTS.iter().filter(|r| r.column.is_some()) {
            assert!(ids(&Choice::default(), row.column).contains(&row.column.unwrap()), "{}", row.name);
        }
        let mut choice = Choice::default();
        let column = |id| COLUMNS.iter().find(|c| c.id == id).unwrap();
        choice.switch(column(ColumnId::State), 80);
        choice.switch(column(ColumnId::Rtt), 80);
        let shown = ids(&choice, None);
        assert!(!shown.contains(&ColumnId::State) && shown.contains(&ColumnId::Rtt));
        assert!(ids(&choice, Some(ColumnId::State)).contains(&ColumnId::State));
        choice.switch(column(ColumnId::State), 80);
        assert!(ids(&choice, None).contains(&ColumnId::State));
    }

    fn headers(width: u16) -> Vec<&'static str> {
        default_places(&Wishes::default(), width).iter().map(|p| p.column.header).collect()
    }

    #[test]
    fn columns_come_with_width() {
        assert_eq!(headers(40), ["Pro", "Remote Address", "Down/Up", "Process"]);
        assert_eq!(headers(79), headers(40));
        assert_eq!(
            headers(80),
            ["Pro", "Remote Address", "State", "Application / Host", "Down/Up", "Process"]
        );
        assert_eq!(headers(104)[1], "Local Address");
        assert_eq!(headers(120).len(), 8);
        assert_eq!(headers(160).len(), 11);
        assert_eq!(headers(200).len(), 14);
        assert_eq!(
            left_out(&default_places(&Wishes::default(), 80)).map(|c| c.short).collect::<Vec<_>>(),
            ["Local", "Service"]
        );
    }

    #[test]
    fn so6_headers_stand_in_full_from_120_cells_on_however_long_addresses_are() {
        let wishes = Wishes([Wish { cells: 60, seen: Nanos(0) }; COLUMNS.len()]);
        for width in 120..260 {
            let places = default_places(&wishes, width);
            assert!(places.len() >= 8, "{width}");
            for place in places {
                let header = place.column.header;
                assert!(text::width(header) <= place.width.into(), "{header} at {width}: {}", place.width);
            }
        }
    }

    #[test]
    fn v7_the_narrowest_screens_keep_their_four_columns_whatever_is_sorted_by() {
        for row in crate::query::sort::SORTS {
            for width in 40..80 {
                let places = Wishes::default().places(width, &Choice::default(), row.column);
                let there = |header| places.iter().any(|p| p.column.header == header);
                let narrow = ["Pro", "Remote Address", "Down/Up", "Process"];
                assert!(narrow.into_iter().all(there), "{} at {width}", row.name);
            }
        }
    }

    #[test]
    fn so4_the_arrow_of_the_sort_column_always_has_room() {
        for row in crate::query::sort::SORTS.iter().filter(|row| row.column.is_some()) {
            for width in 40..260 {
                for by in [-40, 0] {
                    let mut choice = Choice::default();
                    choice.widen(row.column.unwrap(), by);
                    let places = Wishes::default().places(width, &choice, row.column);
                    let Some(place) = places.iter().find(|p| Some(p.column.id) == row.column) else {
                        assert!(width < 80, "{} at {width}", row.name);
                        continue;
                    };
                    // Where it would not be shown otherwise, others stay for the shorter one.
                    let is_usual = place.column.shown_from <= width && width >= 80;
                    let header = if is_usual { place.column.header } else { place.column.short };
                    let needed = with_arrow(place.column, header);
                    assert!(place.width >= needed, "{} at {width}: {}", row.name, place.width);
                    assert!(places.iter().all(|p| p.x + p.width <= width && p.width >= p.column.least));
                }
            }
        }
    }

    #[test]
    fn v5_rates_are_never_cut_whatever_is_shown_or_sorted_by() {
        let sorts = crate::query::sort::SORTS.iter().map(|row| row.column);
        let others = [ColumnId::Rtt, ColumnId::Age, ColumnId::Total, ColumnId::User, ColumnId::Left];
        for (sort, cells) in sorts.flat_map(|sort| [0, 12, 60].map(|cells| (sort, cells))) {
            let wishes = Wishes([Wish { cells, seen: Nanos(0) }; COLUMNS.len()]);
            for width in 40..260 {
                for shown in 0..1 << others.len() {
                    let on = (0..others.len()).filter(|n| shown >> n & 1 == 1).map(|n| others[n]).collect();
                    let mut choice = Choice { on, ..Choice::default() };
                    choice.widen(ColumnId::Bandwidth, -5);
                    choice.widen(ColumnId::Remote, 5);
                    let places = wishes.places(width, &choice, sort);
                    let rates = places.iter().find(|p| p.column.id == ColumnId::Bandwidth).unwrap();
                    let needed = if width < 100 { 9 } else { 11 };
                    assert!(rates.width >= needed, "{sort:?} {shown} at {width}: {}", rates.width);
                }
            }
        }
    }

    #[test]
    fn so11_columns_become_narrower_and_wider_again_but_ports_stay() {
        let width_of = |choice: &Choice, id| {
            let wishes = Wishes([Wish { cells: 40, seen: Nanos(0) }; COLUMNS.len()]);
            wishes.places(120, choice, None).iter().find(|p| p.column.id == id).map(|p| p.width).unwrap()
        };
        for (id, least) in [(ColumnId::Remote, 12), (ColumnId::Local, 10), (ColumnId::State, 14)] {
            let mut choice = Choice::default();
            choice.widen(id, -40);
            assert_eq!(width_of(&choice, id), least, "{id:?}");
        }
        let mut choice = Choice::default();
        choice.widen(ColumnId::Remote, -3);
        assert_eq!(width_of(&Choice::default(), ColumnId::Remote) - width_of(&choice, ColumnId::Remote), 3);
    }

    #[test]
    fn so11_no_column_goes_for_one_that_was_made_wider() {
        for cells in [0, 12, 60] {
            let wishes = Wishes([Wish { cells, seen: Nanos(0) }; COLUMNS.len()]);
            for width in (40..260).step_by(3).chain([80, 120]) {
                let usual = default_places(&wishes, width);
                for column in COLUMNS {
                    for by in [1, 5, 80] {
                        let mut choice = Choice::default();
                        choice.widen(column.id, by);
                        choice.widen(ColumnId::Protocol, 3);
                        let places = wishes.places(width, &choice, None);
                        let ids = |places: &[Place]| places.iter().map(|p| p.column.id).collect::<Vec<_>>();
                        assert_eq!(ids(&places), ids(&usual), "{} at {width}", column.header);
                        // Where there is room at all, what is not asked for keeps what it needs.
                        for (place, usual) in places.iter().zip(&usual) {
                            let needed = usual.width.min(place.column.min);
                            assert!(place.width >= needed, "{} at {width}", place.column.header);
                            let is_cut = !(1..100).contains(&place.column.share) && place.width < usual.width;
                            assert!(!is_cut, "{} at {width}", place.column.header);
                        }
                        let last = places.last().unwrap();
                        assert!(last.x + last.width <= width);
                    }
                }
            }
        }
        // Where there is room it has what was asked for.
        let mut choice = Choice::default();
        choice.widen(ColumnId::Remote, 20);
        let remote = |choice: &Choice| Wishes::default().places(170, choice, None)[2].width;
        assert_eq!(remote(&choice), remote(&Choice::default()) + 20);
    }

    #[test]
    fn whatever_is_hidden_something_is_shown() {
        let all = Choice { off: COLUMNS.iter().map(|c| c.id).collect(), ..Choice::default() };
        for width in [40, 80, 200] {
            assert_eq!(Wishes::default().places(width, &all, None).len(), 1);
        }
        let mut choice = Choice::default();
        COLUMNS.iter().for_each(|column| choice.switch(column, 80));
        COLUMNS.iter().filter(|c| c.shown_from > 80).for_each(|column| choice.switch(column, 80));
        assert_eq!(COLUMNS.iter().filter(|c| choice.shows(c, 80, None)).count(), 1);
    }

    #[test]
    fn every_width_is_used_to_the_last_cell() {
        for width in 40..400 {
            let places = default_places(&Wishes::default(), width);
            let last = places.last().unwrap();
            assert_eq!(last.x + last.width, width);
            assert!(places.windows(2).all(|w| w[0].x + w[0].width + 1 == w[1].x));
            // On the narrowest screen the remote address gives a cell to the pid.
            let gave = |p: &Place| width == NARROW && p.column.id == ColumnId::Remote && p.width == 15;
            assert!(places.iter().all(|p| p.width >= first_cells(p.column, width) || gave(p)), "{width}");
        }
    }

    #[test]
    fn what_is_cut_grows_before_what_is_not() {
        let mut wishes = Wishes::default();
        let remote = COLUMNS.iter().position(|c| c.id == ColumnId::Remote).unwrap();
        wishes.0[remote].cells = 30;
        let width_of = |w: &Wishes, id| {
            default_places(w, 82).iter().find(|p| p.column.id == id).map(|p| p.width).unwrap()
        };
        assert_eq!(width_of(&wishes, ColumnId::Remote), 30);
        assert!(width_of(&Wishes::default(), ColumnId::Remote) < 30);
        assert_eq!(width_of(&wishes, ColumnId::State), 14);
    }

    #[test]
    fn v7_own_addresses_are_not_cut_for_what_is_long_beside_them() {
        let mut wishes = Wishes::default();
        let at = |id| COLUMNS.iter().position(|c| c.id == id).unwrap();
        wishes.0[at(ColumnId::Local)].cells = 21;
        wishes.0[at(ColumnId::Remote)].cells = 23;
        wishes.0[at(ColumnId::Application)].cells = 60;
        for width in 120..200 {
            let places = default_places(&wishes, width);
            let width_of = |id| places.iter().find(|p| p.column.id == id).map(|p| p.width).unwrap();
            assert!(width_of(ColumnId::Local) >= 21, "{width}: {}", width_of(ColumnId::Local));
            assert!(width_of(ColumnId::Application) >= 16, "{width}");
        }
    }

    #[test]
    fn names_of_processes_have_room_beside_their_pids_from_80_columns_on() {
        let mut wishes = Wishes::default();
        // Everything is longer than there is room for.
        wishes.0.iter_mut().for_each(|wish| wish.cells = 60);
        let process = |width| default_places(&wishes, width).last().unwrap().width;
        assert!((80..260).all(|width| process(width) >= 12));
        assert!((40..80).all(|width| process(width) >= 8));
    }

    #[test]
    fn columns_grow_at_once_and_shrink_after_five_seconds() {
        let mut wish = Wishes::default();
        let look = Look {
            signs: crate::query::signs::Signs::UNICODE,
            digits: crate::query::format::Digits::Three,
            services: None,
            no_owners: false,
            wall: crate::base::time::Stamp(0),
            bits: false,
        };
        let end = |s: &str| (s.parse().unwrap(), 443);
        let long = crate::snapshot::sample::record([end("192.168.100.100"), end("192.168.100.101")], 6);
        let long = Row::from_record(&long);
        let short = crate::snapshot::sample::record([end("10.0.0.1"), end("10.0.0.2")], 6);
        let short = Row::from_record(&short);
        wish.learn([&short].into_iter(), &look, Nanos::from_secs(1));
        let narrow = wish.0[1].cells;
        wish.learn([&long].into_iter(), &look, Nanos::from_secs(2));
        let wide = wish.0[1].cells;
        assert!(wide > narrow);
        wish.learn([&short].into_iter(), &look, Nanos::from_secs(6));
        assert_eq!(wish.0[1].cells, wide);
        wish.learn([&short].into_iter(), &look, Nanos::from_millis(7_100));
        assert_eq!(wish.0[1].cells, narrow);
    }
}
