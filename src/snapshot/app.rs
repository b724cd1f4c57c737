//! What a flow was found to speak, as readers see it.

use crate::{
    base::memory::prefetch,
    dpi::{
        fact::{Fact, MOST_VALUES, Shape},
        service::Service,
    },
    names::known::EndNames,
};

/// Label and facts of one flow. Values are bytes from the network: escape them where they are shown.
///
/// Values lie one behind the other in one piece of memory, so that a search over a million flows
/// looks at one place for each:
///
/// ```text
///  | fact | length, 2 bytes | value ... | fact | length | value ... |
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
// What most readers ask for comes first, beside the counts of an `Arc`, which they have just touched.
#[repr(C)]
pub struct App {
    /// What it speaks.
    pub service: Option<Service>,
    /// How many values there are.
    count: u8,
    /// One bit for each of two facts: of those whose bit is not set there is no value.
    may_have: u64,
    values: Vec<u8>,
    /// Names of its ends that were not said in this flow.
    pub names: EndNames,
}

/// Bytes by which the memory for values grows: less would be taken anew for nearly each, more would lie idle.
const STEP: usize = 96;
/// Bytes left free behind the first values, which are mostly what one side said: what the other one answers takes so many.
const ANSWER: usize = 48;
/// Comments of a flow: what was written to its packets leaves room for what it speaks.
const MOST_COMMENTS: usize = 8;
/// Bytes before a value.
const HEAD: usize = 3;

impl App {
    /// Returns what is known of a flow of which only its label is.
    pub fn of(service: Service) -> Self {
        Self { service: Some(service), ..Self::default() }
    }

    /// Makes room for values that take so many bytes, heads and all.
    pub fn expecting(&mut self, bytes: usize) -> &mut Self {
        if self.values.capacity() - self.values.len() < bytes {
            let behind = if self.values.is_empty() { ANSWER } else { 0 };
            self.values.reserve_exact(bytes + behind);
        }
        self
    }

    /// Adds a value, unless it is there already or there is room for one only. Of a value of more
    /// than 65,535 bytes the beginning counts.
    pub fn learn(&mut self, fact: Fact, value: &[u8]) {
        if usize::from(self.count) == MOST_VALUES {
            return;
        }
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        let bit = 1 << (fact as u8 % 64);
        // Most values are the first one of their fact.
        if self.may_have & bit != 0 {
            let most = match fact {
                Fact::Comment => MOST_COMMENTS,
                _ if fact.shape() == Shape::List => MOST_VALUES,
                _ => 1,
            };
            if self.values(fact).enumerate().any(|(n, known)| n + 1 == most || known == value) {
                return;
            }
        }
        self.may_have |= bit;
        self.count += 1;
        let more = HEAD + value.len();
        if self.values.capacity() - self.values.len() < more {
            self.values.reserve_exact(more.next_multiple_of(STEP));
        }
        let [low, high] = (value.len() as u16).to_le_bytes();
        self.values.extend_from_slice(&[fact as u8, low, high]);
        self.values.extend_from_slice(value);
    }

    /// Returns the first value of a fact.
    pub fn first(&self, fact: Fact) -> Option<&[u8]> {
        self.values(fact).next()
    }

    /// Returns all values of a fact, in the order of their appearance.
    pub fn values(&self, fact: Fact) -> impl Iterator<Item = &[u8]> {
        self.facts().filter(move |(f, _)| *f == fact).map(|(_, v)| v)
    }

    /// Returns all facts, in the order of their appearance.
    pub fn facts(&self) -> impl Iterator<Item = (Fact, &[u8])> {
        let mut rest = &self.values[..];
        std::iter::from_fn(move || {
            let (&[fact, low, high], behind) = rest.split_first_chunk::<HEAD>()?;
            let (value, next) = behind.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
            rest = next;
            Some((*Fact::ALL.get(usize::from(fact))?, value))
        })
    }

    /// Starts loading what is touched when values are added: the last one, and what the allocator keeps around.
    pub fn approach_values(&self) {
        let start = self.values.as_ptr();
        prefetch(start.wrapping_sub(16));
        prefetch(start.wrapping_add(self.values.len()));
        prefetch(start.wrapping_add(self.values.capacity()));
    }

    /// Returns all values in one piece, with bytes of other meaning between them: what is not found
    /// in it is in no value.
    pub fn in_one_piece(&self) -> &[u8] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_in_order_each_once() {
        let mut app = App::of(Service::Tls);
        app.learn(Fact::Sni, b"a.example");
        app.learn(Fact::Sni, b"b.example");
        app.learn(Fact::Alpn, b"h2");
        app.learn(Fact::Alpn, b"");
        app.learn(Fact::Alpn, b"h2");
        let all: Vec<_> = app.facts().collect();
        assert_eq!(all, [(Fact::Sni, &b"a.example"[..]), (Fact::Alpn, b"h2"), (Fact::Alpn, b"")]);
        assert_eq!(app.first(Fact::Alpn), Some(&b"h2"[..]));
        assert_eq!(app.first(Fact::Detail), None);
    }

    #[test]
    fn values_are_bounded_in_number_and_length() {
        let mut app = App::default();
        for n in 0..100_u8 {
            app.learn(Fact::Alpn, &[n]);
        }
        assert_eq!(app.facts().count(), MOST_VALUES);
        let mut app = App::default();
        for n in 0..100_u8 {
            app.learn(Fact::Comment, &[n]);
        }
        app.learn(Fact::Sni, b"a.example");
        assert_eq!(
            (app.values(Fact::Comment).count(), app.facts().count()),
            (MOST_COMMENTS, MOST_COMMENTS + 1)
        );
        let mut app = App::default();
        app.learn(Fact::Detail, &vec![b'x'; 70_000]);
        assert_eq!(app.first(Fact::Detail).map(<[u8]>::len), Some(65_535));
    }
}
