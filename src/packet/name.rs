//! What a flow is called by whoever reads its frames: its key without the secret of the reader that made the key.

use crate::packet::key::{FlowKey, WideKey};

/// The parts of a key that are the same for every reader of the same frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowName {
    /// Without `ends` where those are a digest.
    key: FlowKey,
    ends: [[u8; 16]; 2],
    /// Tunnel id, kind of tunnel, depth, VLAN: not the outer ends, of which there may be a digest, nor the interface,
    /// whose number is the reader's own.
    extension: (u32, u8, u8, u16),
}

impl FlowName {
    /// Returns the name of the flow with this key.
    pub fn of(key: &FlowKey, wide: &WideKey) -> Self {
        if !key.is_wide() {
            return Self { key: *key, ..Self::default() };
        }
        let e = &wide.extension;
        let extension = (e.tunnel_id, e.tunnel, e.depth, e.vlan);
        Self { key: FlowKey { ends: 0, ..*key }, ends: wide.ends, extension }
    }
}
