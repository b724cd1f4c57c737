//! By what rows can be sorted (one table), and the number that a row sorts by.

use std::fmt::Write as _;

use crate::{
    base::time::{Nanos, Tick},
    dpi::{fact::Fact, service::Service},
    packet::key::proto,
    query::{
        application,
        column::{self, ColumnId},
        filter::eval::Surroundings,
        labels::{self, Labels},
    },
    snapshot::flow_view::FlowView,
};

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table below says what they are")]
pub enum SortBy {
    #[default]
    Created,
    Protocol,
    Local,
    Remote,
    State,
    Service,
    Application,
    Down,
    Up,
    Process,
    Rtt,
    Age,
    Total,
    Retransmits,
    Left,
}

/// One thing to sort by.
#[derive(Debug)]
pub struct SortRow {
    /// What it is.
    pub by: SortBy,
    /// Its name for `--sort`.
    pub name: &'static str,
    /// Its name in the title.
    pub title: &'static str,
    /// The column that shows it.
    pub column: Option<ColumnId>,
    /// Whether the largest come first at first.
    pub descending: bool,
    /// Whether the key `s` comes by it.
    pub in_turn: bool,
}

const fn row(
    by: SortBy,
    name: &'static str,
    title: &'static str,
    column: ColumnId,
    descending: bool,
    in_turn: bool,
) -> SortRow {
    SortRow { by, name, title, column: Some(column), descending, in_turn }
}

/// Everything to sort by, in the order of the key `s`.
pub const SORTS: &[SortRow] = &[
    SortRow {
        by: SortBy::Created,
        name: "created",
        title: "",
        column: None,
        descending: false,
        in_turn: true,
    },
    row(SortBy::Protocol, "protocol", "Protocol", ColumnId::Protocol, false, true),
    row(SortBy::Local, "local", "Local Addr", ColumnId::Local, false, true),
    row(SortBy::Remote, "remote", "Remote Addr", ColumnId::Remote, false, true),
    row(SortBy::State, "state", "State", ColumnId::State, false, true),
    row(SortBy::Service, "service", "Service", ColumnId::Service, false, true),
    row(SortBy::Application, "application", "Application", ColumnId::Application, false, true),
    row(SortBy::Down, "down", "Down", ColumnId::Bandwidth, true, true),
    row(SortBy::Up, "up", "Up", ColumnId::Bandwidth, true, true),
    row(SortBy::Process, "process", "Process", ColumnId::Process, false, true),
    row(SortBy::Rtt, "rtt", "RTT", ColumnId::Rtt, true, false),
    row(SortBy::Age, "age", "Age", ColumnId::Age, true, false),
    row(SortBy::Total, "total", "Total", ColumnId::Total, true, false),
    row(SortBy::Retransmits, "retransmits", "Retransmits", ColumnId::Retransmits, true, false),
    row(SortBy::Left, "left", "Left", ColumnId::Left, false, false),
];

/// What rows are sorted by, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// The largest come first.
    pub descending: bool,
}

impl SortBy {
    /// Returns the row of the table.
    pub fn row(self) -> &'static SortRow {
        SORTS.iter().find(|row| row.by == self).unwrap_or(&SORTS[0])
    }

    /// Returns whether it is a rate.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::Down | Self::Up)
    }
}

impl Sort {
    /// Returns the sort with its usual direction.
    pub fn by(by: SortBy) -> Self {
        Self { by, descending: by.row().descending }
    }

    /// Returns what comes after it with the key `s`.
    pub fn next(self) -> Self {
        let turn = SORTS.iter().filter(|row| row.in_turn);
        let mut behind = turn.clone().skip_while(|row| row.by != self.by).skip(1);
        Self::by(behind.next().or(SORTS.first()).map_or(SortBy::Created, |row| row.by))
    }

    /// Returns it the other way round.
    pub fn flipped(self) -> Self {
        Self { descending: !self.descending, ..self }
    }
}

/// Where a row stands among all: compared part by part. Rows with the same key are told apart by
/// their addresses and ids.
pub type Key = [u64; 2];

/// Makes keys.
#[derive(Default)]
pub struct Keyer {
    labels: Labels,
    /// Ranks of the services of TCP ports and of all others.
    services: Option<Box<[Vec<u32>; 2]>>,
    text: String,
    /// States that were asked for, by the place of their text.
    states: Vec<(usize, u64)>,
    base: Tick,
}

impl Keyer {
    /// Returns a number that changes when keys made before are void.
    pub fn generation(&self) -> u64 {
        self.labels.generation()
    }

    /// Sets the time that times left are counted from.
    pub fn set_base(&mut self, now: Tick) {
        self.base = now;
        self.states.clear();
    }

    /// Returns the key of a flow.
    pub fn key(&mut self, sort: Sort, flow: &FlowView, around: &Surroundings) -> Key {
        let first = flow.facts.first.0;
        if sort.by == SortBy::Created {
            return if sort.descending { [!first, 0] } else { [first, 0] };
        }
        let (down, up) = flow.down_up();
        let value = match sort.by {
            SortBy::Created => first,
            SortBy::Protocol => packed(column::protocol_of(&flow.hot.key).as_bytes()),
            SortBy::Local => self.end(flow, flow.local()),
            SortBy::Remote => self.end(flow, flow.remote()),
            SortBy::State => self.state(flow.state_text()),
            SortBy::Service => self.service(flow, around),
            SortBy::Application => self.application(flow),
            SortBy::Process => self.process(flow),
            // Floats above 0 sort as their bits do.
            SortBy::Down => u64::from(down.max(0.0).to_bits()),
            SortBy::Up => u64::from(up.max(0.0).to_bits()),
            SortBy::Rtt => flow.rtt().map_or(0, |rtt| rtt.0),
            SortBy::Age => !first,
            SortBy::Total => flow.bytes(),
            SortBy::Retransmits => flow.retransmits(),
            SortBy::Left => {
                let margin = Tick::span(Nanos::from_secs(86_400));
                u64::from(flow.gone_at().0.wrapping_sub(self.base.0).wrapping_add(margin))
            }
        };
        [if sort.descending { !value } else { value }, first]
    }

