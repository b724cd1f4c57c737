//! Which other side moves most in each group: the process of a host, the remote address of a process, each with all of
//! its rows in the group taken together.
//!
//! Most groups have one other side only, which costs no table.

use std::{cmp::Ordering, collections::HashMap, net::IpAddr};

use super::GroupBy;
use crate::{
    process::owner::Owner,
    query::{
        texts::{Places, Seeded},
        whose::Whose,
    },
    snapshot::flow_view::FlowView,
};

/// Other sides of a group among which those that move nothing are no longer counted.
const MANY: usize = 4096;

/// The other side of what moves most in a group. Its name is as it came: escape it where it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// A process, or an address.
    pub name: String,
    /// None of its rows says for certain that it is this process.
    pub is_doubtful: bool,
}

/// The other sides of all groups.
#[derive(Default)]
pub struct Tops {
    groups: Vec<Others>,
    /// Names of processes, their numbers, and those by the place in memory of what is known of an owner.
    names: Vec<Box<str>>,
    by_name: HashMap<Box<str>, u32, Seeded>,
    by_owner: HashMap<usize, Option<u32>, Places>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Other {
    Process(u32),
    Host(IpAddr),
}

#[derive(Clone, Copy)]
struct Sum {
    rate: f64,
    bytes: u64,
    is_doubtful: bool,
}

#[derive(Default)]
struct Others {
    first: Option<(Other, Sum)>,
    #[allow(clippy::box_collection, reason = "most groups have none, and a million of them little room")]
    more: Option<Box<HashMap<Other, Sum, Seeded>>>,
}

impl Tops {
    /// Adds a row to the group with this number.
    pub fn add(&mut self, group: usize, by: GroupBy, flow: &FlowView) {
        let other = match by {
            GroupBy::Host => flow.owner.and_then(|owner| self.process(owner)).map(Other::Process),
            GroupBy::Process => Some(Other::Host(flow.addresses()[flow.remote()])),
        };
        let Some(other) = other else { return };
        let (down, up) = flow.seen_down_up();
        let is_doubtful =
            by == GroupBy::Host && flow.owner.is_some_and(|o| !o.is_kernel && !o.quality.is_certain());
        let sum = Sum { rate: down + up, bytes: flow.bytes(), is_doubtful };
        if group >= self.groups.len() {
            self.groups.resize_with(group + 1, Others::default);
        }
        self.groups[group].add(other, sum);
    }

    /// Returns the other side that moves most in a group: now, else so far.
    pub fn of(&self, group: usize) -> Option<Top> {
        let others = self.groups.get(group)?;
        let all = others.first.iter().map(|(other, sum)| (other, sum));
        let all = all.chain(others.more.iter().flat_map(|more| more.iter()));
        let (other, sum) = all.max_by(|a, b| {
            let sizes = a.1.rate.total_cmp(&b.1.rate).then(a.1.bytes.cmp(&b.1.bytes));
            // Of those that are alike always the same one.
            sizes.then_with(|| self.order(b.0, a.0))
        })?;
        let name = match other {
            Other::Process(number) => self.names[*number as usize].to_string(),
            Other::Host(address) => address.to_string(),
        };
        Some(Top { name, is_doubtful: sum.is_doubtful })
    }

    fn order(&self, a: &Other, b: &Other) -> Ordering {
        match (a, b) {
            (Other::Host(a), Other::Host(b)) => a.cmp(b),
            (Other::Process(a), Other::Process(b)) => self.names[*a as usize].cmp(&self.names[*b as usize]),
            _ => Ordering::Equal,
        }
    }

    /// Returns the number of a process's name, if it has one: several processes may have the same.
    fn process(&mut self, owner: &Owner) -> Option<u32> {
        let Self { names, by_name, by_owner, .. } = self;
        *by_owner.entry(std::ptr::from_ref(owner).addr()).or_insert_with(|| {
            let name = if owner.is_kernel { Whose::KERNEL } else { &owner.name };
            (!name.is_empty()).then(|| {
                *by_name.entry(name.into()).or_insert_with(|| {
                    names.push(name.into());
                    names.len() as u32 - 1
                })
            })
        })
    }
}

impl Others {
    fn add(&mut self, other: Other, sum: Sum) {
        match &mut self.first {
            None => self.first = Some((other, sum)),
            Some((first, own)) if *first == other => own.add(sum),
            Some(_) => {
                let more = self.more.get_or_insert_default();
                let is_full = sum.rate <= 0.0 && more.len() >= MANY;
                match more.get_mut(&other) {
                    Some(own) => own.add(sum),
                    None if is_full => {}
                    None => drop(more.insert(other, sum)),
                }
            }
        }
    }
}

impl Sum {
    fn add(&mut self, more: Self) {
        self.rate += more.rate;
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.is_doubtful &= more.is_doubtful;
    }
}
