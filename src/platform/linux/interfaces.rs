//! The interfaces of this host: getifaddrs(3), netdevice(7), and the default routes of `/proc/net`.
#![expect(unsafe_code, reason = "getifaddrs")]

use std::{
    collections::BTreeMap,
    ffi::CStr,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsFd,
};

use super::link::{self, LinkWatch};
use crate::platform::interface::Interface;

/// Returns all interfaces in the order of their index. Needs no privileges.
///
/// # Errors
/// When the kernel does not answer.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut all = BTreeMap::<String, Interface>::new();
    for part in parts()? {
        let interface = all.entry(part.name.clone()).or_insert_with(|| Interface {
            name: part.name,
            up: part.flags & libc::IFF_UP != 0,
            running: part.flags & libc::IFF_RUNNING != 0,
            loopback: part.flags & libc::IFF_LOOPBACK != 0,
            link: "other",
            ..Interface::default()
        });
        match part.what {
            What::Link { index, hatype } => (interface.index, interface.link) = (index, link_name(hatype)),
            What::Address(address, prefix) => interface.addresses.push((address, prefix)),
        }
    }
    let routes = default_routes();
    let socket = LinkWatch::new()?;
    let mut all: Vec<_> = all.into_values().collect();
    for interface in &mut all {
        interface.mtu = link::mtu_of(socket.as_fd(), &interface.name).unwrap_or(0);
        interface.speed = link::speed_of(socket.as_fd(), &interface.name);
        interface.default_route = routes.get(&interface.name).copied();
    }
    all.sort_by_key(|i| i.index);
    Ok(all)
}

/// Returns the indices of all interfaces, in order; none if the kernel does not answer.
pub fn indices() -> Vec<u32> {
    let mut indices: Vec<u32> = parts()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|p| if let What::Link { index, .. } = p.what { Some(index) } else { None })
        .collect();
    indices.sort_unstable();
    indices
}

/// Returns this host's addresses; none if the kernel does not answer.
pub fn addresses() -> Vec<IpAddr> {
    let address = |p: Part| if let What::Address(address, _) = p.what { Some(address) } else { None };
    parts().unwrap_or_default().into_iter().filter_map(address).collect()
}

/// Returns the bits per second of the fastest link among these interfaces, or among all if there is
/// no name; 0 if none is known. Only links with a device count: what others tell is made up.
pub fn fastest_link(names: &[String]) -> u64 {
    let Ok(socket) = LinkWatch::new() else { return 0 };
    let all = parts().unwrap_or_default().into_iter();
    all.filter(|p| matches!(p.what, What::Link { .. }) && (names.is_empty() || names.contains(&p.name)))
        .filter(|p| fs::exists(format!("/sys/class/net/{}/device", p.name)).unwrap_or(false))
        .filter_map(|p| link::speed_of(socket.as_fd(), &p.name))
        .max()
        .unwrap_or(0)
}

/// One line of the kernel's answer: a link, or an address.
struct Part {
    name: String,
    flags: i32,
    what: What,
}

enum What {
    Link { index: u32, hatype: u16 },
    Address(IpAddr, u8),
}

fn parts() -> io::Result<Vec<Part>> {
    let mut head = std::ptr::null_mut();
    // SAFETY: `head` is valid for writing.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut parts = Vec::new();
    let mut next = head;
    // SAFETY: the list is the library's, whole and unchanged until it is freed below.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: the addresses of an entry are null or point to what their family says.
        let Some(what) = (unsafe { what(entry) }) else { continue };
        // SAFETY: the name is a C string that lives as long as the list.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy().into_owned();
        parts.push(Part { name, flags: entry.ifa_flags as i32, what });
    }
    // SAFETY: from getifaddrs, freed once; everything kept was copied.
    unsafe { libc::freeifaddrs(head) };
    Ok(parts)
}

/// # Safety
/// `ifa_addr` and `ifa_netmask` are null or point to a socket address of the size that its family has.
unsafe fn what(entry: &libc::ifaddrs) -> Option<What> {
    if entry.ifa_addr.is_null() {
        return None;
    }
    // SAFETY: not null; every socket address begins with its family. The caller vouches for it.
    let family = i32::from(unsafe { (*entry.ifa_addr).sa_family });
    // SAFETY: the caller vouches that the family tells what the pointers point to; the copies
    // are unaligned reads.
    unsafe {
        match family {
            libc::AF_PACKET => {
                let ll = entry.ifa_addr.cast::<libc::sockaddr_ll>().read_unaligned();
                Some(What::Link { index: ll.sll_ifindex as u32, hatype: ll.sll_hatype })
            }
            libc::AF_INET => {
                let bits = |p: *mut libc::sockaddr| {
                    u32::from_be(p.cast::<libc::sockaddr_in>().read_unaligned().sin_addr.s_addr)
                };
                let mask = if entry.ifa_netmask.is_null() { u32::MAX } else { bits(entry.ifa_netmask) };
                let address = Ipv4Addr::from(bits(entry.ifa_addr));
                Some(What::Address(address.into(), mask.leading_ones() as u8))
            }
            libc::AF_INET6 => {
                let bits = |p: *mut libc::sockaddr| {
                    u128::from_be_bytes(p.cast::<libc::sockaddr_in6>().read_unaligned().sin6_addr.s6_addr)
                };
                let mask = if entry.ifa_netmask.is_null() { u128::MAX } else { bits(entry.ifa_netmask) };
                let address = Ipv6Addr::from(bits(entry.ifa_addr));
                Some(What::Address(address.into(), mask.leading_ones() as u8))
            }
            _ => None,
        }
    }
}

