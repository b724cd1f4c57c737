//! Payloads of flows that are not classified yet, on their way to the inspector and back.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::{memory::prefetch, time::Tick},
    dpi::{
        echoes::Echo,
        fact::Fact,
        inspector::{Approach, Flow, Judgement, Subject},
        notes::{Learned, Phase},
    },
    flow::{
        entry::Evidence,
        state::{EndReason, FlowState},
        table::{EndedFlows, FlowTable, NONE, batch::Candidate, is_half_open, keeps_state, says_something},
    },
    packet::{
        descriptor::{Descriptor, tcp_flag},
        key::{WideKey, kind, proto},
        line::Line,
        payload::Payloads,
    },
};

impl FlowTable {
    /// Starts loading where the inspection of the flow in a slot stands.
    #[inline(always)]
    pub(super) fn approach_inspection(&self, slot: u32) {
        if let Some(inspector) = &self.inspector {
            inspector.prefetch(slot);
        }
    }

    /// Returns whether a frame's payload may be looked at, which most flows' are not any more, and starts loading where
    /// the inspection of its flow stands: all without a branch that any two frames may differ in.
    #[inline(always)]
    pub(super) fn may_look(&self, slot: u32, frame: &Descriptor) -> bool {
        let Some(inspector) = &self.inspector else { return false };
        let may_look = inspector.may_look(slot) & says_something(frame);
        inspector.prefetch(std::hint::select_unpredictable(may_look, slot, 0));
        may_look
    }

    /// Starts loading the memory of the inspections that a batch goes on with, and the payloads that are looked at: of the
    /// frames whose bit in `looked_at` is set.
    #[inline]
    pub(super) fn approach_conversations(
        &self,
        batch: &[Candidate<'_>],
        mut looked_at: u32,
        lines: &[Line],
        payloads: &impl Payloads,
    ) {
        /// The beginning of a payload: what is behind it the processor foresees.
        const BEGINNING: usize = 128;
        let Some(inspector) = &self.inspector else { return };
        let mut goes_on = 0_u32;
        while looked_at != 0 {
            let n = looked_at.trailing_zeros();
            looked_at &= looked_at - 1;
            let Candidate { frame, slot, at, .. } = batch[n as usize];
            if slot != NONE {
                match inspector.approach(slot, frame.key.proto) {
                    // What tells a phase stands beside the header, which rx has read.
                    Approach::Followed => continue,
                    // Its generation is part of the name under which what is learned goes out.
                    Approach::Begins => prefetch(self.origins.address(slot)),
                    Approach::Goes => goes_on |= 1 << n,
                }
            }
            let payload = payloads.of(lines, at as usize);
            for line in payload[..payload.len().min(BEGINNING)].chunks(64) {
                prefetch(line.as_ptr());
            }
        }
        // What each of them keeps elsewhere: that they wait for one another's first line is what these loads share.
        while goes_on != 0 {
            let Candidate { frame, slot, .. } = batch[goes_on.trailing_zeros() as usize];
            inspector.approach_memory(slot, frame.key.proto);
            goes_on &= goes_on - 1;
        }
    }

    /// Ends a QUIC connection that was closed if this frame begins another one on the same ends.
    #[inline(always)]
    pub(super) fn make_way<'a>(
        &mut self,
        candidate: &Candidate<'_>,
        wide: &WideKey,
        payload: impl FnOnce() -> &'a [u8],
        ended: &mut impl EndedFlows,
    ) {
        let &Candidate { frame, slot, .. } = candidate;
        if slot != NONE
            && self.hot.get(slot).state.is_quic_over()
            && self.is_flow(slot, frame, wide)
            && self.begins_another(slot, frame, payload())
        {
            self.end(slot, EndReason::Replaced, ended);
        }
    }

    #[cold]
    pub(super) fn begins_another(&self, slot: u32, frame: &Descriptor, payload: &[u8]) -> bool {
        let hot = self.hot.get(slot);
        let Some(inspector) = self.inspector.as_ref().filter(|_| hot.roles.is_inspected()) else {
            return false;
        };
        let is_elsewhere = self.config.home_interfaces && hot.iface != frame.iface;
        let (payload, wire_len) = datagrams(payload, frame).next().unwrap_or_default();
        !is_elsewhere && !keeps_state(frame) && inspector.renews(slot, payload, wire_len)
    }

    /// Has a payload looked at.
    #[inline(never)]
    pub(super) fn inspect(
        &mut self,
        slot: u32,
        frame: &Descriptor,
        payload: &[u8],
        ended: &mut impl EndedFlows,
    ) {
        let Some(inspector) = &self.inspector else { return };
        if frame.key.proto == proto::UDP
            && frame.segments <= 1
            && let Some(phase) = inspector.followed(slot, payload)
        {
            return self.follow(slot, frame.tick, phase);
        }
        self.ask(slot, frame, payload, ended);
    }

