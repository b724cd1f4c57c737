//! The texts and numbers of a flow's fields, one at a time.

use std::{fmt::Write as _, net::IpAddr};

use crate::{
    dpi::fact::Fact,
    packet::key::kind,
    process::owner::Owner,
    query::{
        application, column,
        filter::{Field, address::write_end, eval::Surroundings},
        whose::{Unowned, Whose},
    },
    snapshot::{app::App, flow_view::FlowView, row::Direction},
};

/// Returns whether an end that the field names lies in the network.
pub fn in_network(field: Field, flow: &FlowView, network: IpAddr, prefix: u8) -> bool {
    let lies_in = |end: usize| match (network, flow.v4()) {
        (IpAddr::V4(network), Some(ends)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            (ends[end] ^ u32::from(network)) & mask == 0
        }
        (IpAddr::V6(network), None) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            (u128::from_be_bytes(flow.ends[end]) ^ u128::from(network)) & mask == 0
        }
        _ => false,
    };
    match field {
        Field::Local => lies_in(flow.local()),
        Field::Remote => lies_in(flow.remote()),
        _ => lies_in(0) || lies_in(1),
    }
}

/// Calls `holds` with the numbers of a field until it returns `true`.
pub fn numbers(
    field: Field,
    flow: &FlowView,
    around: &Surroundings,
    holds: &mut dyn FnMut(f64) -> bool,
) -> bool {
    let (down, up) = flow.down_up();
    let mut port = |end: usize| flow.port(end).is_some_and(|port| holds(f64::from(port)));
    match field {
        Field::Port => port(0) || port(1),
        Field::LocalPort => port(flow.local()),
        Field::RemotePort => port(flow.remote()),
        Field::Pid => flow.owner.and_then(|o| o.pid).is_some_and(|pid| holds(f64::from(pid))),
        Field::Vlan => flow.facts.vlan_id().is_some_and(|vlan| holds(f64::from(vlan))),
        Field::Rate => holds(f64::from(down) + f64::from(up)),
        Field::Down => holds(f64::from(down)),
        Field::Up => holds(f64::from(up)),
        Field::Bytes => holds(flow.bytes() as f64),
        Field::Packets => {
            let packets = |end: usize| flow.hot.frames[end].saturating_add(flow.facts.extra_packets[end]);
            holds(packets(0).saturating_add(packets(1)) as f64)
        }
        Field::Retransmits => holds(flow.retransmits() as f64),
        Field::Rtt => flow.rtt().is_some_and(|rtt| holds(rtt.as_secs_f64())),
        Field::Age => holds(flow.age(around.wall).as_secs_f64()),
        Field::Left => flow.left().is_some_and(|left| holds(left.as_secs_f64())),
        _ => false,
    }
}

