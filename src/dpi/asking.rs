//! Asking recognisers about the bytes of a flow.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::time::Nanos,
    dpi::{
        notes::{Learn, Notes, Phase},
        recogniser::{RECOGNISERS, Recogniser, Verdict},
        said::Passer,
        service::Service,
        subject::Subject,
        talk::{Datagram, HEAD, MEMORY, Streams},
    },
};

/// Who is to be asked.
#[derive(Clone, Copy)]
pub struct Asking {
    /// Recognisers that have not said no, one bit each.
    pub candidates: u128,
    /// The number of the one that knows the flow, plus 1: only that one is asked.
    pub chosen: u32,
}

/// What asking around came to.
#[derive(Clone, Copy)]
pub enum Asked {
    /// This one knows it.
    Chosen(usize, Verdict),
    /// These have not said no.
    Open(u128),
}

/// What they said.
#[derive(Clone, Copy)]
pub struct Answer {
    /// Who knows the flow, or may.
    pub asked: Asked,
    /// The flow's phase, if one was named.
    pub phase: Option<Phase>,
    /// The client's side, if the bytes tell it.
    pub client: Option<usize>,
    /// Bytes of a datagram's memory that may be other than zeros now.
    pub keeps: usize,
    /// A label other than the recogniser's own.
    pub label: Option<Service>,
    /// Of a connection: from now on time counts, see [`Notes::waits`].
    pub waits: bool,
}

impl Asking {
    /// Asks about a connection that has waited for so long.
    #[inline]
    pub fn streams<L: Learn>(
        self,
        view: &Streams<'_>,
        waited: Option<Nanos>,
        passer: &mut Passer<'_, L>,
    ) -> Answer {
        let mut notes = Notes::new(passer);
        notes.waited = waited;
        let asked = self.ask(|r| match r.streams {
            Some(recognise) => recognise(view, &mut notes),
            None => Verdict::No,
        });
        let (phase, client, waits) = (notes.phase, notes.client, notes.waits);
        Answer { asked, phase, client, keeps: 0, label: passer.service, waits }
    }

    /// Asks about a datagram, which is the flow's `nth`.
    #[inline]
    pub fn datagram<L: Learn>(
        self,
        subject: &Subject<'_>,
        (nth, before): (u32, [&[u8]; 2]),
        memory: &mut [u8; MEMORY],
        passer: &mut Passer<'_, L>,
    ) -> Answer {
        let mut notes = Notes::new(passer);
        let mut datagram = Datagram {
            bytes: subject.payload,
            wire_len: subject.wire_len,
            from: subject.from & 1,
            client: subject.client,
            ports: subject.ports,
            wall: subject.wall,
            nth,
            before,
            memory,
            keeps: 0,
        };
        let asked = self.ask(|r| match r.datagram {
            Some(recognise) => {
                datagram.keeps = r.keeps;
                recognise(&mut datagram, &mut notes)
            }
            None => Verdict::No,
        });
        // Who does not know the flow left its memory as it was.
        let is_known = self.chosen != 0 || matches!(asked, Asked::Chosen(..));
        let keeps = if is_known { datagram.keeps } else { 0 };
        let (phase, client) = (notes.phase, notes.client);
        Answer { asked, phase, client, keeps, label: passer.service, waits: false }
    }

    #[inline]
    fn ask(self, mut judge: impl FnMut(&Recogniser) -> Verdict) -> Asked {
        if let Some(n) = self.chosen.checked_sub(1) {
            return match judge(&RECOGNISERS[n as usize]) {
                Verdict::More => Asked::Chosen(n as usize, Verdict::Is),
                Verdict::No => Asked::Open(0),
                verdict => Asked::Chosen(n as usize, verdict),
            };
        }
        let mut open = self.candidates;
        let mut left = self.candidates;
        while left != 0 {
            let n = left.trailing_zeros() as usize;
            left &= left - 1;
            match judge(&RECOGNISERS[n]) {
                Verdict::No => open &= !(1 << n),
                Verdict::More => {}
                verdict => return Asked::Chosen(n, verdict),
            }
        }
        Asked::Open(open)
    }
}

/// The beginnings of each side's last datagram, each with its length behind it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Heads([[u8; HEAD + 1]; 2]);

impl Heads {
    /// Returns them; empty of a side that has sent none.
    #[inline]
    pub fn get(&self) -> [&[u8]; 2] {
        let of = |side: usize| {
            let (len, bytes) = self.0[side].split_last().expect("more than HEAD bytes");
            &bytes[..usize::from(*len)]
        };
        [of(0), of(1)]
    }

    /// Keeps the beginning of a side's datagram.
    #[inline]
    pub fn put(&mut self, from: usize, payload: &[u8]) {
        let len = payload.len().min(HEAD);
        self.0[from][..len].copy_from_slice(&payload[..len]);
        self.0[from][HEAD] = len as u8;
    }

    /// Forgets both.
    #[inline]
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(|head| head[HEAD] = 0);
    }
}
