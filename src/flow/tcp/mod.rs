//! One TCP connection as a bystander sees it: states checked against sequence numbers,
//! retransmissions, order, round trips.
//!
//! Each end has its own state (RFC 9293 section 3.3.2). A bystander knows what an end sent, and that
//! something arrived only when the other end acknowledges it; so an end's state follows from the
//! bits of both ends, and nothing else is kept:
//!
//! | my FIN | their FIN | this end's state |
//! |---|---|---|
//! | - | - | SYN_SENT, SYN_RECV, ESTABLISHED by the handshake |
//! | sent | - | FIN_WAIT1 |
//! | acked | - | FIN_WAIT2 |
//! | - | acked | CLOSE_WAIT |
//! | sent | acked | CLOSING, or LAST_ACK if my FIN acknowledged theirs |
//! | acked | acked | TIME_WAIT, or CLOSED if my FIN acknowledged theirs |
//!
//! A listening end whose SYN was not answered yet has no connection; its row shows SYN_SENT.
//!
//! Segments are not validated beyond what changes a state: checksums, options and urgent data are
//! not looked at. Memory is constant, so of several gaps in a stream only the newest is remembered;
//! what fills an older one counts as retransmission.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "a record promises that zeros are a value")]

mod sequence;
mod timer;

use crate::{
    base::time::Stamp,
    flow::{entry::Evidence, health::Health, slab::Record, state::FlowState},
    packet::descriptor::tcp_flag::{ACK, FIN, RST, SYN},
};
use sequence::{End, Place, acknowledges, after, bit};
use timer::Timer;

/// Private working facts of one TCP connection: one cache line, zeros when nothing is known yet.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct TcpTrack {
    /// The low and the high end.
    ends: [End; 2],
    timer: Timer,
}

const _: () = assert!(size_of::<TcpTrack>() == 64);

// SAFETY: integers and arrays of them; zeros are a value, and `repr(C)` leaves no padding.
unsafe impl Record for TcpTrack {}

/// What a TCP segment says, in the terms of the flow's key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segment {
    /// The end that sent it: 0 the low end, 1 the high end.
    pub from: usize,
    /// Sequence number.
    pub seq_number: u32,
    /// Acknowledgement number, if ACK is set.
    pub ack_number: u32,
    /// The window field as it stands in the header.
    pub window: u16,
    /// With SYN: the window scale option plus 1; 0 without the option.
    pub window_scale: u8,
    /// The flags byte, see [`crate::packet::descriptor::tcp_flag`].
    pub flags: u8,
    /// Bytes of payload on the wire.
    pub payload_len: u32,
    /// The frame's own time.
    pub wall: Stamp,
    /// Its stamp lies a little before the flow's newest (several interfaces): it changes what is
    /// known, but never counts as retransmission and gives no round trip.
    pub late: bool,
    /// The subject's end is an address of this host, so the tap is beside it.
    pub subject_is_local: bool,
}

/// What a segment changed: 16 bytes, returned in registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The handshake's round trip in us if this segment ended the handshake, else 0.
    pub rtt_handshake_us: u32,
    /// The smoothed round trip of data in us if this segment gave a sample, else 0.
    pub rtt_data_us: u32,
    /// The state of the subject's end.
    pub state: FlowState,
    /// Who opened the connection, if this segment says so.
    pub initiator: Option<(u8, Evidence)>,
    /// A data segment all of whose bytes were seen before, or a repeated SYN or FIN; keep-alives and
    /// window probes are none.
    pub retransmit: bool,
    /// It brought unseen bytes after later ones.
    pub out_of_order: bool,
    /// A RST that the receiver will not take: it changed nothing.
    pub ignored_rst: bool,
}

const _: () = assert!(size_of::<Outcome>() == 16);

/// What is to be done about a segment, see [`TcpTrack::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// Nothing more.
    Done,
    /// [`TcpTrack::time`]: it may give a round trip, or the next one may begin with it.
    Timed,
    /// [`TcpTrack::segment`]: it was not taken note of, since it may change more than numbers.
    Unusual,
}

/// Bits of either end in whose absence a plain ACK changes no state.
const EVENTFUL: u16 = bit::FIN | bit::RESET | bit::PENDING | bit::TIMED_SYN;

