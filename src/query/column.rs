//! The one table of columns: header, from which width of the screen it is shown, how wide it may
//! be, and how a cell is made from a row.

use std::borrow::Cow;

use crate::{
    base::time::Stamp,
    packet::key::{FlowKey, export_name, kind, proto},
    query::{
        application,
        format::{self, Digits},
        signs::Signs,
        text,
        whose::{Unowned, Whose},
    },
    snapshot::row::Row,
};

/// Which side of a column its text is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Gives the registered name of a port of a protocol (IANA numbers).
pub type ServiceName = fn(proto: u8, port: u16) -> Option<&'static str>;

/// What cells depend on besides their row.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The signs to use.
    pub signs: Signs,
    /// Significant digits of rates.
    pub digits: Digits,
    /// Names of services; without it their numbers are shown.
    pub services: Option<ServiceName>,
    /// Nobody looks for processes: the rows come from a file, which knows none, or it is off.
    pub no_owners: bool,
    /// Wall time of the rows' epoch.
    pub wall: Stamp,
    /// Bits instead of bytes a second.
    pub bits: bool,
}

/// One column.
#[derive(Debug)]
pub struct Column {
    /// What the program calls it.
    pub id: ColumnId,
    /// The header, and a shorter one for narrow columns.
    pub header: &'static str,
    /// See `header`.
    pub short: &'static str,
    /// Width of the screen in cells from which the column is shown.
    pub shown_from: u16,
    /// Cells it has at least, unless somebody makes it narrower.
    pub min: u16,
    /// Cells below which it cannot be made narrower: ports and states are never cut.
    pub least: u16,
    /// Cells it takes at most for what stands in it.
    pub max: u16,
    /// How much of the width that is left over goes to it, relative to the others.
    pub share: u16,
    /// Which side its text is on.
    pub align: Align,
    /// Makes the text of a cell, in at most so many cells where it can be shortened with sense.
    pub cell: fn(&Row, &Look, usize) -> Cow<'static, str>,
}

/// Names the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as their headers")]
pub enum ColumnId {
    Protocol,
    Local,
    Remote,
    State,
    Service,
    Application,
    Bandwidth,
    Rtt,
    Age,
    Total,
    Retransmits,
    Left,
    User,
    Process,
}

const WIDE: u16 = u16::MAX;

/// All columns, in the order in which they stand.
pub const COLUMNS: &[Column] = &[
    Column {
        id: ColumnId::Protocol,
        header: "Pro",
        short: "Pro",
        shown_from: 40,
        min: 4,
        least: 4,
        max: 5,
        share: 100,
        align: Align::Left,
        cell: |row, _, _| protocol(row),
    },
    Column {
        id: ColumnId::Local,
        header: "Local Address",
        short: "Local",
        shown_from: 104,
        min: 14,
        least: 10,
        max: WIDE,
        share: 1,
        align: Align::Left,
        cell: |row, look, max| end(row, row.local(), look, max).into(),
    },
    Column {
        id: ColumnId::Remote,
        header: "Remote Address",
        short: "Remote",
        shown_from: 40,
        min: 16,
        least: 12,
        max: WIDE,
        share: 3,
        align: Align::Left,
        cell: |row, look, max| {
            let sign = look.signs.direction(row.direction());
            format!("{sign} {}", end(row, row.remote(), look, max.saturating_sub(2))).into()
        },
    },
    Column {
        id: ColumnId::State,
        header: "State",
        short: "State",
        shown_from: 80,
        // The longest state (`AUTHENTICATION`, `QUIC_CONNECTED`): never cut, never moving.
        min: 14,
        least: 14,
        max: 14,
        share: 0,
        align: Align::Left,
        cell: |row, _, _| row.state_text().into(),
    },
    Column {
        id: ColumnId::Service,
        header: "Service",
        short: "Service",
        shown_from: 120,
        min: 7,
        least: 4,
        max: 12,
        share: 1,
        align: Align::Left,
        cell: |row, look, _| service(row, look),
    },
    Column {
        id: ColumnId::Application,
        header: "Application / Host",
        short: "Application",
        shown_from: 80,
        min: 11,
        least: 6,
        max: WIDE,
        share: 4,
        align: Align::Left,
        cell: |row, look, max| match &row.app {
            Some(app) => {
                let called = 1 - row.roles.initiator();
                application::within(app, row.ports, called, (max, look.signs.ellipsis)).into()
            }
            None => "".into(),
        },
    },
    Column {
        id: ColumnId::Bandwidth,
        header: "Down/Up",
        short: "Down/Up",
        shown_from: 40,
        min: 9,
        least: 9,
        max: 11,
        share: 100,
        align: Align::Right,
        cell: |row, look, _| bandwidth(row, look).into(),
    },
    Column {
        id: ColumnId::Rtt,
        header: "RTT",
        short: "RTT",
        shown_from: 160,
        min: 8,
        least: 8,
        max: 8,
        share: 0,
        align: Align::Right,
        cell: |row, _, _| {
            row.rtt_data.or(row.rtt_handshake).map_or("-".into(), |rtt| format::span(rtt).into())
        },
    },
    Column {
        id: ColumnId::Age,
        header: "Age",
        short: "Age",
        shown_from: 160,
        min: 9,
        least: 9,
        max: 9,
        share: 0,
        align: Align::Right,
        cell: |row, look, _| format::span(row.age(look.wall)).into(),
    },
    Column {
        id: ColumnId::Total,
        header: "Total",
        short: "Total",
        shown_from: 160,
        min: 7,
        least: 7,
        max: 7,
        share: 0,
        align: Align::Right,
        cell: |row, _, _| format::bytes(row.bytes[0].saturating_add(row.bytes[1])).into(),
    },
    Column {
        id: ColumnId::Retransmits,
        header: "Retr",
        short: "Retr",
        shown_from: 200,
        min: 5,
        least: 5,
        max: 5,
        share: 0,
        align: Align::Right,
        cell: |row, look, _| match row.key.proto {
            proto::TCP => {
                let sum: f64 = row.retransmits.iter().map(|n| f64::from(*n)).sum();
                if sum < 1.0 { "0".into() } else { format::compact(sum, look.digits).into() }
            }
            _ => "-".into(),
        },
    },
    Column {
        id: ColumnId::Left,
        header: "Left",
        short: "Left",
        shown_from: 200,
        min: 5,
        least: 5,
        max: 5,
        share: 0,
        align: Align::Right,
        cell: |row, _, _| match row.end {
            Some(_) => "-".into(),
            None => format::countdown(row.left()).into(),
        },
    },
    Column {
        id: ColumnId::User,
        header: "User",
        short: "User",
        shown_from: 200,
        min: 8,
        least: 4,
        max: 12,
        share: 1,
        align: Align::Left,
        cell: |row, _, _| user(row),
    },
    Column {
        id: ColumnId::Process,
        header: "Process",
        short: "Process",
        shown_from: 40,
        // Most names, or their beginnings; and a pid of seven digits with the sign of doubt.
        min: 12,
        least: 8,
        max: WIDE,
        share: 2,
        align: Align::Left,
        cell: process,
    },
];

