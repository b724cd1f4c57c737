//! What the kernel says of a network card beside its frames: what the card lost, and whose hardware addresses it
//! knows. Both are small files that anybody may read.

use std::{fs, net::IpAddr, path::Path};

use crate::capture::source::NicCounters;

/// Returns what an interface counts; `None` where the system shows none of that name.
pub fn nic_counters(name: &str) -> Option<NicCounters> {
    counters(Path::new("/sys/class/net"), name)
}

fn counters(root: &Path, name: &str) -> Option<NicCounters> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return None;
    }
    let read = |what: &str| -> Option<u64> {
        let path = root.join(name).join("statistics").join(what);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some(NicCounters {
        dropped: read("rx_dropped")?,
        missed: read("rx_missed_errors")?,
        passed: read("rx_packets")?.saturating_add(read("tx_packets")?),
    })
}

/// Returns the hardware address of a neighbour that this host has spoken to over IPv4.
pub fn neighbour(address: IpAddr) -> Option<String> {
    neighbours().into_iter().find(|(of, _)| *of == address).map(|(_, hardware)| hardware)
}

/// Returns all of them with their addresses.
pub fn neighbours() -> Vec<(IpAddr, String)> {
    all_of(&fs::read_to_string("/proc/thread-self/net/arp").unwrap_or_default())
}

/// `10.0.0.1  0x1  0x2  00:11:22:33:44:55  *  eth0` (proc_pid_net(5)); the third field says whether it is complete.
fn all_of(table: &str) -> Vec<(IpAddr, String)> {
    let entry = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let address = fields.next()?.parse().ok()?;
        let flags = u32::from_str_radix(fields.nth(1)?.strip_prefix("0x")?, 16).ok()?;
        (flags & COMPLETE != 0).then_some((address, fields.next()?.to_owned()))
    };
    table.lines().skip(1).filter_map(entry).collect()
}

/// ATF_COM of include/uapi/linux/if_arp.h.
const COMPLETE: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_when_they_have_answered() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.0.0.1         0x1         0x2         00:1b:21:3c:9d:f8     *        eth0\n\
                     10.0.0.2         0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                     10.0.0.3         0x1\n";
        let known = [("10.0.0.1".parse().unwrap(), "00:1b:21:3c:9d:f8".to_owned())];
        assert_eq!(all_of(table), known);
    }

    #[test]
    fn counters_are_those_of_the_interface() {
        let root = std::env::temp_dir().join(format!("rustnet-nic-{}", std::process::id()));
        let folder = root.join("eth0/statistics");
        fs::create_dir_all(&folder).unwrap();
        for (file, count) in
            [("rx_dropped", 12), ("rx_missed_errors", 3), ("rx_packets", 500), ("tx_packets", 70)]
        {
            fs::write(folder.join(file), format!("{count}\n")).unwrap();
        }
        assert_eq!(counters(&root, "eth0"), Some(NicCounters { dropped: 12, missed: 3, passed: 570 }));
        for name in ["eth1", "", "..", "../eth0"] {
            assert_eq!(counters(&root, name), None, "{name}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}