    /// Has recognisers asked about a payload. Kept apart, so that following a phase takes few registers.
    #[inline(never)]
    fn ask(&mut self, slot: u32, frame: &Descriptor, payload: &[u8], ended: &mut impl EndedFlows) {
        let Some(inspector) = &mut self.inspector else { return };
        let hot = self.hot.get(slot);
        let generation = &self.origins.get(slot).generation;
        let mut subject = Subject {
            flow: Flow { worker: self.config.worker, slot, generation },
            from: frame.from(),
            client: hot.roles.initiator(),
            opened: hot.roles.evidence() == Evidence::Handshake as u8,
            starts: [None; 2],
            acknowledged: [None; 2],
            seq_number: frame.seq_number,
            closes: false,
            ports: hot.key.ports,
            wall: frame.wall,
            payload,
            wire_len: frame.payload_len as usize,
        };
        let judgement = if hot.key.proto == proto::TCP {
            let track = &self.tcp[slot as usize];
            subject.starts = [track.first_data(0), track.first_data(1)];
            subject.acknowledged = [track.acknowledged(0), track.acknowledged(1)];
            subject.closes = frame.tcp_flags & (tcp_flag::FIN | tcp_flag::RST) != 0;
            // A SYN takes a number of its own, before its data (RFC 9293 section 3.4).
            let is_syn = frame.tcp_flags & tcp_flag::SYN != 0;
            subject.seq_number = frame.seq_number.wrapping_add(u32::from(is_syn));
            inspector.segment(&subject, ended)
        } else {
            let mut sum = Judgement::default();
            for (payload, wire_len) in datagrams(payload, frame) {
                // NB: in place. A copy would read in pieces of 16 bytes what was just written field by field, and wait
                // for all of it to arrive (10 ns).
                (subject.payload, subject.wire_len) = (payload, wire_len);
                let judgement = inspector.datagram(&subject, ended);
                sum.phase = judgement.phase.or(sum.phase);
                sum.client = sum.client.or(judgement.client);
                sum.settled = judgement.settled;
                if sum.settled {
                    break;
                }
            }
            sum
        };
        if judgement != Judgement::default() {
            self.judge(slot, frame.tick, judgement);
        }
    }

    /// Has what headers say looked at: an ICMP echo's number, the address in an ARP reply.
    pub(super) fn inspect_header(&mut self, slot: u32, frame: &Descriptor, ended: &mut impl EndedFlows) {
        const ARP_REPLY: u32 = 2;
        let Some(inspector) = &mut self.inspector else { return };
        if frame.key.proto == proto::UDP {
            return;
        }
        let generation = &self.origins.get(slot).generation;
        let flow = Flow { worker: self.config.worker, slot, generation };
        if frame.key.kind & kind::ARP != 0 {
            if frame.seq_number == ARP_REPLY {
                let ([a, b, c, d], [e, f]) = (frame.ack_number.to_be_bytes(), frame.window.to_be_bytes());
                inspector.hardware(flow, [a, b, c, d, e, f], ended);
            }
            return;
        }
        let is_reply = match (frame.key.proto, frame.ack_number >> 8) {
            (proto::ICMP, 8) | (proto::ICMPV6, 128) => false,
            (proto::ICMP, 0) | (proto::ICMPV6, 129) => true,
            _ => return,
        };
        if !keeps_state(frame) {
            let (id, seq_number) = (frame.seq_number as u16, frame.window);
            inspector.echo(flow, Echo { id, seq_number, from: frame.from(), is_reply }, frame.wall, ended);
        }
    }

    /// Passes on what a file says of a packet, to the flow that has it. It is kept where facts are: none without
    /// inspection.
    #[cold]
    pub(super) fn comment(
        &self,
        line: &Descriptor,
        wide: &WideKey,
        text: &[u8],
        ended: &mut impl EndedFlows,
    ) {
        let slot = self.index.find(line.hash, |slot| self.is_flow(slot, line, wide));
        if let Some(slot) = slot.filter(|_| self.inspector.is_some()) {
            let generation = &self.origins.get(slot).generation;
            let flow = Flow { worker: self.config.worker, slot, generation };
            ended.learned(flow.id(), Learned::Fact(Fact::Comment, text));
        }
    }

    /// Takes note of the phase of a flow of which nothing else is followed.
    fn follow(&mut self, slot: u32, now: Tick, phase: Option<Phase>) {
        let hot = self.hot.get_mut(slot);
        let state = phase.map_or(hot.state, |phase| hot.state.in_phase(phase));
        if state != hot.state {
            self.enter_phase(slot, now, state);
        }
    }

    /// Puts a flow into a state that its payload told.
    fn enter_phase(&mut self, slot: u32, now: Tick, state: FlowState) {
        let hot = self.hot.get_mut(slot);
        debug_assert_eq!(is_half_open(hot.state), is_half_open(state), "payload opens no connection");
        if state.counts_from_entry() {
            hot.tick = now;
        }
        hot.state = state;
        self.expect_end(slot, now, state);
    }

    /// Draws the consequences of an inspection.
    pub(super) fn judge(&mut self, slot: u32, now: Tick, judgement: Judgement) {
        let hot = self.hot.get_mut(slot);
        let mut roles = hot.roles;
        roles.set_inspected(!judgement.settled);
        if let Some(client) = judgement.client {
            roles.learn(client & 1, Evidence::Application);
        }
        let mut state = judgement.phase.map_or(hot.state, |phase| hot.state.in_phase(phase));
        if hot.key.proto == proto::TCP && roles.subject() != hot.roles.subject() {
            // TCP's state is that of the subject's end.
            let seen = self.tcp[slot as usize].state(roles.subject());
            if seen.of_transport() != state.of_transport() {
                state = seen;
            }
        }
        hot.roles = roles;
        if state != hot.state {
            self.enter_phase(slot, now, state);
        }
    }
}

/// Returns the datagrams of a frame, as far as they were captured, each with its length on the wire: a super-frame
/// has several.
fn datagrams<'a>(payload: &'a [u8], frame: &Descriptor) -> impl Iterator<Item = (&'a [u8], usize)> {
    let whole = frame.payload_len as usize;
    let len = match frame.window {
        size if frame.segments > 1 && size > 0 => usize::from(size),
        _ => whole.max(1),
    };
    (0..whole).step_by(len).map_while(move |at| {
        // What was not captured at all cannot be looked at, but the first one tells its length.
        let rest = payload.get(at..).filter(|rest| at == 0 || !rest.is_empty())?;
        Some((&rest[..rest.len().min(len)], len.min(whole - at)))
    })
}