/// Calls `holds` with the texts of a field until it returns `true`.
pub fn any_text(
    field: Field,
    flow: &FlowView,
    around: &Surroundings,
    text: &mut String,
    holds: &mut dyn FnMut(&[u8]) -> bool,
) -> bool {
    let owner = flow.owner;
    let number = |n: u32, text: &mut String, holds: &mut dyn FnMut(&[u8]) -> bool| {
        text.clear();
        let _ = write!(text, "{n}");
        holds(text.as_bytes())
    };
    let address = |end: usize, text: &mut String, holds: &mut dyn FnMut(&[u8]) -> bool| {
        write_end(text, flow, end, None);
        holds(text.as_bytes())
    };
    match field {
        Field::Any => {
            for end in [0, 1] {
                write_end(text, flow, end, flow.port(end));
                if holds(text.as_bytes()) {
                    return true;
                }
            }
            column::holds_of_protocol(&flow.hot.key, &mut *holds)
                || holds(flow.state_text().as_bytes())
                || service(flow, around).is_some_and(|name| holds(name.as_bytes()))
                || any_tenant_text(flow, text, holds)
                || flow
                    .app
                    .is_some_and(|app| shown_of(app, flow, holds) || holds(composed(app, flow).as_bytes()))
                || owner.is_none() && holds(unowned(flow, around).text().as_bytes())
                || interface(flow, around).is_some_and(|name| holds(name.as_bytes()))
        }
        Field::Port => [0, 1].iter().any(|e| flow.port(*e).is_some_and(|p| number(p.into(), text, holds))),
        Field::LocalPort => flow.port(flow.local()).is_some_and(|p| number(p.into(), text, holds)),
        Field::RemotePort => flow.port(flow.remote()).is_some_and(|p| number(p.into(), text, holds)),
        Field::Local => address(flow.local(), text, holds),
        Field::Remote => {
            address(flow.remote(), text, holds)
                || is_called(flow, flow.remote()) && facts(flow, &NAMES, holds)
                || names(flow, flow.remote(), holds)
        }
        Field::Host => {
            address(0, text, holds)
                || address(1, text, holds)
                || facts(flow, &NAMES, holds)
                || facts(flow, &[Fact::DnsQuery, Fact::DnsCname, Fact::CertName, Fact::SocksTarget], holds)
                || [0, 1].into_iter().any(|end| names(flow, end, holds))
        }
        Field::Process => match owner {
            Some(owner) => {
                (owner.pid.is_some() || !owner.name.is_empty()) && holds(owner.name.as_bytes())
                    || Whose::of(owner).is_stand_in() && column_text(owner, text, holds)
            }
            None => holds(unowned(flow, around).text().as_bytes()),
        },
        Field::User => owner.is_some_and(|o| {
            o.user.as_ref().is_some_and(|user| holds(user.as_bytes()))
                || o.uid.is_some_and(|uid| number(uid, text, holds))
        }),
        Field::Pid => owner.and_then(|o| o.pid).is_some_and(|pid| number(pid, text, holds)),
        Field::Container => owner.and_then(|o| o.container.as_ref()).is_some_and(|c| holds(c.as_bytes())),
        Field::Sni => facts(flow, &[Fact::Sni], holds),
        Field::Ssh => facts(flow, &[Fact::SshClient, Fact::SshServer], holds),
        Field::State => holds(flow.state_text().as_bytes()),
        Field::Protocol => column::holds_of_protocol(&flow.hot.key, holds),
        Field::App => flow.app.is_some_and(|app| {
            app.service.is_some_and(|s| holds(s.text().as_bytes()) || holds(s.key().as_bytes()))
                || app.facts().any(|(_, value)| holds(value))
                || shown_of(app, flow, holds)
        }),
        Field::Service => service(flow, around).is_some_and(|name| holds(name.as_bytes())),
        Field::Interface => interface(flow, around).is_some_and(|name| holds(name.as_bytes())),
        Field::Direction => holds(match flow.direction() {
            Direction::In => b"in",
            Direction::Out => b"out",
            Direction::Forwarded => b"fwd",
        }),
        Field::Vlan => flow.facts.vlan_id().is_some_and(|v| number(v.into(), text, holds)),
        Field::Mac => {
            let is_told = flow.hot.key.kind & kind::ARP != 0
                && flow.app.is_some_and(|app| app.first(Fact::ArpMac).is_some());
            match is_told {
                true => facts(flow, &[Fact::ArpMac], holds),
                // As Details show it.
                false => {
                    !around.neighbours.is_empty()
                        && flow.direction() != Direction::Forwarded
                        && around
                            .neighbours
                            .get(&flow.addresses()[flow.remote()])
                            .is_some_and(|mac| holds(mac.as_bytes()))
                }
            }
        }
        Field::Alpn => facts(flow, &[Fact::Alpn, Fact::AlpnSelected], holds),
        Field::Dns => {
            facts(flow, &[Fact::DnsQuery, Fact::DnsType, Fact::DnsCname, Fact::DnsAddress], holds)
                || flow.app.is_some_and(|app| errors(app, holds))
        }
        Field::Http => facts(
            flow,
            &[
                Fact::HttpHost,
                Fact::HttpPath,
                Fact::HttpMethod,
                Fact::HttpStatus,
                Fact::HttpUserAgent,
                Fact::HttpServer,
                Fact::HttpContentType,
            ],
            holds,
        ),
        Field::Rate | Field::Down | Field::Up | Field::Bytes | Field::Packets | Field::Retransmits => false,
        Field::Rtt | Field::Age | Field::Left => false,
    }
}

