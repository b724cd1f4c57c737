//! stand-in
use crate::{
    flow::{entry::Evidence, state::FlowState},
    packet::descriptor::Descriptor,
};
pub fn state_of(d: &Descriptor) -> FlowState {
    if d.key.proto == 17 { FlowState::Udp } else { FlowState::Active }
}
pub fn initiator_of(d: &Descriptor) -> (usize, Evidence) {
    (d.from(), Evidence::FirstPacket)
}