impl TcpTrack {
    /// Returns whether the segment opens a new connection on a tuple whose connection in `state` is
    /// over: a SYN with another number than the one that opened it. The flow wants a new row.
    pub fn begins_anew(&self, state: FlowState, seg: &Segment) -> bool {
        seg.flags & (SYN | ACK | RST) == SYN
            && state.is_over()
            && !self.ends[seg.from & 1].began_with(seg.seq_number)
    }

    /// Takes note of a segment that carries data or acknowledges (an ACK without SYN, FIN and RST, not
    /// late) if it is the next one of an established connection, which changes numbers only.
    #[inline(always)]
    pub fn advance(&mut self, seg: &Segment) -> Advance {
        debug_assert!(seg.flags & (ACK | SYN | FIN | RST) == ACK && !seg.late);
        let from = seg.from & 1;
        let (me, peer) = (&self.ends[from], &self.ends[from ^ 1]);
        let bits = me.bits | peer.bits;
        let settled = bits & (EVENTFUL | bit::UP) == bit::UP
            && me.bits & (bit::KNOWN | bit::ACKED) == bit::KNOWN | bit::ACKED;
        // A window that is closed is counted elsewhere.
        if !settled || seg.seq_number != me.next || seg.payload_len == 1 || seg.window == 0 {
            return Advance::Unusual;
        }
        // No branch on what comes half of the time.
        let is_due = (seg.payload_len != 0) & self.timer.is_due(from, seg.wall);
        let is_known = peer.has(bit::KNOWN);
        let possible = !is_known || acknowledges(seg.ack_number, peer.next);
        let me = &mut self.ends[from];
        me.next = me.next.wrapping_add(seg.payload_len);
        if possible && !after(me.acked, seg.ack_number) {
            me.acked = seg.ack_number;
            me.window = seg.window;
        }
        if is_due | (bits & bit::TIMED_DATA != 0) { Advance::Timed } else { Advance::Done }
    }

    /// Stops and starts the timer with a segment that [`TcpTrack::advance`] took; `subject` is the end whose round
    /// trip is asked for. Returns what [`Outcome::rtt_data_us`] is.
    #[inline(always)]
    pub fn time(&mut self, seg: &Segment, subject: usize) -> u32 {
        let Self { ends, timer } = self;
        let (me, peer) = sides(ends, seg.from);
        let round_trip_us = stop_timer(timer, peer, seg, subject);
        if seg.payload_len != 0 && !me.has(bit::TIMED_DATA) {
            start_timer(timer, (me, peer), seg, subject);
        }
        round_trip_us
    }

    /// Takes note of one segment; `subject` is the end whose state is asked for.
    ///
    /// The next segment of an established connection takes the short way, see `benches/tcp.rs`.
    #[inline(always)]
    pub fn segment(&mut self, seg: &Segment, subject: usize) -> Outcome {
        if seg.flags & (ACK | SYN | FIN | RST) == ACK && !seg.late {
            let rtt_data_us = match self.advance(seg) {
                Advance::Done => 0,
                Advance::Timed => self.time(seg, subject),
                Advance::Unusual => return self.unusual(seg, subject),
            };
            return Outcome { state: FlowState::Established, rtt_data_us, ..Outcome::default() };
        }
        self.unusual(seg, subject)
    }

    /// Returns the sequence number of the first byte of one end's data, if its SYN was seen.
    pub const fn first_data(&self, end: usize) -> Option<u32> {
        let end = &self.ends[end & 1];
        if end.has(bit::SYN) || end.has(bit::SYN_ACK) { Some(end.first) } else { None }
    }

    /// Returns up to which number one end's bytes were acknowledged by the other, as far as that was seen.
    pub const fn acknowledged(&self, end: usize) -> Option<u32> {
        let peer = &self.ends[end & 1 ^ 1];
        if peer.has(bit::ACKED) { Some(peer.acked) } else { None }
    }

    /// Returns the number behind the last byte of one end that was seen.
    pub const fn front(&self, end: usize) -> u32 {
        self.ends[end & 1].next
    }

    /// Returns whether an end closed its window at some time.
    #[inline(always)]
    pub const fn has_zero_windows(&self) -> bool {
        self.timer.has_zero_windows()
    }

