//! The tab Details: all that is known of the selected row, in fixed places.
//!
//! A field that does not apply is `-`, so that nothing jumps from row to row.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    base::time::{Nanos, Stamp},
    dpi::fact::Fact,
    flow::{entry::Evidence, state::EndReason},
    packet::key::{kind, proto},
    query::{application, column, format, text},
    snapshot::{
        history::SECONDS,
        row::{Direction, Row},
    },
    tui::{
        action::Tab,
        app::App,
        theme::Role,
        view::{chart, overview, table},
        widget::{bars, strip::Strip},
    },
};

/// A titled list of fields.
struct Card {
    title: &'static str,
    fields: Vec<Field>,
}

/// A label with its value.
type Field = (Cow<'static, str>, String);

/// Cards that stand side by side, in two pairs; what follows them is as long as it likes.
const PAIRED: usize = 4;
/// Lines that both charts take at least, where there is room for anything else below them.
const CHARTS: u16 = 8;
/// Lines from which on there is room for something else.
const BOTH_CHARTS: u16 = CHARTS + 3;
/// Cells from which on what follows the pairs stands side by side, too.
const WIDE: u16 = 160;

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
        100.. => draw_beside(buf, body, app, &cards, cursor),
        _ => {
            let used = draw_below(buf, body, app, &cards, cursor);
            let rest = Rect { y: body.y + used, height: body.height.saturating_sub(used), ..body };
            draw_traces(buf, rest, app);
        }
    }
}

/// Returns the text of the field under the cursor.
pub fn field(app: &App) -> Option<String> {
    let row = app.selected_row()?;
    let cards = cards(app, row);
    let mut fields = cards.iter().flat_map(|card| card.fields.iter().map(move |field| (card.title, field)));
    let (title, (label, value)) = fields.nth(app.scroll[Tab::Details.place()])?;
    // What happened says little without its time.
    Some(if title == STORY { format!("{label} {value}") } else { value.clone() })
}