    /// IPv4 and mapped addresses before IPv6, then the port.
    fn end(&mut self, flow: &FlowView, end: usize) -> u64 {
        let port = u64::from(flow.hot.key.ports[end]);
        if let Some(ends) = flow.v4() {
            return u64::from(ends[end]) << 16 | port;
        }
        let address = flow.ends[end];
        if address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] {
            let v4 = u32::from_be_bytes([address[12], address[13], address[14], address[15]]);
            return u64::from(v4) << 16 | port;
        }
        // NB: case must not be folded here; hexadecimal digits have none.
        self.text.clear();
        for byte in address {
            let _ = write!(self.text, "{byte:02x}");
        }
        1 << (labels::BITS + 16) | self.labels.label(self.text.as_bytes()) << 16 | port
    }

    fn state(&mut self, text: &'static str) -> u64 {
        let place = text.as_ptr().addr();
        match self.states.iter().find(|(known, _)| *known == place) {
            Some((_, label)) => *label,
            None => {
                let label = self.labels.label(text.as_bytes());
                self.states.push((place, label));
                label
            }
        }
    }

    /// Names in their order, then what has only a number, then what has no ports.
    fn service(&mut self, flow: &FlowView, around: &Surroundings) -> u64 {
        let Some(called) = flow.port(1 - flow.hot.roles.initiator()) else { return u64::from(u32::MAX) };
        let Some(names) = around.services else { return called.into() };
        let ranks = self.services.get_or_insert_with(|| {
            Box::new([proto::TCP, proto::UDP].map(|number| {
                let name = |port| names(number, port);
                let mut all: Vec<_> = (0..=u16::MAX).filter_map(name).collect();
                all.sort_unstable();
                all.dedup();
                let rank = |port| match name(port).map(|n| all.binary_search(&n)) {
                    Some(Ok(rank)) => rank as u32,
                    _ => 0x10_0000 + u32::from(port),
                };
                (0..=u16::MAX).map(rank).collect()
            }))
        });
        u64::from(ranks[usize::from(flow.hot.key.proto != proto::TCP)][usize::from(called)])
    }

    /// Label and fact; what is unknown comes last.
    fn application(&mut self, flow: &FlowView) -> u64 {
        let Some(app) = flow.app else { return 1 << labels::BITS };
        // The usual case without making the column's text.
        self.text.clear();
        let named = matches!(app.service, Some(Service::Tls | Service::Quic));
        if let (true, Some(label), Some(name)) =
            (named, application::label(app, flow.hot.key.ports), app.first(Fact::Sni))
        {
            self.text.push_str(label);
            self.text.push(' ');
            match std::str::from_utf8(name) {
                Ok(name) => self.text.push_str(name),
                Err(_) => self.text.push_str(&String::from_utf8_lossy(name)),
            }
        } else {
            self.text = application::application(app, flow.hot.key.ports, 1 - flow.hot.roles.initiator());
        }
        if self.text.is_empty() { 1 << labels::BITS } else { self.labels.label(self.text.as_bytes()) }
    }

    /// Name, then number; what is unknown comes last.
    fn process(&mut self, flow: &FlowView) -> u64 {
        let Some(owner) = flow.owner else { return 1 << labels::BITS };
        self.text.clear();
        let name = if owner.is_kernel { "kernel" } else { &owner.name };
        if name.is_empty() {
            return (1 << labels::BITS) - 1;
        }
        let _ = write!(self.text, "{name} ({:>10})", owner.pid.unwrap_or(0));
        self.labels.label(self.text.as_bytes())
    }
}

/// The first eight bytes of a text, which sort as it does.
fn packed(text: &[u8]) -> u64 {
    text.iter().take(8).chain(std::iter::repeat(&0)).take(8).fold(0, |sum, c| sum << 8 | u64::from(*c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so1_the_key_s_goes_round() {
        let mut sort = Sort::default();
        let mut names = Vec::new();
        for _ in 0..10 {
            sort = sort.next();
            names.push((sort.by.row().title, sort.descending));
        }
        assert_eq!(
            names,
            [
                ("Protocol", false),
                ("Local Addr", false),
                ("Remote Addr", false),
                ("State", false),
                ("Service", false),
                ("Application", false),
                ("Down", true),
                ("Up", true),
                ("Process", false),
                ("", false),
            ]
        );
        assert_eq!(Sort::by(SortBy::Rtt).next(), Sort::default());
    }

    #[test]
    fn every_sort_stands_once_in_the_table() {
        for (n, row) in SORTS.iter().enumerate() {
            assert_eq!(row.by.row().name, row.name);
            assert!(SORTS[..n].iter().all(|other| other.name != row.name && other.by != row.by));
        }
    }
}
