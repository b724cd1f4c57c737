//! Where cores and network cards stand to each other, as `--show-plan` tells it.

use std::fmt;

use crate::base::ids::CoreId;

/// A core of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorePlace {
    /// Which.
    pub core: CoreId,
    /// Its NUMA node, where the system tells.
    pub node: Option<u16>,
    /// The other threads of the same physical core.
    pub siblings: Vec<CoreId>,
}

/// An interface that is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NicPlace {
    /// Its name.
    pub name: String,
    /// The NUMA node of its card; `None` for virtual ones, and where the system does not tell.
    pub node: Option<u16>,
    /// The cores that its interrupts go to, in order.
    pub interrupts: Vec<CoreId>,
}

/// The cores of a plan and the interfaces that they are to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// In the order of the plan.
    pub cores: Vec<CorePlace>,
    /// In the order in which they were named.
    pub nics: Vec<NicPlace>,
}

impl Placement {
    /// Returns where interfaces and cores are, in words: each interface, then the cores node by node.
    pub fn places(&self) -> Vec<String> {
        let interrupts = |nic: &NicPlace| match &nic.interrupts[..] {
            [] => String::new(),
            cores => format!(", interrupts on core {}", super::ranges(cores)),
        };
        let nics = self.nics.iter().map(|nic| {
            let node = nic.node.map_or_else(|| "no NUMA node".to_owned(), |n| format!("NUMA node {n}"));
            format!("{}: {node}{}", nic.name, interrupts(nic))
        });
        let mut nodes: Vec<Option<u16>> = self.cores.iter().map(|core| core.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let cores = nodes.into_iter().map(|node| {
            let here: Vec<_> = self.cores.iter().filter(|c| c.node == node).map(|c| c.core).collect();
            let name = node.map_or_else(|| "unknown node".to_owned(), |n| format!("NUMA node {n}"));
            format!("core {}: {name}", super::ranges(&here))
        });
        nics.chain(cores).collect()
    }

    /// Returns what costs speed in this plan, and what would be better.
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (n, place) in self.cores.iter().enumerate() {
            let shared = self.cores[n + 1..].iter().find(|other| place.siblings.contains(&other.core));
            if let Some(other) = shared {
                all.push(format!(
                    "cores {} and {} are two threads of one physical core: each gets about half of it",
                    place.core.0, other.core.0
                ));
            }
        }
        for nic in &self.nics {
            self.warn_of(nic, &mut all);
        }
        all
    }

    fn warn_of(&self, nic: &NicPlace, all: &mut Vec<String>) {
        let list = |cores: Vec<u16>| cores.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let hit: Vec<u16> =
            self.cores.iter().map(|c| c.core).filter(|c| nic.interrupts.contains(c)).map(|c| c.0).collect();
        if !hit.is_empty() {
            all.push(format!(
                "interrupts of {} go to core {} of this plan: the kernel's work and ours take it in turns \
                 (move them with /proc/irq/*/smp_affinity_list, or choose other cores)",
                nic.name,
                list(hit)
            ));
        }
        let Some(node) = nic.node else { return };
        let far: Vec<u16> =
            self.cores.iter().filter(|c| c.node.is_some_and(|n| n != node)).map(|c| c.core.0).collect();
        if !far.is_empty() {
            all.push(format!(
                "{} is on NUMA node {node}, core {} is not: every frame crosses between the nodes",
                nic.name,
                list(far)
            ));
        }
    }
}

/// The part of `--show-plan` behind the table of threads.
impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in &self.cores {
            let node = place.node.map_or_else(|| "unknown node".to_owned(), |n| format!("NUMA node {n}"));
            write!(f, "core {}: {node}", place.core.0)?;
            if !place.siblings.is_empty() {
                write!(f, ", shares its physical core with {}", super::ranges(&place.siblings))?;
            }
            writeln!(f)?;
        }
        for nic in &self.nics {
            let node = nic.node.map_or_else(|| "no NUMA node".to_owned(), |n| format!("NUMA node {n}"));
            write!(f, "{}: {node}", nic.name)?;
            if !nic.interrupts.is_empty() {
                write!(f, ", interrupts on core {}", super::ranges(&nic.interrupts))?;
            }
            writeln!(f)?;
        }
        self.warnings().iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(core: u16, node: u16, siblings: &[u16]) -> CorePlace {
        CorePlace {
            core: CoreId(core),
            node: Some(node),
            siblings: siblings.iter().map(|c| CoreId(*c)).collect(),
        }
    }

    #[test]
    fn a_plan_without_trouble_has_no_warnings() {
        let nic = NicPlace { name: "eth0".into(), node: Some(0), interrupts: vec![CoreId(0), CoreId(1)] };
        let placement = Placement { cores: vec![core(2, 0, &[10]), core(3, 0, &[11])], nics: vec![nic] };
        assert_eq!(placement.warnings(), [""; 0]);
        assert_eq!(
            placement.places(),
            ["eth0: NUMA node 0, interrupts on core 0-1", "core 2-3: NUMA node 0"]
        );
        assert_eq!(
            placement.to_string(),
            "core 2: NUMA node 0, shares its physical core with 10\n\
             core 3: NUMA node 0, shares its physical core with 11\n\
             eth0: NUMA node 0, interrupts on core 0-1\n"
        );
    }

    #[test]
    fn shared_cores_interrupts_and_far_nodes_are_warned_of() {
        let nic = NicPlace { name: "eth0".into(), node: Some(1), interrupts: vec![CoreId(3)] };
        let placement =
            Placement { cores: vec![core(2, 0, &[3]), core(3, 0, &[2]), core(8, 1, &[])], nics: vec![nic] };
        let warnings = placement.warnings();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[0].starts_with("cores 2 and 3 are two threads of one physical core"));
        assert!(warnings[1].starts_with("interrupts of eth0 go to core 3 of this plan"));
        assert!(warnings[2].starts_with("eth0 is on NUMA node 1, core 2, 3 is not"));
    }

    #[test]
    fn what_the_system_does_not_tell_is_not_made_up() {
        let nic = NicPlace { name: "veth0".into(), ..NicPlace::default() };
        let place = CorePlace { core: CoreId(1), ..CorePlace::default() };
        let placement = Placement { cores: vec![place], nics: vec![nic] };
        assert_eq!(placement.to_string(), "core 1: unknown node\nveth0: no NUMA node\n");
    }
}
