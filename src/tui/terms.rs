//! Filter terms and texts made from what is selected.

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    packet::{
        descriptor::encap,
        key::{Tunnel, kind, proto},
    },
    process::owner::Owner,
    query::{
        application,
        column::{self, Look},
        group::GroupName,
        sort::SortBy,
        text,
    },
    snapshot::row::Row,
};

/// Returns two filters as one.
pub fn joined(filter: &str, term: &str) -> String {
    match filter.trim() {
        "" => term.to_owned(),
        // `or` would take a part of it away.
        filter if filter.split_whitespace().any(|word| word.eq_ignore_ascii_case("or")) => {
            format!("({filter}) {term}")
        }
        filter => format!("{filter} {term}"),
    }
}

/// Returns the term that holds for rows like this one: those with its value in the column that
/// is sorted by; in the default order, its process.
pub fn of_row(row: &Row, by: SortBy, look: &Look) -> String {
    let address = |name: &str, end: usize| format!("{name}:={}", row.addresses[end]);
    match by {
        SortBy::Protocol => is("proto", &column::protocol(row)),
        SortBy::Local => address("src", row.local()),
        SortBy::Remote => address("dst", row.remote()),
        SortBy::State => is("state", row.state_text()),
        SortBy::Service => match (column::service(row, look), column::port(row, 1 - row.roles.initiator())) {
            (name, Some(port)) if name.parse::<u16>().is_ok() => format!("port:={port}"),
            (name, Some(_)) => is("service", &name),
            (_, None) => is("proto", &column::protocol(row)),
        },
        SortBy::Application => match row.app.as_ref().and_then(|app| application::label(app, row.ports)) {
            Some(label) => {
                // HTTPS is a way to speak TLS, and what a flow speaks is what it is found by.
                let service = row.app.as_ref().and_then(|app| app.service).map_or(label, |s| s.text());
                is("app", service)
            }
            None => address("dst", row.remote()),
        },
        _ => match row.owner.as_deref() {
            Some(owner) if owner.is_kernel => is("process", "kernel"),
            Some(owner) if !owner.name.is_empty() => is("process", &owner.name),
            // What stands in place of a name is not certain to be the same.
            Some(Owner { pid: Some(pid), quality, .. }) if quality.nobody().is_none() => {
                format!("pid:={pid}")
            }
            // Of what nobody looks for, all rows have the same.
            None if look.no_owners => address("dst", row.remote()),
            _ => is("process", &column::process(row, look, usize::MAX)),
        },
    }
}

/// Returns the term that holds for the rows of a group; `None` for those that have no rows any more.
pub fn of_group(name: &GroupName) -> Option<String> {
    Some(match name {
        GroupName::Gone => return None,
        GroupName::Host(address) => format!("dst:={address}"),
        GroupName::Process(name) => is("process", name),
        GroupName::Kernel => is("process", "kernel"),
        GroupName::Forwarded => is("process", "forwarded"),
        GroupName::LinkLocal => is("process", "link-local"),
        GroupName::Unknown => "(process:=? or process:\"? uid\" or process:=\"\")".into(),
        GroupName::NotLooked => is("process", "n/a"),
    })
}

fn is(keyword: &str, value: &str) -> String {
    // Between quotes a backslash takes its meaning from the quote behind it.
    if value.ends_with('\\') || value.contains("\\\"") {
        return format!("{keyword}:/^{}$/", regex::escape(value).replace('/', "\\/"));
    }
    match value.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '~' | '/')) {
        true => format!("{keyword}:=\"{}\"", value.replace('"', "\\\"")),
        false => format!("{keyword}:={value}"),
    }
}

/// Returns the remote end in full.
pub fn remote_end(row: &Row) -> String {
    text::endpoint(row.addresses[row.remote()], column::port(row, row.remote()))
}