/// Returns the words for an `ARPHRD_*` type.
fn link_name(hatype: u16) -> &'static str {
    match hatype {
        libc::ARPHRD_ETHER => "ethernet",
        libc::ARPHRD_LOOPBACK => "loopback",
        libc::ARPHRD_PPP => "ppp",
        libc::ARPHRD_NONE => "raw ip",
        libc::ARPHRD_TUNNEL | libc::ARPHRD_TUNNEL6 | libc::ARPHRD_SIT | libc::ARPHRD_IPGRE => "tunnel",
        libc::ARPHRD_INFINIBAND => "infinibd",
        libc::ARPHRD_IEEE80211 | 802 | 803 => "802.11",
        824 => "netlink",
        280 => "can",
        _ => "other",
    }
}

/// Returns the lowest metric of a default route for each interface that has one.
fn default_routes() -> BTreeMap<String, u32> {
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/thread-self/net/{name}"))
            .or_else(|_| fs::read_to_string(format!("/proc/net/{name}")))
            .unwrap_or_default()
    };
    let mut best = BTreeMap::new();
    for (name, metric) in ipv4_defaults(&read("route")).chain(ipv6_defaults(&read("ipv6_route"))) {
        best.entry(name.to_owned()).and_modify(|m: &mut u32| *m = metric.min(*m)).or_insert(metric);
    }
    best
}

const RTF_UP: u32 = 1;
const RTF_REJECT: u32 = 0x200;

/// `/proc/net/route`: Iface Destination Gateway Flags RefCnt Use Metric Mask ...
fn ipv4_defaults(table: &str) -> impl Iterator<Item = (&str, u32)> {
    table.lines().skip(1).filter_map(|line| {
        let field: Vec<_> = line.split_ascii_whitespace().collect();
        let [name, "00000000", _, flags, _, _, metric, "00000000", ..] = field[..] else { return None };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        (flags & (RTF_UP | RTF_REJECT) == RTF_UP).then_some((name, metric.parse().ok()?))
    })
}

/// `/proc/net/ipv6_route`: destination, its length, source, its length, gateway, metric, refs,
/// use, flags, name; numbers in hex.
fn ipv6_defaults(table: &str) -> impl Iterator<Item = (&str, u32)> {
    table.lines().filter_map(|line| {
        let field: Vec<_> = line.split_ascii_whitespace().collect();
        let [destination, "00", _, _, _, metric, _, _, flags, name] = field[..] else { return None };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let is_default = destination.bytes().all(|b| b == b'0') && name != "lo";
        (is_default && flags & (RTF_UP | RTF_REJECT) == RTF_UP)
            .then_some((name, u32::from_str_radix(metric, 16).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_listed_with_what_is_known_of_it() {
        let all = interfaces().unwrap();
        let lo = all.iter().find(|i| i.loopback).expect("every namespace has a loopback");
        assert_eq!((lo.name.as_str(), lo.link), ("lo", "loopback"));
        assert!(lo.index > 0 && lo.mtu > 0);
        assert_eq!(lo.default_route, None);
        assert!(indices().contains(&lo.index));
        if lo.up {
            assert!(lo.addresses.contains(&("127.0.0.1".parse().unwrap(), 8)), "{:?}", lo.addresses);
        }
    }

    #[test]
    fn default_routes_are_read_and_only_those() {
        let v4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                  eth0\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                  eth0\t0002000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
                  wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n\
                  dead0\t00000000\t0102000A\t0002\t0\t0\t0\t00000000\t0\t0\t0\n\
                  short\n";
        assert_eq!(ipv4_defaults(v4).collect::<Vec<_>>(), [("eth0", 100)]);
        let zero = "0".repeat(32);
        let v6 = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n\
             fd000000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth1\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00000200     eth2\n"
        );
        assert_eq!(ipv6_defaults(&v6).collect::<Vec<_>>(), [("eth1", 1024)]);
    }
}