/// Returns whose the connection is in at most `max` cells: the name is cut, never its pid.
///
/// `name (pid)`; a trailing `?` where that is not certain; `[name]` where it is the kernel's short one.
/// Without a process `? uid 1001`, `kernel`, `forwarded`, `link-local`, `?`, or `n/a` where nobody looks.
pub fn process(row: &Row, look: &Look, max: usize) -> Cow<'static, str> {
    let owner = match row.owner.as_deref() {
        Some(owner) if !look.no_owners => owner,
        _ => {
            let is_ours = row.roles.is_local(0) || row.roles.is_local(1);
            return Unowned::of(look.no_owners, is_ours).text().into();
        }
    };
    let (name, pid) = match Whose::of(owner) {
        Whose::Process(name, pid) => (text::escape(name), pid),
        other => return text::escape(&other.to_string()).into_owned().into(),
    };
    let name = match name {
        name if owner.name_is_comm && !name.is_empty() => format!("[{name}]").into(),
        name => name,
    };
    let doubt = if owner.quality.is_certain() { "" } else { "?" };
    let tail = format!(" ({pid}){doubt}");
    match max.checked_sub(tail.len()) {
        Some(room) if !name.is_empty() && (room >= 2 || text::width(&name) <= room) => {
            format!("{}{tail}", text::clip(&name, room, look.signs.ellipsis)).into()
        }
        // Where a name has no room its process is told all the same.
        _ if max >= tail.len() - 1 => tail.trim_start().to_owned().into(),
        _ => format!("{pid}{doubt}").into(),
    }
}

/// Returns the text of the `Pro` column: a name, or the protocol's number.
pub fn protocol(row: &Row) -> Cow<'static, str> {
    protocol_of(&row.key)
}

/// Returns the text of the `Pro` column of flows with this key.
pub fn protocol_of(key: &FlowKey) -> Cow<'static, str> {
    if key.kind & kind::ARP != 0 {
        return "ARP".into();
    }
    match key.proto {
        proto::TCP => "TCP".into(),
        proto::UDP => "UDP".into(),
        proto::ICMP => "ICMP".into(),
        proto::ICMPV6 => "ICMP6".into(),
        proto::SCTP => "SCTP".into(),
        proto::IGMP => "IGMP".into(),
        proto::GRE => "GRE".into(),
        proto::ESP => "ESP".into(),
        number => number.to_string().into(),
    }
}