    /// Returns what readers are told of windows and of the legs of the round trip.
    pub const fn health(&self) -> Health {
        let [low, high] = &self.ends;
        Health {
            windows: [low.offered(high), high.offered(low)],
            zero_windows: [self.timer.zero_windows(0), self.timer.zero_windows(1)],
            legs_us: [self.timer.leg_us(0), self.timer.leg_us(1)],
        }
    }

    /// Returns the state of one end: 0 the low end, 1 the high end.
    #[inline]
    pub const fn state(&self, subject: usize) -> FlowState {
        let (me, peer) = (&self.ends[subject & 1], &self.ends[subject & 1 ^ 1]);
        let bits = me.bits | peer.bits;
        if bits & (bit::FIN | bit::RESET) == 0 {
            return match bits & bit::UP != 0 {
                true => FlowState::Established,
                false if me.has(bit::SYN_ACK) => FlowState::SynRecv,
                false if bits & bit::SYN != 0 => FlowState::SynSent,
                false => FlowState::Established,
            };
        }
        let mine_acked = me.fin_acked(peer);
        let theirs_acked = peer.fin_acked(me);
        if bits & bit::RESET != 0 {
            return if mine_acked && theirs_acked { FlowState::Closed } else { FlowState::Reset };
        }
        match (me.has(bit::FIN), peer.has(bit::FIN)) {
            (true, true) => match (mine_acked, theirs_acked, me.has(bit::PASSIVE)) {
                (true, true, false) => FlowState::TimeWait,
                (true, true, true) => FlowState::Closed,
                (true, false, _) => FlowState::FinWait2,
                (false, true, false) => FlowState::Closing,
                (false, true, true) => FlowState::LastAck,
                (false, false, _) => FlowState::FinWait1,
            },
            (true, false) if mine_acked => FlowState::FinWait2,
            (true, false) => FlowState::FinWait1,
            (false, _) if theirs_acked => FlowState::CloseWait,
            (false, _) => FlowState::Established,
        }
    }

    /// The sender of a segment, and the other end.
    #[inline]
    const fn sides(&mut self, from: usize) -> (&mut End, &mut End) {
        sides(&mut self.ends, from)
    }

    const fn any(&self, bits: u16) -> bool {
        self.ends[0].has(bits) || self.ends[1].has(bits)
    }

    /// Whatever is not the next segment of an established connection.
    #[inline(always)]
    fn unusual(&mut self, seg: &Segment, subject: usize) -> Outcome {
        let mut out = Outcome::default();
        match (seg.flags & RST != 0, seg.flags & SYN != 0, seg.flags & ACK != 0) {
            (true, _, _) => self.reset(seg, &mut out),
            (false, true, false) => self.syn(seg, &mut out),
            (false, true, true) => self.syn_ack(seg, &mut out),
            (false, false, _) => self.ordinary(seg, subject, &mut out),
        }
        out.state = self.state(subject);
        out
    }

    fn reset(&mut self, seg: &Segment, out: &mut Outcome) {
        let refused = self.timer.until == seg.ack_number && seg.flags & ACK != 0;
        let (me, peer) = self.sides(seg.from);
        // A refused SYN that did not belong here tells that the connection is gone, too.
        if peer.has(bit::PENDING) && refused || takes_reset(me, peer, seg) {
            me.bits |= bit::RESET;
            self.stop_all();
        } else {
            out.ignored_rst = true;
        }
    }

