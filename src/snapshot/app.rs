//! What a flow was found to speak, and how its ends are called, as readers see it.

use crate::{
    dpi::{
        fact::{Fact, MOST_VALUES, Shape},
        service::Service,
    },
    names::known::EndNames,
};

/// Label, facts and names of one flow. Values are bytes from the network: escape them where they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// What it speaks.
    pub service: Option<Service>,
    facts: Vec<(Fact, Box<[u8]>)>,
    /// Names of its ends that were not said in this flow.
    pub names: EndNames,
}

impl App {
    /// Returns what is known of a flow of which only its label is.
    pub fn of(service: Service) -> Self {
        Self { service: Some(service), ..Self::default() }
    }

    /// Adds a value, unless it is there already or there is room for one only.
    pub fn learn(&mut self, fact: Fact, value: &[u8]) {
        let single = fact.shape() != Shape::List;
        let known = self.facts.iter().any(|(f, v)| *f == fact && (single || **v == *value));
        if !known && self.facts.len() < MOST_VALUES {
            self.facts.push((fact, value.into()));
        }
    }

    /// Returns the first value of a fact.
    pub fn first(&self, fact: Fact) -> Option<&[u8]> {
        self.values(fact).next()
    }

    /// Returns all values of a fact, in the order of their appearance.
    pub fn values(&self, fact: Fact) -> impl Iterator<Item = &[u8]> {
        self.facts.iter().filter(move |(f, _)| *f == fact).map(|(_, v)| &**v)
    }

    /// Returns all facts, in the order of their appearance.
    pub fn facts(&self) -> impl Iterator<Item = (Fact, &[u8])> {
        self.facts.iter().map(|(f, v)| (*f, &**v))
    }
}