/// Returns whether one of the names of these flows' protocol holds: the text of the `Pro` column, or that in exports.
pub fn holds_of_protocol(key: &FlowKey, mut holds: impl FnMut(&[u8]) -> bool) -> bool {
    let column = protocol_of(key);
    if holds(column.as_bytes()) {
        return true;
    }
    match export_name(key) {
        Some(name) => *column != *name && holds(name.as_bytes()),
        None => holds(format!("IP-{}", key.proto).as_bytes()),
    }
}

/// Returns one end of a row in at most `max` cells.
pub fn end(row: &Row, end: usize, look: &Look, max: usize) -> String {
    text::endpoint_within(row.addresses[end], port(row, end), max, look.signs.ellipsis)
}

/// Returns both ends of a row with the sign between them, in at most `max` cells: half for each end, and what a short
/// one leaves for the other.
pub fn ends(row: &Row, look: &Look, max: usize) -> String {
    let sign = look.signs.direction(row.direction());
    let room = max.saturating_sub(" < ".len());
    let of_remote = text::width(&end(row, row.remote(), look, room));
    let local = end(row, row.local(), look, room - of_remote.min(room / 2));
    let remote = end(row, row.remote(), look, room - text::width(&local).min(room));
    format!("{local} {sign} {remote}")
}

/// Returns the port of one end, `None` where the protocol has none or none was seen.
pub fn port(row: &Row, end: usize) -> Option<u16> {
    let has_ports = row.key.kind & kind::ARP == 0 && proto::has_ports(row.key.proto);
    (has_ports && row.ports != [0, 0]).then_some(row.ports[end])
}

/// Returns the service: that of the port that was called, by name or number.
pub fn service(row: &Row, look: &Look) -> Cow<'static, str> {
    let Some(called) = port(row, 1 - row.roles.initiator()) else { return "".into() };
    match look.services.and_then(|name| name(row.key.proto, called)) {
        Some(name) => name.into(),
        None => called.to_string().into(),
    }
}

/// Returns the container, else the user.
fn user(row: &Row) -> Cow<'static, str> {
    let Some(owner) = &row.owner else { return "".into() };
    match (owner.container.as_ref().or(owner.user.as_ref()), owner.uid) {
        (Some(name), _) => text::escape(name).into_owned().into(),
        (None, Some(uid)) => uid.to_string().into(),
        (None, None) => "".into(),
    }
}

fn bandwidth(row: &Row, look: &Look) -> String {
    let (down, up) = row.down_up();
    let scale = if look.bits { 8.0 } else { 1.0 };
    let [down, up] = [down, up].map(|rate| format::compact(f64::from(rate) * scale, look.digits));
    match look.digits {
        Digits::Three => format!("{down:>5}/{up:>5}"),
        Digits::Two => format!("{down:>4}/{up:>4}"),
    }
}

/// Returns whether a row's rate only fades: nothing came in the last second.
pub fn is_fading(row: &Row) -> bool {
    let (down, up) = row.down_up();
    row.silence.0 > 1_000_000_000 && (down >= 1.0 || up >= 1.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        process::owner::{Owner, Quality},
        query::signs::Signs,
        snapshot::sample,
    };

    #[test]
    fn so11_a_name_is_cut_and_never_its_pid() {
        let look = Look {
            signs: Signs::UNICODE,
            digits: Digits::Two,
            services: None,
            no_owners: false,
            wall: Stamp(0),
            bits: false,
        };
        let end = |n: u8| ([10, 0, 0, n].into(), 443);
        let mut row = Row::from_record(&sample::record([end(1), end(2)], 6));
        let mut cell = |name: &str, pid, certain: bool, max| {
            let quality = if certain { Quality::default() } else { Quality::Listener };
            let owner = Owner { name: name.into(), pid: Some(pid), quality, ..Owner::default() };
            row.owner = Some(Arc::new(owner));
            process(&row, &look, max).into_owned()
        };
        for (name, pid, certain, max, expected) in [
            ("nginx", 1211, true, 20, "nginx (1211)"),
            ("nginx", 1211, false, 13, "nginx (1211)?"),
            ("nginx", 1211, true, 11, "ngi… (1211)"),
            ("nginx", 1211, true, 9, "n… (1211)"),
            ("nginx", 1211, true, 8, "(1211)"),
            ("nginx", 1211, false, 8, "(1211)?"),
            ("x", 1211, true, 8, "x (1211)"),
            ("nginx", 31001, false, 8, "(31001)?"),
            ("nginx", 4_194_304, true, 8, "4194304"),
            ("nginx", 4_194_304, false, 8, "4194304?"),
            ("網路", 1211, true, 10, "網… (1211)"),
            ("網路", 1211, true, 9, "… (1211)"),
        ] {
            assert_eq!(cell(name, pid, certain, max), expected, "{name} {pid} in {max}");
        }
    }
}