/// Names of the end that is called, said by whoever calls.
const NAMES: [Fact; 2] = [Fact::Sni, Fact::HttpHost];

fn is_called(flow: &FlowView, end: usize) -> bool {
    flow.hot.roles.initiator() != end
}

fn facts(flow: &FlowView, wanted: &[Fact], holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    flow.app.is_some_and(|app| app.facts().any(|(fact, value)| wanted.contains(&fact) && holds(value)))
}

fn names(flow: &FlowView, end: usize, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    flow.app.is_some_and(|app| app.names.of(end).iter().any(|known| holds(&known.name)))
}

fn any_tenant_text(flow: &FlowView, text: &mut String, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    if let Some(app) = flow.app
        && (app.service.is_some_and(|s| holds(s.text().as_bytes()) || holds(s.key().as_bytes()))
            || app.facts().any(|(_, value)| holds(value))
            || app.names.all().any(|known| holds(&known.name)))
    {
        return true;
    }
    flow.owner.is_some_and(|owner| any_owner_text(owner, text, holds))
}

/// Calls `holds` with what the Application column has for facts and services until it returns `true`.
pub fn shown_of(app: &App, flow: &FlowView, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    application::label(app, flow.hot.key.ports).is_some_and(|label| holds(label.as_bytes()))
        || errors(app, holds)
}

fn errors(app: &App, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    application::dns_errors(app).any(|error| holds(error.as_bytes()))
}

/// Returns the whole text of the Application column.
pub fn composed(app: &App, flow: &FlowView) -> String {
    application::application(app, flow.hot.key.ports, 1 - flow.hot.roles.initiator())
}

/// Calls `holds` with all that is known of an owner until it returns `true`.
pub fn any_owner_text(owner: &Owner, text: &mut String, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    if let Some(pid) = owner.pid {
        text.clear();
        let _ = write!(text, "{pid}");
        if holds(text.as_bytes()) {
            return true;
        }
    }
    let texts = [&owner.exe, &owner.command, &owner.user, &owner.container];
    if holds(owner.name.as_bytes()) || texts.into_iter().flatten().any(|known| holds(known.as_bytes())) {
        return true;
    }
    column_text(owner, text, holds)
}

/// Calls `holds` with what the Process column shows; of the kernel also without what it is for.
fn column_text(owner: &Owner, text: &mut String, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let whose = Whose::of(owner);
    text.clear();
    let _ = write!(text, "{whose}");
    holds(text.as_bytes()) || matches!(whose, Whose::Kernel(_)) && holds(Whose::KERNEL.as_bytes())
}

/// Returns why a flow has no owner.
pub fn unowned(flow: &FlowView, around: &Surroundings) -> Unowned {
    Unowned::of(around.no_owners, flow.hot.roles.is_local(0) || flow.hot.roles.is_local(1))
}

/// Returns the name of the service that was called.
pub fn service(flow: &FlowView, around: &Surroundings) -> Option<&'static str> {
    let called = flow.port(1 - flow.hot.roles.initiator())?;
    around.services?(flow.hot.key.proto, called)
}

/// Returns the name of the home interface.
pub fn interface<'a>(flow: &FlowView, around: &'a Surroundings) -> Option<&'a str> {
    around.interfaces.get(usize::from(flow.hot.iface.0)).map(String::as_str)
}
