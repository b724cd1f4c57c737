//! Rows as comma-separated values (RFC 4180), for tables and spreadsheets. One line of names, then one
//! line for each row, in the columns' own words and with exact numbers.

use std::fmt::Write as _;

use crate::{
    base::time::Stamp,
    export::text,
    packet::key::{kind, proto},
    query::{application, column, text::escape},
    snapshot::row::Row,
};

/// The names of the fields, and the first line.
pub const HEADER: &str = "protocol,local_address,local_port,remote_address,remote_port,direction,state,\
    service,application,down_bytes_per_second,up_bytes_per_second,bytes_down,bytes_up,packets_down,\
    packets_up,retransmits,rtt_us,first,last,process,pid,user,container\r\n";

/// Appends the names of the fields.
pub fn names(out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER.as_bytes());
}

/// Appends the line of a row, and before the first one the names.
pub fn line(out: &mut Vec<u8>, row: &Row) {
    if out.is_empty() {
        names(out);
    }
    let mut line = String::new();
    fields(&mut line, row);
    line.pop();
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn fields(out: &mut String, row: &Row) {
    let (local, remote) = (row.local(), row.remote());
    let (down, up) = row.down_up();
    let has_ports = row.key.kind & kind::ARP == 0 && proto::has_ports(row.key.proto);
    text_field(out, &column::protocol(row));
    for end in [local, remote] {
        number(out, row.addresses[end]);
        text_field(out, &column::port(row, end).map_or(String::new(), |port| port.to_string()));
    }
    text_field(out, row.direction().key());
    text_field(out, row.state_text());
    let service = if has_ports { column::port(row, 1 - row.roles.initiator()) } else { None };
    let service = service.and_then(|port| crate::flow::services::service_name(row.key.proto, port));
    text_field(out, service.unwrap_or(""));
    text_field(
        out,
        &row.app
            .as_ref()
            .map_or(String::new(), |app| application::application(app, row.ports, 1 - row.roles.initiator())),
    );
    for rate in [down, up] {
        number(out, rate.round());
    }
    for pair in [row.bytes, row.packets] {
        number(out, pair[remote]);
        number(out, pair[local]);
    }
    number(out, row.retransmits.iter().map(|n| u64::from(*n)).sum::<u64>());
    text_field(
        out,
        &row.rtt_data.or(row.rtt_handshake).map_or(String::new(), |rtt| (rtt.0 / 1000).to_string()),
    );
    for at in [row.first, row.last] {
        text_field(out, &stamp(at));
    }
    let owner = row.owner.as_ref();
    text_field(out, owner.map_or("", |o| &o.name));
    text_field(out, &owner.and_then(|o| o.pid).map_or(String::new(), |pid| pid.to_string()));
    text_field(out, owner.and_then(|o| o.user.as_deref()).unwrap_or(""));
    text_field(out, owner.and_then(|o| o.container.as_deref()).unwrap_or(""));
}

fn stamp(at: Stamp) -> String {
    let mut out = Vec::new();
    text::rfc3339(&mut out, at);
    String::from_utf8_lossy(&out).trim_matches('"').to_owned()
}

/// Appends a number and a comma.
pub(super) fn number(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value},");
}

/// Appends a text and a comma, quoted where it must be. Spreadsheets take what begins with these signs for a formula: a
/// quote mark before it makes it text. What could steer a terminal is escaped as it is on the screen (`\u{1b}`).
pub(super) fn text_field(out: &mut String, value: &str) {
    let is_formula = value.starts_with(['=', '+', '-', '@']);
    let needs_quotes = is_formula || value.contains(['"', ',']);
    if needs_quotes {
        out.push('"');
    }
    if is_formula {
        out.push('\'');
    }
    out.push_str(&escape(value).replace('"', "\"\""));
    if needs_quotes {
        out.push('"');
    }
    out.push(',');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{process::owner::Owner, snapshot::sample};

    #[test]
    fn k19_rows_are_lines_of_as_many_fields_as_there_are_names() {
        let end = |text: &str| -> (std::net::IpAddr, u16) { (text.parse().unwrap(), 443) };
        let mut out = Vec::new();
        for name in ["nginx", "a,b \"c\"", "=cmd|'x'", "e\u{1b}[2J"] {
            let mut row = Row::from_record(&sample::record([end("10.0.0.1"), end("2001:db8::1")], 6));
            row.owner = Some(Arc::new(Owner { name: name.into(), pid: Some(7), ..Owner::default() }));
            row.rate = [12.4, 0.0];
            line(&mut out, &row);
        }
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!((lines.len(), lines[5]), (6, ""));
        assert_eq!(lines[1].split(',').count(), HEADER.split(',').count());
        assert!(lines[1].ends_with(",nginx,7,,"), "{}", lines[1]);
        assert!(lines[2].contains(",\"a,b \"\"c\"\"\",7,"), "{}", lines[2]);
        assert!(lines[3].contains(",\"'=cmd|'x'\",7,"), "{}", lines[3]);
        assert!(lines[4].contains(",e\\u{1b}[2J,7,"), "{}", lines[4]);
    }
}
