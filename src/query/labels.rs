//! Numbers that sort as texts do, so that rows sort by text without comparing any.
//!
//! Each text gets a number between those of its neighbours, and keeps it: what was reckoned from
//! it stays right when further texts come (order maintenance by labels, Dietz 1982, here without
//! rebalancing). Where no number is left between two, the later one gets its neighbour's until
//! [`Labels::settle`] gives all of them new ones, at once and not text by text: names that come in
//! their order leave no room soon.

use std::collections::{BTreeMap, HashMap};

/// Numbers are below 2 to this power, so that others fit beside them.
pub const BITS: u32 = 46;
/// The usual distance between neighbours.
const STEP: u64 = 1 << 24;
/// Texts kept at most from look to look; they come from the network.
const MOST: usize = 1 << if cfg!(test) { 12 } else { 21 };

/// The numbers of all texts seen.
#[derive(Default)]
pub struct Labels {
    by_text: HashMap<Box<[u8]>, u64>,
    in_order: BTreeMap<Box<[u8]>, u64>,
    generation: u64,
    /// Some texts have the number of another one.
    crowded: bool,
}

impl Labels {
    /// Returns the number of a text. Sorting regards lower case first, then the text as it is.
    pub fn label(&mut self, text: &[u8]) -> u64 {
        match self.by_text.get(text) {
            Some(label) => *label,
            None => self.insert(text),
        }
    }

    /// Returns how often all numbers became void: those of another generation must not be
    /// compared with those of this one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Gives all texts new numbers if some have none of their own. To be called when a look is over, which
    /// then wants another one: the generation has changed.
    pub fn settle(&mut self) {
        if self.crowded {
            self.crowded = false;
            self.spread();
        }
    }

    /// Forgets all texts if they are too many. To be called before a look, never in one.
    pub fn make_room(&mut self) {
        if self.by_text.len() >= MOST {
            *self = Self { generation: self.generation + 1, ..Self::default() };
        }
    }

    #[cold]
    fn insert(&mut self, text: &[u8]) -> u64 {
        let key = folded(text);
        let below = self.in_order.range(..key.clone()).next_back().map(|(_, label)| *label);
        let above = self.in_order.range(key.clone()..).next().map(|(_, label)| *label);
        let label = match (below, above) {
            (None, None) => Some(1 << (BITS - 1)),
            (Some(below), None) => Some(below + STEP).filter(|l| *l < 1 << BITS),
            (None, Some(above)) => above.checked_sub(STEP),
            (Some(below), Some(above)) => Some(below + (above - below) / 2).filter(|l| *l > below),
        };
        let label = label.unwrap_or_else(|| {
            self.crowded = true;
            below.or(above).unwrap_or_default()
        });
        self.in_order.insert(key, label);
        self.by_text.insert(text.into(), label);
        label
    }

    /// Gives all texts new numbers, evenly spread.
    fn spread(&mut self) {
        self.generation += 1;
        let step = ((1_u64 << BITS) / (self.in_order.len() as u64 + 2)).min(STEP);
        let start = (1_u64 << (BITS - 1)).saturating_sub(step * self.in_order.len() as u64 / 2);
        for (n, label) in self.in_order.values_mut().enumerate() {
            *label = start + n as u64 * step;
        }
        for (text, label) in &mut self.by_text {
            *label = self.in_order.get(&folded(text)).copied().unwrap_or(*label);
        }
    }
}

fn folded(text: &[u8]) -> Box<[u8]> {
    let mut key = text.to_ascii_lowercase();
    key.push(0);
    key.extend_from_slice(text);
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_sort_as_texts_do_and_stay() {
        let mut labels = Labels::default();
        let texts = ["nginx", "Firefox", "firefox", "ssh", "aaa", "zzz", "", "m"];
        let first = labels.label(b"nginx");
        let mut all: Vec<_> = texts.iter().map(|t| (labels.label(t.as_bytes()), *t)).collect();
        all.sort_unstable();
        let order: Vec<_> = all.iter().map(|(_, t)| *t).collect();
        assert_eq!(order, ["", "aaa", "Firefox", "firefox", "m", "nginx", "ssh", "zzz"]);
        assert_eq!(labels.label(b"nginx"), first);
        assert_eq!(labels.generation(), 0);
    }

    #[test]
    fn without_room_all_get_new_numbers_and_the_order_holds() {
        let mut labels = Labels::default();
        labels.label(b"a");
        labels.label(b"b");
        // Each comes between `a` and the one before.
        let mut texts: Vec<String> = (0..200).map(|n| format!("a{:0>1$}", "", 400 - n)).collect();
        for text in &texts {
            labels.label(text.as_bytes());
        }
        assert_eq!(labels.generation(), 0, "never within a look");
        labels.settle();
        assert_eq!(labels.generation(), 1, "once, however many had no room");
        labels.settle();
        assert_eq!(labels.generation(), 1);
        texts.extend(["a".to_owned(), "b".to_owned()]);
        let mut by_label = texts.clone();
        by_label.sort_by_key(|t| labels.label(t.as_bytes()));
        texts.sort();
        assert_eq!(by_label, texts);
        assert!(texts.iter().all(|t| labels.label(t.as_bytes()) < 1 << BITS));
    }

    #[test]
    fn texts_are_forgotten_before_a_look_and_never_in_one() {
        let mut labels = Labels::default();
        for n in 0..=MOST {
            labels.label(&n.to_be_bytes());
        }
        assert_eq!(labels.generation(), 0);
        labels.settle();
        let before = labels.generation();
        labels.make_room();
        assert_eq!((labels.generation(), labels.by_text.len()), (before + 1, 0));
    }
}
