//! What the kernel says of a network card beside its frames: what the card lost. Small files that anybody may read.

use std::{fs, path::Path};

use crate::capture::source::NicCounters;

/// Returns what an interface counts; `None` where the system shows none of that name.
pub fn nic_counters(name: &str) -> Option<NicCounters> {
    counters(Path::new("/sys/class/net"), name)
}

fn counters(root: &Path, name: &str) -> Option<NicCounters> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return None;
    }
    let read = |what: &str| {
        let path = root.join(name).join("statistics").join(what);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some(NicCounters { dropped: read("rx_dropped")?, missed: read("rx_missed_errors")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_those_of_the_interface() {
        let root = std::env::temp_dir().join(format!("rustnet-nic-{}", std::process::id()));
        let folder = root.join("eth0/statistics");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("rx_dropped"), "12\n").unwrap();
        fs::write(folder.join("rx_missed_errors"), "3\n").unwrap();
        assert_eq!(counters(&root, "eth0"), Some(NicCounters { dropped: 12, missed: 3 }));
        for name in ["eth1", "", "..", "../eth0"] {
            assert_eq!(counters(&root, name), None, "{name}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}