/// Returns the forms in which a row can be copied, with their names.
pub fn copies(row: &Row, jsonl: Option<String>) -> Vec<(&'static str, String)> {
    use crate::dpi::fact::Fact;
    let [local, remote] = [row.local(), row.remote()];
    let addresses = [local, remote].map(|end| row.addresses[end]);
    let ports = [local, remote].map(|end| column::port(row, end));
    let protocol = if row.key.kind & kind::ARP != 0 { "arp".into() } else { protocol_word(row.key.proto) };
    let name = row.app.as_ref().and_then(|app| app.first(Fact::Sni).or(app.first(Fact::HttpHost)));
    let name = name
        .or_else(|| row.app.as_ref().and_then(|app| app.names.of(remote).first()).map(|known| &*known.name));
    let mut all = vec![("remote address", addresses[1].to_string())];
    if let Some(name) = name {
        all.push(("name", text::escape(&String::from_utf8_lossy(name)).into_owned()));
    }
    let sides = [text::endpoint(addresses[0], ports[0]), text::endpoint(addresses[1], ports[1])];
    all.push(("5-tuple", format!("{protocol} {} {}", sides[0], sides[1])));
    let capture = capture_filter(row, addresses, ports);
    // The first frame says what lies around it; on a mirror port the answers may have tags all the same.
    let packet = packet_filter(row, addresses, ports, true);
    let with_tags = format!("{packet} or (vlan and ({packet} or (vlan and {packet})))");
    let is_bare =
        capture.0 == CAPTURE && row.vlan.is_none() && row.encap == 0 && row.wide.extension.vlan == 0;
    all.push(capture);
    let bracketed =
        |address: IpAddr| if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    if let [Some(a), Some(b)] = ports {
        let filter = format!("src {}:{a} and dst {}:{b}", bracketed(addresses[0]), bracketed(addresses[1]));
        all.push(("ss filter", filter));
    }
    let shown = column::protocol(row).to_ascii_lowercase();
    let filter = match ports {
        [Some(a), Some(b)] => {
            format!("proto:={shown} src:={} sport:={a} dst:={} dport:={b}", addresses[0], addresses[1])
        }
        _ => format!("proto:={shown} src:={} dst:={}", addresses[0], addresses[1]),
    };
    all.push(("rustnet filter", filter));
    all.extend(jsonl.map(|line| ("JSON line", line)));
    if is_bare {
        all.push(("tcpdump, any tags", with_tags));
    }
    all
}

/// Returns the filter for tcpdump that finds the frames of a row, or why there is none, with its name.
///
/// In pcap-filter(7), `vlan`, `pppoes` and `mpls` hold for all that stands behind them in the text: what is looked
/// for stands once for each place where it can lie, the outermost first. Tags have no numbers unless they tell flows
/// apart, as the frames of a flow need not have the same ones.
fn capture_filter(row: &Row, addresses: [IpAddr; 2], ports: [Option<u16>; 2]) -> (&'static str, String) {
    let extension = &row.wide.extension;
    let is_tunnel = row.key.kind & kind::EXTENDED != 0 && extension.tunnel != 0;
    let packet = match is_tunnel {
        true => tunnel_filter(row),
        false => Some(packet_filter(row, addresses, ports, true)),
    };
    let Some(packet) = packet else {
        let why = "tcpdump does not look into tunnels, and the ends of this one are not known";
        return (NO_CAPTURE, why.into());
    };
    let within = |outer: &str, inner: &str| format!("{packet} or ({outer} and ({inner}))");
    let beneath = match row.encap & encap::BENEATH {
        encap::BENEATH => {
            let why = "tcpdump does not look behind LLC and SNAP, nor behind labels in PPPoE";
            return (NO_CAPTURE, why.into());
        }
        encap::MPLS => within("mpls", &within("mpls", &packet)),
        encap::PPPOE => format!("pppoes and {packet}"),
        _ => packet.clone(),
    };
    let is_beneath = beneath != packet;
    let filter = match (extension.vlan.checked_sub(1), row.vlan, row.encap & encap::TAGS != 0) {
        (Some(vlan), _, true) if is_beneath => format!("vlan {vlan} and vlan and ({beneath})"),
        (Some(vlan), _, true) => format!("vlan {vlan} and vlan and ({})", within("vlan", &packet)),
        (Some(vlan), ..) if is_beneath => format!("vlan {vlan} and ({beneath})"),
        (Some(vlan), ..) => format!("vlan {vlan} and {packet}"),
        (None, None, _) if is_beneath || is_tunnel => beneath,
        (None, None, _) => packet_filter(row, addresses, ports, false),
        // What lies beneath is told of the first packet, with as many tags as that had.
        (None, _, true) if is_beneath => format!("vlan and vlan and ({beneath})"),
        (None, _, false) if is_beneath => format!("vlan and ({beneath})"),
        (None, _, true) => within("vlan", &within("vlan", &within("vlan", &packet))),
        (None, _, false) => within("vlan", &packet),
    };
    (if is_tunnel { TUNNEL_CAPTURE } else { CAPTURE }, filter)
}