    fn syn(&mut self, seg: &Segment, out: &mut Outcome) {
        let is_up = self.any(bit::UP);
        let is_closing = self.any(bit::FIN | bit::RESET);
        let pending = self.timer.until;
        let (me, _) = self.sides(seg.from);
        if me.began_with(seg.seq_number) {
            out.initiator = Some((seg.from as u8 & 1, Evidence::Handshake));
            if me.has(bit::OPTIONS) {
                out.retransmit = !seg.late;
                me.bits &= !bit::TIMED_SYN;
            } else {
                // It came after what followed it.
                me.bits |= bit::SYN;
                me.read_options(seg.window_scale);
            }
            return;
        }
        if is_up && !is_closing {
            // Either the connection ended unseen and a new one begins, or somebody forges. The answer
            // or a second try will tell.
            let again = me.has(bit::PENDING) && pending == seg.seq_number.wrapping_add(1);
            if !again {
                self.stop_all();
                self.sides(seg.from).0.bits |= bit::PENDING;
                self.timer.start(seg.seq_number.wrapping_add(1), seg.wall);
                return;
            }
        }
        if is_up || is_closing || me.has(bit::SYN) {
            *self = Self::default();
        }
        out.initiator = Some((seg.from as u8 & 1, Evidence::Handshake));
        let (me, _) = self.sides(seg.from);
        me.begin(seg.seq_number, seg.payload_len);
        me.read_options(seg.window_scale);
        if seg.flags & FIN != 0 {
            me.next = me.next.wrapping_add(1);
            me.bits |= bit::FIN;
        }
        let until = me.first;
        if !seg.late && !self.any(bit::TIMED_SYN) {
            self.sides(seg.from).0.bits |= bit::TIMED_SYN;
            self.timer.start(until, seg.wall);
        }
    }

    fn syn_ack(&mut self, seg: &Segment, out: &mut Outcome) {
        let (_, peer) = self.sides(seg.from);
        if peer.has(bit::PENDING) && self.timer.until == seg.ack_number {
            // A new connection after an end that was not seen.
            let timer = self.timer;
            *self = Self { timer, ..Self::default() };
            let (_, peer) = self.sides(seg.from);
            peer.bits |= bit::TIMED_SYN;
        }
        let is_up = self.any(bit::UP);
        let (me, peer) = self.sides(seg.from);
        if !peer.has(bit::KNOWN) {
            peer.begin(seg.ack_number.wrapping_sub(1), 0);
        }
        if !peer.has(bit::SYN) && peer.first == seg.ack_number {
            // Its handshake came after what followed it.
            peer.bits |= bit::SYN;
        }
        if !peer.has(bit::SYN) || !peer.covers(seg.ack_number, 0) {
            return;
        }
        if me.began_with(seg.seq_number) {
            if me.has(bit::SYN_ACK) {
                out.retransmit = !seg.late;
                peer.bits &= !bit::TIMED_SYN;
            }
            me.bits |= bit::SYN;
            me.read_options(seg.window_scale);
        } else if is_up && me.has(bit::KNOWN) {
            return;
        } else {
            // NB: it also revives what a forged RST seemed to have ended.
            me.bits &= !bit::RESET;
            peer.bits &= !bit::RESET;
            me.begin(seg.seq_number, seg.payload_len);
            me.read_options(seg.window_scale);
        }
        out.initiator = Some((seg.from as u8 & 1 ^ 1, Evidence::Handshake));
        me.bits |= bit::SYN_ACK;
        // The window of a SYN is never scaled (RFC 7323 section 2.2).
        let shift = me.shift(peer).unwrap_or(0);
        me.acknowledge(seg.ack_number, seg.window >> shift, peer);
        if peer.has(bit::SYN_ACK) {
            me.bits |= bit::UP;
        }
        if seg.flags & FIN != 0 {
            fin((me, peer), seg, out);
        }
    }

    /// A segment without SYN and RST.
    #[inline]
    fn ordinary(&mut self, seg: &Segment, subject: usize, out: &mut Outcome) {
        let Self { ends, timer } = self;
        let (me, peer) = sides(ends, seg.from);
        let bits = me.bits | peer.bits;
        if bits & bit::UP == 0 && bits & bit::SYN != 0 {
            // One direction alone proves it too: who sends after its SYN was answered.
            let is_answer = !peer.has(bit::SYN) || peer.covers(seg.ack_number, LOST);
            if seg.flags & ACK == 0 || !is_answer {
                return;
            }
        }
        let in_order = me.has(bit::KNOWN) && me.next == seg.seq_number;
        let place = me.send(seg.seq_number, seg.payload_len, peer);
        if place != Place::Foreign {
            me.bits &= !bit::PENDING;
        }
        out.out_of_order = place == Place::Late;
        out.retransmit = place == Place::Again && !seg.late;
        if bits & bit::RESET != 0 {
            return;
        }
        me.bits |= bit::UP;
        if seg.flags & ACK != 0 {
            if me.acknowledge(seg.ack_number, seg.window, peer) {
                timer.count_zero_window(seg.from & 1);
            }
            if me.has(bit::TIMED_SYN) {
                me.bits &= !bit::TIMED_SYN;
                if peer.has(bit::SYN_ACK) && !seg.late {
                    out.rtt_handshake_us = timer.elapsed_us(seg.wall).unwrap_or(0);
                }
            }
            out.rtt_data_us = stop_timer(timer, peer, seg, subject);
        }
        if seg.payload_len != 0 {
            if place == Place::New && in_order && !seg.late {
                start_timer(timer, (me, peer), seg, subject);
            } else {
                me.bits &= !bit::TIMED_DATA;
            }
        }
        if seg.flags & FIN != 0 && place != Place::Foreign {
            fin((me, peer), seg, out);
        }
    }

