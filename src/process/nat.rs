//! Connections behind address translation: which to ask about, and what they were before.
//!
//! A connection of this host without an owner may be another one that was translated. What it was is asked
//! elsewhere and later, a bounded number at a time, so questions wait here and answers are kept here.

use std::collections::{HashMap, VecDeque};

use crate::{
    base::{ids::FlowId, keyed::Keyed},
    process::socket::Tuple,
};

/// Questions that wait at most; above, the oldest goes. A flood of unknown connections is not worth more.
const MOST_WAITING: usize = 4096;
/// Answers kept at most; the oldest goes.
const MOST_KNOWN: usize = 1 << 16;

/// What was this connection before its addresses were translated?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The connection.
    pub flow: FlowId,
    /// Its ends on the wire, as a socket here would see them.
    pub tuple: Tuple,
}

/// Questions and answers.
#[derive(Debug, Default)]
pub struct Translations {
    waiting: VecDeque<Question>,
    known: HashMap<FlowId, Tuple, Keyed>,
    order: VecDeque<FlowId>,
}

impl Translations {
    /// Asks.
    pub fn ask(&mut self, question: Question) {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(question);
    }

    /// Returns whether a question waits.
    pub fn is_asked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes out the oldest questions, `most` of them at most.
    pub fn questions(&mut self, most: usize) -> Vec<Question> {
        self.waiting.drain(..most.min(self.waiting.len())).collect()
    }

    /// Takes in an answer; returns whether it is new.
    pub fn learn(&mut self, flow: FlowId, socket: Tuple) -> bool {
        let before = self.known.insert(flow, socket);
        if before.is_none() {
            self.order.push_back(flow);
            if self.order.len() > MOST_KNOWN
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        before != Some(socket)
    }

    /// Returns the ends of a connection's socket, if it is known to be translated.
    pub fn of(&self, flow: FlowId) -> Option<Tuple> {
        self.known.get(&flow).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::key::proto;

    #[test]
    fn questions_and_answers_are_bounded_and_the_oldest_go() {
        let mut all = Translations::default();
        let tuple = Tuple::bound(proto::TCP, "10.0.0.1".parse().unwrap(), 80);
        let id = |n: usize| FlowId::new(0, n as u32, 1);
        for n in 0..MOST_WAITING + 10 {
            all.ask(Question { flow: id(n), tuple });
        }
        assert_eq!(all.questions(1), [Question { flow: id(10), tuple }]);
        assert_eq!(all.questions(usize::MAX).len(), MOST_WAITING - 1);
        assert!(all.questions(5).is_empty() && !all.is_asked());
        for n in 0..MOST_KNOWN + 10 {
            assert!(all.learn(id(n), tuple));
        }
        assert!(!all.learn(id(MOST_KNOWN), tuple), "known already");
        assert_eq!((all.of(id(9)), all.of(id(10))), (None, Some(tuple)));
        assert_eq!((all.known.len(), all.order.len()), (MOST_KNOWN, MOST_KNOWN));
    }
}