const CAPTURE: &str = "tcpdump filter";
const TUNNEL_CAPTURE: &str = "tcpdump, tunnel";

/// Returns the filter for the packets of a row, whatever stands before them; `is_part` of a longer one if so.
fn packet_filter(row: &Row, addresses: [IpAddr; 2], ports: [Option<u16>; 2], is_part: bool) -> String {
    let hosts = format!("host {} and host {}", addresses[0], addresses[1]);
    if row.key.kind & kind::ARP != 0 {
        // Both make the same rows.
        return format!("(arp or rarp) and {hosts}");
    }
    let number = row.key.proto;
    let ports = match ports {
        [Some(a), Some(b)] => Some([a, b]),
        _ => None,
    };
    let usual = match ports {
        Some([a, b]) => format!("{} and {hosts} and port {a} and port {b}", protocol_word(number)),
        None => format!("{} and {hosts}", protocol_word(number)),
    };
    let is_v6 = row.key.kind & kind::V6 != 0;
    if !row.has_more_headers {
        return usual;
    }
    let more = match (is_v6, ports) {
        // Fragments behind the first one, which has the ports.
        (true, None) if proto::has_ports(number) => {
            return format!("({hosts} and {})", fragment_of_ipv6(number));
        }
        (false, None) if proto::has_ports(number) => {
            return format!("({hosts} and {})", fragment_of_ipv4(number));
        }
        // Looks behind all headers, but says nothing of ports, and live it cannot stand behind `vlan`.
        (true, None) if !is_part => return format!("(ip6 protochain {number} and {hosts})"),
        (true, _) => behind_extensions(number, ports),
        (false, _) => behind_ipv4(number, ports),
    };
    format!("({usual} or ({hosts} and ({more})))")
}

/// Returns the test of both ports that stand at an offset into the header of IP; none without ports.
fn ports_at(ip: &str, at: &str, ports: Option<[u16; 2]>) -> String {
    ports.map_or(String::new(), |[a, b]| {
        let [there, back] = [[a, b], [b, a]].map(|[from, to]| u32::from(from) << 16 | u32::from(to));
        format!(" and ({ip}[{at}:4] = {there:#x} or {ip}[{at}:4] = {back:#x})")
    })
}

/// Returns the filter for a protocol behind one extension header of IPv6 or two (RFC 8200 section 4), or AH, and for later
/// fragments, which have no ports: `port` and the names of protocols look at what follows the first header alone.
fn behind_extensions(number: u8, ports: Option<[u16; 2]>) -> String {
    // Hop-by-hop options, routing, fragment, destination options; each has its length in its second byte, in units
    // of 8 bytes beyond the first. That of a fragment is 0.
    let is_extension = |at: &str| {
        let of = [proto::HOPOPT, proto::ROUTING, proto::FRAGMENT, proto::DSTOPTS];
        let any = of.map(|number| format!("ip6[{at}] = {number}")).join(" or ");
        format!("({any})")
    };
    let second = "40 + 8 * ip6[41] + 8";
    let third = format!("{second} + 8 * ip6[{second} + 1] + 8");
    let fragment = fragment_of_ipv6(number);
    let one = format!("ip6[40] = {number}{}", ports_at("ip6", second, ports));
    let two =
        format!("{} and ip6[{second}] = {number}{}", is_extension("40"), ports_at("ip6", &third, ports));
    // The length of AH is in units of 4 bytes beyond two.
    let behind_ah = ports_at("ip6", "40 + 4 * ip6[41] + 8", ports);
    let ah = format!("ip6[6] = {} and ip6[40] = {number}{behind_ah}", proto::AH);
    format!("({fragment}) or ({ah}) or ({} and (({one}) or ({two})))", is_extension("6"))
}

fn fragment_of_ipv6(number: u8) -> String {
    format!("ip6[6] = {} and ip6[40] = {number} and ip6[42:2] & 0xfff8 != 0", proto::FRAGMENT)
}

fn fragment_of_ipv4(number: u8) -> String {
    format!("ip[9] = {number} and ip[6:2] & 0x1fff != 0")
}