    /// Forgets what the timer runs for.
    const fn stop_all(&mut self) {
        self.ends[0].bits &= !TIMED;
        self.ends[1].bits &= !TIMED;
    }
}

/// Returns the sender of a segment, and the other end.
#[inline]
const fn sides(ends: &mut [End; 2], from: usize) -> (&mut End, &mut End) {
    let [low, high] = ends;
    if from & 1 == 0 { (low, high) } else { (high, low) }
}

fn fin((me, peer): (&mut End, &mut End), seg: &Segment, out: &mut Outcome) {
    let last = seg.seq_number.wrapping_add(seg.payload_len).wrapping_add(u32::from(seg.flags & SYN != 0));
    match me.send_fin(last, peer) {
        Place::New => {
            if peer.fin_acked(me) {
                me.bits |= bit::PASSIVE;
            } else if peer.has(bit::FIN) && me.fin_acked(peer) {
                // Its FIN came first on the tap, but acknowledged this one.
                peer.bits |= bit::PASSIVE;
            }
        }
        Place::Again if seg.payload_len == 0 => out.retransmit = !seg.late,
        _ => {}
    }
}

/// Starts the timer on a data segment that is new and in order.
#[inline]
fn start_timer(timer: &mut Timer, (me, peer): (&mut End, &mut End), seg: &Segment, subject: usize) {
    let from = seg.from & 1;
    if !timer.is_due(from, seg.wall) {
        return;
    }
    let wins = from == subject & 1 || timer.is_untimed(from);
    let others = if wins { TIMED & !bit::TIMED_DATA } else { TIMED };
    if !me.has(TIMED) && !peer.has(others) {
        peer.bits &= !bit::TIMED_DATA;
        me.bits |= bit::TIMED_DATA;
        timer.start(me.next, seg.wall);
    }
}

/// Stops the timer if the segment acknowledges what it runs for. Returns the smoothed round trip in us if that is a
/// sample, else 0.
#[inline]
fn stop_timer(timer: &mut Timer, peer: &mut End, seg: &Segment, subject: usize) -> u32 {
    if !peer.has(bit::TIMED_DATA) || after(timer.until, seg.ack_number) {
        return 0;
    }
    peer.bits &= !bit::TIMED_DATA;
    if seg.late {
        return 0;
    }
    timer.sample(seg.from & 1 ^ 1, seg.wall);
    timer.round_trip_us(subject & 1, seg.subject_is_local)
}

/// What the one timer is used for.
const TIMED: u16 = bit::TIMED_SYN | bit::TIMED_DATA | bit::PENDING;
/// So many bytes may have been lost by the capture while a connection was opened.
const LOST: u32 = 1 << 20;

/// Returns whether `peer` takes a RST from `me` (RFC 9293 section 3.10.7, as far as seen).
const fn takes_reset(me: &End, peer: &End, seg: &Segment) -> bool {
    if peer.has(bit::ACKED) {
        let ahead = seg.seq_number.wrapping_sub(peer.acked);
        return match peer.right_edge(me) {
            Some(edge) => {
                ahead <= edge.wrapping_sub(peer.acked) || ahead as i32 >= 0 && seg.seq_number == me.next
            }
            None => ahead as i32 >= 0,
        };
    }
    if peer.has(bit::SYN) && !me.has(bit::KNOWN) {
        // In SYN_SENT it must acknowledge the SYN.
        return seg.flags & ACK != 0 && peer.covers(seg.ack_number, 0);
    }
    true
}

#[cfg(test)]
mod tests;
