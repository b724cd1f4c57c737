//! What a socket of the kernel itself is for, by its port.

use crate::packet::key::proto;

/// Returns a name for a kernel socket with these ports, empty if there is none.
///
/// Ports are those of the services that Linux has in the kernel (IANA names).
pub fn name(number: u8, ports: [u16; 2]) -> &'static str {
    let known = |port: u16| match (number, port) {
        (_, 2049) => Some("nfs"),
        (_, 111 | 20048) => Some("sunrpc"),
        (proto::TCP, 445) => Some("cifs"),
        (proto::TCP, 3260) => Some("iscsi"),
        (proto::TCP, 4420) => Some("nvme"),
        (proto::TCP, 10809) => Some("nbd"),
        (proto::TCP, 3300 | 6789 | 6800..=6999) => Some("ceph"),
        (proto::UDP, 51820) => Some("wireguard"),
        (proto::UDP, 4789 | 8472) => Some("vxlan"),
        (proto::UDP, 6081) => Some("geneve"),
        (proto::UDP, 2152) => Some("gtp"),
        (proto::UDP, 1701) => Some("l2tp"),
        (proto::UDP, 4500) => Some("ipsec"),
        _ => None,
    };
    ports.into_iter().find_map(known).unwrap_or("")
}
