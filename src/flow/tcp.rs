//! stand-in until the branch lands
#![expect(unsafe_code, reason = "stub")]
use crate::{
    base::{memory::Record, time::Stamp},
    flow::{entry::Evidence, state::FlowState},
};
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub struct TcpTrack {
    x: [u64; 8],
}
unsafe impl Record for TcpTrack {}
pub struct Segment {
    pub from: usize,
    pub seq_number: u32,
    pub ack_number: u32,
    pub window: u16,
    pub window_scale: u8,
    pub flags: u8,
    pub payload_len: u32,
    pub wall: Stamp,
    pub late: bool,
}
#[derive(Clone, Copy)]
pub struct Outcome {
    pub state: FlowState,
    pub retransmit: bool,
    pub out_of_order: bool,
    pub rtt_handshake_us: u32,
    pub rtt_data_us: u32,
    pub initiator: Option<(usize, Evidence)>,
}
impl TcpTrack {
    pub fn begins_anew(&self, _s: FlowState, _seg: &Segment) -> bool {
        true
    }
    pub fn segment(&mut self, seg: &Segment, _subject: usize, _state: FlowState) -> Outcome {
        self.x[0] += 1;
        Outcome {
            state: if seg.flags & 2 != 0 { FlowState::SynSent } else { FlowState::Established },
            retransmit: false,
            out_of_order: false,
            rtt_handshake_us: 0,
            rtt_data_us: 0,
            initiator: None,
        }
    }
    pub fn state(&self, _subject: usize) -> FlowState {
        FlowState::Established
    }
}