fn draw_head(buf: &mut Buffer, area: Rect, app: &App, row: &Row) {
    let look = app.look(area.width);
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    let ends = column::ends(row, &look, usize::from(area.width).saturating_sub(2));
    strip.left(9, [app.run(Role::Strong, ends)]);
    strip.left(8, [app.run(Role::Plain, format!("{} {}", column::protocol(row), row.state_text()))]);
    let facts = row
        .app
        .as_ref()
        .map_or(String::new(), |app| application::application(app, row.ports, 1 - row.roles.initiator()));
    if !facts.is_empty() {
        strip.left(6, [app.run(Role::Accent, text::clip(&facts, 60, app.setup.signs.ellipsis))]);
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

/// Draws the cards side by side: connection and owner on the left, application and transport on the right;
/// below them the charts, and what is as long as it likes. What has no room is scrolled to.
fn draw_beside(buf: &mut Buffer, area: Rect, app: &App, cards: &[Card], cursor: usize) {
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
    draw_traces(buf, rest, app);
    draw_placed(buf, Rect { y: rest.bottom(), height: free - charts, ..area }, app, &others, cursor);
}

/// Draws the cards below each other, scrolled so that the cursor is seen.
fn draw_below(buf: &mut Buffer, area: Rect, app: &App, cards: &[Card], cursor: usize) -> u16 {
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
    lines.len().saturating_sub(top).min(area.height.into()) as u16
}

fn title(app: &App, title: &'static str) -> Strip {
    let mut rule = overview::rule(app);
    rule.left(9, [app.run(Role::Strong, title)]);
    rule
}

/// Cells of the labels of most cards, and of the longest ones: names of facts.
const LABEL: u16 = 15;
const LONG_LABEL: u16 = 20;

impl Card {
    fn new(title: &'static str, fields: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { title, fields: fields.into_iter().map(|(label, value)| (label.into(), value)).collect() }
    }

    /// Returns its lines, with its title.
    fn lines(&self) -> u16 {
        self.fields.len() as u16 + 1
    }

    /// Returns the cells of its labels, a blank behind them.
    fn label_cells(&self) -> u16 {
        let longest = self.fields.iter().map(|(label, _)| text::width(label)).max().unwrap_or(0);
        (longest as u16 + 1).clamp(LABEL, LONG_LABEL)
    }
}

fn draw_field(buf: &mut Buffer, area: Rect, app: &App, card: &Card, (label, value): &Field, selected: bool) {
    let theme = &app.setup.theme;
    let behind = card.label_cells();
    let label = text::clip(label, usize::from(behind) - 1, app.setup.signs.ellipsis);
    buf.set_stringn(area.x + 1, area.y, &*label, behind.into(), theme.style(Role::Dim));
    let room = usize::from(area.width.saturating_sub(behind + 2));
    let value = text::clip(value, room, app.setup.signs.ellipsis);
    buf.set_stringn(area.x + 1 + behind, area.y, &*value, room, theme.style(Role::Plain));
    if selected {
        buf.set_style(area, theme.band());
    }
}

fn draw_traces(buf: &mut Buffer, area: Rect, app: &App) {
    // A rule, a line of the chart, and the one of time.
    if area.height < 3 {
        return;
    }
    let is_low = area.height < 8;
    for (which, name) in [(0, "Down"), (1, "Up")] {
        // Below each other, and where there are few lines beside each other.
        let place = match (is_low, which as u16) {
            (false, 0) => Rect { height: area.height / 2, ..area },
            (false, _) => Rect { y: area.y + area.height / 2, height: area.height.div_ceil(2), ..area },
            (true, 0) => Rect { width: area.width / 2 - 1, ..area },
            (true, _) => Rect { x: area.x + area.width / 2, width: area.width - area.width / 2, ..area },
        };
        let parts = app.trace.parts(which, usize::from(place.width.saturating_sub(10)));
        let (mean, peak) = app.trace.mean_and_peak(which, SECONDS);
        let now = app.trace.now(which);
        let dot = app.setup.signs.dot;
        let mut rule = title(app, name);
        // Of a file that can be read again the packets' time tells all of it.
        let span = if app.can_step() { "60 s" } else { "since selected, 60 s" };
        let [now, mean, peak_rate] = [now, mean, peak].map(|rate| app.rate(rate));
        let forms = [
            format!("now {now} {dot} mean {mean} {dot} peak {peak_rate} {dot} {span}"),
            format!("now {now} {dot} mean {mean} {dot} peak {peak_rate}"),
            format!("now {now} {dot} peak {peak_rate}"),
            format!("now {now}"),
        ];
        rule.right_in_forms(5, forms.map(|text| vec![app.run(Role::Dim, text)]));
        if app.can_step() && !app.plays() && !is_low {
            rule.left(4, [app.run(Role::Dim, "; plays the file along")]);
        }
        rule.draw(buf, Rect { height: 1, ..place });
        let below = Rect { y: place.y + 1, height: place.height - 1, ..place };
        chart::draw(buf, below, app, &parts, "60 s", &format::compact(peak, format::Digits::Three));
    }
}

/// Returns whether two cards share a screen that has little room for them.
fn is_narrow(app: &App) -> bool {
    (100..116).contains(&app.screen_width)
}

fn or_none(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into())
}

fn cards(app: &App, row: &Row) -> Vec<Card> {
    // In the order in which they are dealt out to left and right.
    let mut cards = vec![
        connection(app, row),
        application_card(app, row),
        owner(app, row),
        transport(app, row),
        Card { title: STORY, fields: story(app, row) },
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

/// Returns the hardware address of the other end: what ARP said, or what this host has found out for itself.
fn hardware_address(app: &App, row: &Row) -> Option<String> {
    let app_of_arp = row.app.as_ref().filter(|_| row.key.kind & kind::ARP != 0);
    let told = app_of_arp.and_then(|spoken| spoken.first(Fact::ArpMac));
    told.map(|mac| text::escape(&String::from_utf8_lossy(mac)).into_owned())
        .or_else(|| app.neighbour_of(row.addresses[row.remote()]))
}

/// The title of what happened.
const STORY: &str = "What happened";

/// Returns what is known with its time, newest first: the first packet, a state that is final, what changed while the
/// row was the selected one.
fn story(app: &App, row: &Row) -> Vec<Field> {
    let wall = app.look(200).wall;
    let remote = row.remote();
    let mut lines: Vec<(Stamp, String)> = Vec::new();
    if let Some(app) = &row.app {
        lines.extend(app.names.of(remote).iter().map(|known| {
            let name = String::from_utf8_lossy(&known.name);
            (known.seen, format!("{} answer: {} is the remote end", known.source.text(), text::escape(&name)))
        }));
    }
    if let Some(owner) = &row.owner
        && let Some(at) = owner.started.filter(|at| row.first.since(*at) < DAY)
    {
        lines.push((at, format!("{} started", text::escape(&owner.name))));
    }
    lines.push((row.first, first_packet(row)));
    lines.extend(app.changes_of(row.id).map(|(at, what)| (*at, text::escape(what).into_owned())));
    // The lifetime of what is over runs from entering that state.
    let was_seen = app.changes_of(row.id).any(|(_, what)| what.starts_with(row.state_text()));
    if row.state.is_over() && row.end.is_none() && !was_seen {
        lines.push((Stamp(wall.0.saturating_sub(row.silence.0)), format!("became {}", row.state_text())));
    }
    if let Some((at, reason)) = end(app, row) {
        lines.push((at, format!("ended{}", table::why(reason))));
    }
    lines.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let line = |(at, what): (Stamp, String)| {
        let offset = (app.setup.utc_offset)(at);
        let time =
            if wall.since(at) < DAY { format::clock(at, offset) } else { format::date_time(at, offset) };
        let ms = at.0 / 1_000_000 % 1000;
        (format!("{time}.{ms:03}").into(), what)
    };
    lines.into_iter().map(line).collect()
}

/// Returns what the first packet was, as far as it is known.
fn first_packet(row: &Row) -> String {
    let from = row.roles.initiator();
    let from = text::endpoint(row.addresses[from], column::port(row, from));
    let is_tcp = row.key.proto == proto::TCP && row.key.kind & kind::ARP == 0;
    let opened = row.roles.evidence() == Evidence::Handshake as u8;
    match (is_tcp, opened, row.rtt_handshake) {
        (true, true, Some(rtt)) => format!("SYN from {from}   the handshake took {}", format::span(rtt)),
        (true, true, None) => format!("first packet; {from} opened it"),
        (true, false, _) => "first packet that was seen; it was open before".into(),
        (false, ..) => format!("first packet, from {from}"),
    }
}

/// Returns when a row ended and why, if it has.
fn end(app: &App, row: &Row) -> Option<(Stamp, Option<EndReason>)> {
    let gone = app.gone().filter(|kept| kept.row.id == row.id).and_then(|kept| kept.ended);
    gone.or_else(|| Some((table::end_of(row)?, row.end)))
}

fn connection(app: &App, row: &Row) -> Card {
    let look = app.look(200);
    let clock = |at| format::date_time(at, (app.setup.utc_offset)(at));
    let family = if row.key.kind & kind::V6 != 0 { "IPv6" } else { "IPv4" };
    let interfaces = app.view.iter().flat_map(|v| v.sources.first()).flat_map(|s| &s.interfaces);
    let interface =
        interfaces.into_iter().nth(row.iface.0.into()).map(|i| text::escape(&i.name).into_owned());
    let direction = match row.direction() {
        Direction::Out => "outgoing: this host opened it",
        Direction::In => "incoming: the other side opened it",
        Direction::Forwarded => "neither end is this host; Local opened it",
    };
    // What leaves the list in silence leaves it then: an active row gets no longer.
    let life = row.state.expires_after();
    let left = match end(app, row) {
        Some((at, reason)) => format!("ended {}{}", clock(at), table::why(reason)),
        None => {
            let bar = bars::progress(row.left().0, life.0, 10, &app.setup.signs);
            format!("{} left of {}  {bar}", format::countdown(row.left()), format::countdown(life))
        }
    };
    let address = |end: usize| text::endpoint(row.addresses[end], column::port(row, end));
    Card::new(
        "Connection",
        [
            ("Protocol", format!("{} over {family}", column::protocol(row))),
            ("Local", address(row.local())),
            ("Remote", address(row.remote())),
            ("Direction", direction.into()),
            ("State", row.state_text().into()),
            ("Opened", moment(app, row.first)),
            ("Last packet", moment(app, row.last)),
            ("Lifetime", left),
            ("Service", or_none(Some(column::service(row, &look).into_owned()))),
            ("Interface", or_none(interface)),
            ("VLAN", or_none(row.vlan.map(|vlan| vlan.to_string()))),
            ("MAC", or_none(hardware_address(app, row))),
        ],
    )
}

fn application_card(app: &App, row: &Row) -> Card {
    let first = |fact: Fact| {
        row.app
            .as_ref()
            .and_then(|app| app.first(fact))
            .map(|v| text::escape(&String::from_utf8_lossy(v)).into_owned())
    };
    let all = |fact: Fact| {
        let values = row.app.iter().flat_map(|app| app.values(fact));
        let texts: Vec<_> = values.map(|v| text::escape(&String::from_utf8_lossy(v)).into_owned()).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let both = |a: Option<String>, b: Option<String>| match (a, b) {
        (Some(a), Some(b)) => Some(format!("{a}   {b}")),
        (a, b) => a.or(b),
    };
    let label = row.app.as_ref().and_then(|app| application::label(app, row.ports)).map(str::to_owned);
    let chosen = first(Fact::AlpnSelected).map(|p| format!("chosen {p}"));
    let offered = all(Fact::Alpn).map(|p| format!("offered {p}"));
    Card::new(
        "Application",
        [
            ("Protocol", or_none(label)),
            ("Name", or_none(first(Fact::Sni).or(first(Fact::HttpHost)))),
            ("Names", or_none(names(app, row))),
            ("ALPN", or_none(both(offered, chosen))),
            (
                "Version",
                or_none(first(Fact::TlsVersion).or(all(Fact::QuicVersion)).or(first(Fact::HttpVersion))),
            ),
            ("Cipher", or_none(both(first(Fact::TlsCipher), first(Fact::TlsCipherStrength)))),
            ("Fingerprint", or_none(first(Fact::Ja4).map(|ja4| format!("JA4 {ja4}")))),
            ("Certificate", or_none(all(Fact::CertName))),
            ("Request", or_none(both(all(Fact::HttpMethod), all(Fact::HttpPath)).or(all(Fact::DnsQuery)))),
            ("Answer", or_none(all(Fact::HttpStatus).or(all(Fact::DnsAddress)).or(all(Fact::DnsRcode)))),
            ("Agent", or_none(all(Fact::HttpUserAgent).or(first(Fact::SshClient)))),
            ("Server", or_none(first(Fact::HttpServer).or(first(Fact::SshServer)))),
        ],
    )
}

/// Returns what answers called the remote end before, each with source and age.
fn names(app: &App, row: &Row) -> Option<String> {
    let wall = app.look(200).wall;
    let names = row.app.as_ref()?.names.of(row.remote()).iter().map(|known| {
        let name = String::from_utf8_lossy(&known.name);
        let age = format::span(wall.since(known.seen));
        format!("~{}   {} answer, {age} ago", text::escape(&name), known.source.text())
    });
    Some(names.collect::<Vec<_>>().join("   "))
}

fn owner(app: &App, row: &Row) -> Card {
    let owner = row.owner.as_ref();
    let safe = |text: &str| text::escape(text).into_owned();
    let user = owner.and_then(|o| match (&o.user, o.uid) {
        (Some(user), Some(uid)) => Some(format!("{} ({uid})", safe(user))),
        (Some(user), None) => Some(safe(user)),
        (None, uid) => uid.map(|uid| uid.to_string()),
    });
    let parents = owner.map(|o| {
        let names = o.parents.iter().rev().map(|(pid, name)| format!("{}({pid})", safe(name)));
        names.collect::<Vec<_>>().join(" > ")
    });
    Card::new(
        "Owner",
        [
            ("Process", column::process(row, &app.look(200), usize::MAX).into_owned()),
            ("Command", or_none(owner.and_then(|o| o.command.as_deref().map(safe)))),
            ("Executable", or_none(owner.and_then(|o| o.exe.as_deref().map(safe)))),
            ("User", or_none(user)),
            ("Parents", or_none(parents)),
            ("Started", or_none(owner.and_then(|o| o.started).map(|at| moment(app, at)))),
            ("Container", or_none(owner.and_then(|o| o.container.as_deref().map(safe)))),
            ("Cgroup", or_none(owner.and_then(|o| o.cgroup.as_deref().map(safe)))),
            ("Namespace", or_none(owner.and_then(|o| o.netns).map(|netns| format!("net:[{netns}]")))),
            ("Certainty", or_none(owner.map(|o| o.quality.key().to_owned()))),
        ],
    )
}

fn transport(app: &App, row: &Row) -> Card {
    let (down, up) = row.down_up();
    let [from_remote, from_local] = [row.remote(), row.local()];
    let two = |a: String, b: String| match (app.setup.signs.down, app.setup.signs.up) {
        // Where two cards share a narrow screen, both numbers have less room.
        (down, up) if is_narrow(app) => format!("{down}{a:>14}  {up}{b:>14}"),
        (down, up) => format!("{down} {a:>16}   {up} {b:>16}"),
    };
    let counts =
        |numbers: [u64; 2]| two(format::grouped(numbers[from_remote]), format::grouped(numbers[from_local]));
    let tcp = |numbers: [u32; 2]| match row.key.proto {
        proto::TCP => {
            let share = |end: usize| {
                let share = format::percent(numbers[end].into(), row.packets[end]);
                format!("{} ({share})", format::grouped(numbers[end].into()))
            };
            two(share(from_remote), share(from_local))
        }
        _ => "-".into(),
    };
    let rtt = |name: &str, rtt: Option<crate::base::time::Nanos>| {
        rtt.map(|rtt| format!("{} {name}", format::span(rtt)))
    };
    let data = if row.is_sampled { "data, sampled" } else { "data" };
    let rtts = [rtt("handshake", row.rtt_handshake), rtt(data, row.rtt_data)];
    let rtts: Vec<_> = rtts.into_iter().flatten().collect();
    Card::new(
        "Transport health",
        [
            ("Bytes", counts(row.bytes)),
            ("Packets", counts(row.packets)),
            ("Rate", two(app.rate(down.into()), app.rate(up.into()))),
            ("Retransmits", tcp(row.retransmits)),
            ("Out of order", tcp(row.out_of_order)),
            ("RTT", or_none((!rtts.is_empty()).then(|| rtts.join("   ")))),
        ],
    )
}