/// Returns the filter for a protocol behind AH in IPv4 (RFC 4302), and for later fragments, which have no ports.
fn behind_ipv4(number: u8, ports: Option<[u16; 2]>) -> String {
    let header = "(ip[0] & 15) * 4";
    // The length of AH is in its second byte, in units of 4 bytes beyond two.
    let behind = format!("{header} + ip[{header} + 1] * 4 + 8");
    let fragment = fragment_of_ipv4(number);
    let ah = format!("ip[9] = {} and ip[{header}] = {number}{}", proto::AH, ports_at("ip", &behind, ports));
    format!("({fragment}) or ({ah})")
}

/// Most versions of tcpdump do not look into tunnels: the filter is that of the tunnel.
fn tunnel_filter(row: &Row) -> Option<String> {
    let extension = &row.wide.extension;
    let [a, b] = extension.outer.map(|end| u32::try_from(end).ok().map(Ipv4Addr::from));
    let (Some(a), Some(b), 1) = (a, b, extension.depth) else { return None };
    let carried = match extension.tunnel - 1 {
        tunnel if tunnel == Tunnel::IpIp as u8 => "proto 4",
        tunnel if tunnel == Tunnel::SixInFour as u8 => "proto 41",
        tunnel if tunnel == Tunnel::Gre as u8 => "proto 47",
        tunnel if tunnel == Tunnel::L2tp as u8 => "(proto 47 or udp port 1701)",
        _ => "udp",
    };
    Some(format!("{carried} and host {a} and host {b}"))
}

/// The name of a form that there is not, whose text says why.
pub const NO_CAPTURE: &str = "no tcpdump filter";

fn protocol_word(number: u8) -> String {
    match number {
        proto::TCP => "tcp".into(),
        proto::UDP => "udp".into(),
        proto::ICMP => "icmp".into(),
        proto::ICMPV6 => "icmp6".into(),
        proto::SCTP => "sctp".into(),
        number => format!("proto {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::filter::parse;

    #[test]
    fn a_tcpdump_filter_has_the_protocol_and_what_lies_around_it() {
        use crate::flow::entry::FlowRecord;
        let filter = |proto: u8, kind: u8, ports: [u16; 2], vlan: u16| {
            let mut record = FlowRecord::default();
            record.hot.key.ends = 0x0a00_0001_0a00_0002;
            (record.hot.key.proto, record.hot.key.kind, record.hot.key.ports) = (proto, kind, ports);
            record.facts.vlan = vlan;
            let all = copies(&Row::from_record(&record), None);
            all.into_iter().find(|(what, _)| *what == "tcpdump filter").unwrap().1
        };
        let hosts = "host 10.0.0.1 and host 10.0.0.2";
        let live = kind::LIVE;
        for (found, expected) in [
            (filter(proto::TCP, live, [1000, 443], 0), format!("tcp and {hosts} and port 1000 and port 443")),
            (filter(proto::ICMP, live, [0; 2], 0), format!("icmp and {hosts}")),
            (filter(proto::ICMPV6, live, [0; 2], 0), format!("icmp6 and {hosts}")),
            (filter(0, live | kind::ARP, [0; 2], 0), format!("(arp or rarp) and {hosts}")),
            (filter(89, live, [0; 2], 0), format!("proto 89 and {hosts}")),
            // Its frames need not all have the same tag.
            (
                filter(proto::ICMP, live, [0; 2], 6),
                format!("icmp and {hosts} or (vlan and (icmp and {hosts}))"),
            ),
            (filter(proto::ICMP, live, [0; 2], encap::PPPOE), format!("pppoes and icmp and {hosts}")),
            (
                filter(proto::ICMP, live, [0; 2], 6 | encap::TAGS | encap::PPPOE),
                format!("vlan and vlan and (pppoes and icmp and {hosts})"),
            ),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn k15_terms_of_rows_and_groups_are_filters() {
        for name in [
            GroupName::Host("2001:db8::1".parse().unwrap()),
            GroupName::Process("Web \"Content\" (x)".into()),
            GroupName::Kernel,
            GroupName::Forwarded,
            GroupName::LinkLocal,
            GroupName::Unknown,
            GroupName::NotLooked,
        ] {
            let term = of_group(&name).unwrap();
            assert!(parse(&term).is_ok_and(|p| p.expr.is_some() && p.incomplete.is_none()), "{term}");
        }
        assert_eq!(of_group(&GroupName::Gone), None);
        assert_eq!(joined("a or b", "c"), "(a or b) c");
        assert_eq!(joined(" ", "c"), "c");
        assert_eq!(joined("a", "c"), "a c");
    }
}
