//! Reads where cores and cards stand from `/sys` and `/proc`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::affinity::parse_list;
use crate::{
    base::ids::CoreId,
    platform::placement::{CorePlace, NicPlace, Placement},
};

/// Returns where these cores and interfaces are; what is not told is left out.
pub fn placement_of(cores: &[CoreId], interfaces: &[String]) -> Placement {
    read(Path::new("/"), cores, interfaces)
}

fn read(root: &Path, cores: &[CoreId], interfaces: &[String]) -> Placement {
    let nodes = nodes(root);
    let place = |core: &CoreId| CorePlace {
        core: *core,
        node: nodes.iter().find(|(_, members)| members.contains(core)).map(|(node, _)| *node),
        siblings: siblings(root, *core),
    };
    Placement {
        cores: cores.iter().map(place).collect(),
        nics: interfaces.iter().map(|name| nic(root, name)).collect(),
    }
}

fn text(path: PathBuf) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The cores of each NUMA node.
fn nodes(root: &Path) -> Vec<(u16, Vec<CoreId>)> {
    let directory = root.join("sys/devices/system/node");
    let Ok(entries) = fs::read_dir(&directory) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let node = name.strip_prefix("node")?.parse().ok()?;
            Some((node, parse_list(&text(directory.join(name).join("cpulist"))?)))
        })
        .collect()
}

fn siblings(root: &Path, core: CoreId) -> Vec<CoreId> {
    let file = format!("sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", core.0);
    let mut all = parse_list(&text(root.join(file)).unwrap_or_default());
    all.retain(|c| *c != core);
    all
}

fn nic(root: &Path, name: &str) -> NicPlace {
    let mut nic = NicPlace { name: name.to_owned(), ..NicPlace::default() };
    let Ok(device) = root.join("sys/class/net").join(name).join("device").canonicalize() else {
        // A virtual interface.
        return nic;
    };
    // A virtio device stands below the card that has node and interrupts.
    let card = [Some(device.as_path()), device.parent()].into_iter().flatten();
    let Some(card) = card.into_iter().find(|d| d.join("numa_node").exists() || d.join("msi_irqs").exists())
    else {
        return nic;
    };
    nic.node = text(card.join("numa_node")).and_then(|n| n.trim().parse().ok());
    let mut interrupts = BTreeSet::new();
    for entry in fs::read_dir(card.join("msi_irqs")).into_iter().flatten().flatten() {
        let irq = root.join("proc/irq").join(entry.file_name());
        let list = text(irq.join("effective_affinity_list")).filter(|l| !l.trim().is_empty());
        let list = list.or_else(|| text(irq.join("smp_affinity_list")));
        interrupts.extend(parse_list(&list.unwrap_or_default()));
    }
    nic.interrupts = interrupts.into_iter().collect();
    nic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_siblings_and_interrupts_are_read_from_their_files() {
        let root = std::env::temp_dir().join(format!("rustnet-placement-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sys/devices/system/node/node0/cpulist", "0-3\n");
        write("sys/devices/system/node/node1/cpulist", "4-7\n");
        write("sys/devices/system/node/possible", "0-1\n");
        write("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2,6\n");
        write("sys/devices/pci0/card/numa_node", "1\n");
        write("sys/devices/pci0/card/msi_irqs/40", "msix\n");
        write("sys/devices/pci0/card/msi_irqs/41", "msix\n");
        write("sys/devices/pci0/card/virtio2/uevent", "");
        write("proc/irq/40/effective_affinity_list", "5\n");
        write("proc/irq/41/effective_affinity_list", "\n");
        write("proc/irq/41/smp_affinity_list", "2-3\n");
        fs::create_dir_all(root.join("sys/class/net/eth0")).unwrap();
        std::os::unix::fs::symlink(
            root.join("sys/devices/pci0/card/virtio2"),
            root.join("sys/class/net/eth0/device"),
        )
        .unwrap();
        let found = read(&root, &[CoreId(2), CoreId(9)], &["eth0".into(), "veth0".into()]);
        fs::remove_dir_all(&root).unwrap();
        let cores = [
            CorePlace { core: CoreId(2), node: Some(0), siblings: vec![CoreId(6)] },
            CorePlace { core: CoreId(9), ..CorePlace::default() },
        ];
        assert_eq!(found.cores, cores);
        let eth0 = NicPlace { name: "eth0".into(), node: Some(1), interrupts: [2, 3, 5].map(CoreId).into() };
        assert_eq!(found.nics, [eth0, NicPlace { name: "veth0".into(), ..NicPlace::default() }]);
    }
}
