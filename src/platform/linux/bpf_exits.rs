//! What compiled BPF programs return, read off their instructions (RFC 9669): for the tests that hold that programs
//! which could drop a packet or refuse a connection never do.

use libbpf_rs::libbpf_sys::bpf_insn;

/// Returns the first `exit` that does not come right after `r0 = value`, or to which something jumps.
pub fn exit_without(insns: &[bpf_insn], value: i32) -> Option<usize> {
    const EXIT: u8 = 0x95;
    /// `r0 = K`, `w0 = K`.
    const MOVES: [u8; 2] = [0xb7, 0xb4];
    const CALLS: [u8; 2] = [0x85, 0x8d];
    /// A jump whose distance stands in `imm`.
    const FAR: u8 = 0x06;
    let exits = insns.iter().enumerate().filter(|(_, insn)| insn.code == EXIT);
    exits.map(|(at, _)| at).find(|&exit| {
        let sets = exit
            .checked_sub(1)
            .map(|before| &insns[before])
            .is_some_and(|i| MOVES.contains(&i.code) && i.dst_reg() == 0 && i.imm == value);
        let jumps_here = |(at, jump): (usize, &bpf_insn)| {
            let is_jump = matches!(jump.code & 7, 5 | 6) && jump.code != EXIT && !CALLS.contains(&jump.code);
            let distance = if jump.code == FAR { jump.imm } else { i32::from(jump.off) };
            is_jump && at as i32 + 1 + distance == exit as i32
        };
        !sets || insns.iter().enumerate().any(jumps_here)
    })
}
