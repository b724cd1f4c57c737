//! Splits one interface's frames over several sockets so that both directions of a flow meet.
//!
//! The kernel's own hash (`PACKET_FANOUT_HASH`) is symmetric, but it follows a tunnel to its inner
//! header, so that one outer flow, which is what a row is, would be spread over all rx threads.
//! Here a classic BPF program reads the outermost addresses and ports, as the parser does:
//!
//! ```text
//!   link ─▶ up to two tags left in the frame ─▶ IPv4 / IPv6 ─▶ ports, unless it is a fragment
//!                                            └▶ ARP: the two protocol addresses
//!   value = finish(end(source) + end(destination))     addition makes it symmetric
//! ```
//!
//! `end` is a seeded multiply-and-shift mix, so that nobody outside can steer flows onto one thread.
//! What it does not read (MPLS, PPPoE, IPX) goes to the first socket: never split, only not spread.
//! Fragments go by addresses alone, all of a datagram to one socket.

use libc::sock_filter;

use crate::platform::filter::Instruction;

/// Members of a group share the program and the seed.
pub fn program(seed: u32) -> Vec<sock_filter> {
    let mut a = Assembler::default();
    let [eth, ipv4, ipv6, arp, address_only, mix, other] = Label::all();
    let network_type = |a: &mut Assembler| {
        a.jump_if(0x0800, ipv4);
        a.jump_if(0x86dd, ipv6);
        a.jump_if(0x0806, arp);
    };

    for cell in [SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT] {
        a.load_constant(0);
        a.store(cell);
    }
    a.push(LD_W_ABS, (libc::SKF_AD_OFF + libc::SKF_AD_HATYPE) as u32);
    a.jump_if(u32::from(libc::ARPHRD_ETHER), eth);
    a.jump_if(u32::from(libc::ARPHRD_LOOPBACK), eth);

    // No link header that we know: the network header tells its version.
    a.push(LDX_IMM, libc::SKF_NET_OFF as u32);
    a.push(LD_B_IND, 0);
    a.push(AND_K, 0xf0);
    a.jump_if(0x40, ipv4);
    a.jump_if(0x60, ipv6);
    a.goto(other);

    // NB: offsets from the link header, not from the network header, which stands before or
    // behind the tags depending on the direction.
    a.label(eth);
    for tags in 0..=2 {
        a.push(LDX_IMM, (libc::SKF_LL_OFF as u32).wrapping_add(14 + 4 * tags));
        a.push(LD_H_ABS, (libc::SKF_LL_OFF as u32).wrapping_add(12 + 4 * tags));
        network_type(&mut a);
        if tags < 2 {
            let next = Label::fresh(tags as usize);
            a.jump_if(0x8100, next);
            a.jump_if(0x88a8, next);
            a.jump_if(0x9100, next);
            a.goto(other);
            a.label(next);
        }
    }
    a.goto(other);

    a.label(arp); // RFC 826: sender's address at 14, target's at 24, for Ethernet and IPv4.
    for (offset, cell) in [(14, SOURCE), (24, DESTINATION)] {
        a.push(LD_W_IND, offset);
        a.store(cell);
    }
    a.goto(mix);

    a.label(ipv4); // RFC 791 section 3.1
    for (offset, cell) in [(12, SOURCE), (16, DESTINATION)] {
        a.push(LD_W_IND, offset);
        a.store(cell);
    }
    a.push(LD_H_IND, 6);
    a.push(AND_K, 0x3fff); // more fragments, or an offset
    a.jump_unless(0, address_only);
    a.push(LD_B_IND, 9);
    a.jump_unless_any(PORTS, address_only);
    a.push(LD_B_IND, 0);
    a.push(AND_K, 15);
    a.push(LSH_K, 2);
    a.push(ADD_X, 0);
    a.push(TAX, 0);
    a.load_ports(0);
    a.goto(mix);

    a.label(ipv6); // RFC 8200 section 3; an extension header leaves the addresses
    for (offset, cell) in [(8, SOURCE), (24, DESTINATION)] {
        a.fold_address(offset, cell);
    }
    a.push(LD_B_IND, 6);
    a.jump_unless_any(PORTS, address_only);
    a.load_ports(40);
    a.goto(mix);

    a.label(address_only);
    a.label(mix);
    a.mix_end(SOURCE, SOURCE_PORT, seed);
    a.store(SOURCE);
    a.mix_end(DESTINATION, DESTINATION_PORT, seed);
    a.push(LDX_MEM, SOURCE);
    a.push(ADD_X, 0);
    a.fold_right(16);
    a.push(MUL_K, 0x7feb_352d);
    a.fold_right(15);
    a.push(RET_A, 0);

    a.label(other);
    a.push(RET_K, 0);
    a.finish()
}

/// A filter that lets nothing in.
pub fn drop_all() -> [sock_filter; 1] {
    [statement(RET_K, 0)]
}

/// A filter that keeps the first `bytes` of each frame.
pub fn keep(bytes: u32) -> [sock_filter; 1] {
    [statement(RET_K, bytes)]
}

/// Returns a program of the user's as the kernel wants it.
pub fn assemble(program: impl Iterator<Item = Instruction>) -> Vec<sock_filter> {
    program.map(|Instruction { code, jumps: [jt, jf], k }| sock_filter { code, jt, jf, k }).collect()
}

// Cells of the program's scratch memory.
const SOURCE: u32 = 0;
const DESTINATION: u32 = 1;
const SOURCE_PORT: u32 = 2;
const DESTINATION_PORT: u32 = 3;
const SCRATCH: u32 = 4;
const BASE: u32 = 5;

/// Protocols with ports: TCP, UDP, SCTP, UDP-Lite.
const PORTS: &[u32] = &[6, 17, 132, 136];

// Instruction codes (linux/bpf_common.h).
const LD_W_ABS: u16 = 0x20;
const LD_H_ABS: u16 = 0x28;
const LD_W_IND: u16 = 0x40;
const LD_H_IND: u16 = 0x48;
const LD_B_IND: u16 = 0x50;
const LD_MEM: u16 = 0x60;
const LD_IMM: u16 = 0x00;
const LDX_IMM: u16 = 0x01;
const LDX_MEM: u16 = 0x61;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ADD_X: u16 = 0x0c;
const MUL_K: u16 = 0x24;
const AND_K: u16 = 0x54;
const LSH_K: u16 = 0x64;
const RSH_K: u16 = 0x74;
const XOR_K: u16 = 0xa4;
const XOR_X: u16 = 0xac;
const JA: u16 = 0x05;
const JEQ_K: u16 = 0x15;
const RET_K: u16 = 0x06;
const RET_A: u16 = 0x16;
const TAX: u16 = 0x07;

const fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

impl Label {
    fn all<const N: usize>() -> [Self; N] {
        std::array::from_fn(Self)
    }

    /// Labels beyond those of `all`.
    fn fresh(n: usize) -> Self {
        Self(16 + n)
    }
}

/// Writes a program with forward jumps to labels.
#[derive(Default)]
struct Assembler {
    code: Vec<sock_filter>,
    jumps: Vec<(usize, Label)>,
    places: Vec<(Label, usize)>,
}

impl Assembler {
    fn push(&mut self, code: u16, k: u32) {
        self.code.push(statement(code, k));
    }

    fn label(&mut self, label: Label) {
        self.places.push((label, self.code.len()));
    }

    fn load_constant(&mut self, k: u32) {
        self.push(LD_IMM, k);
    }

    fn store(&mut self, cell: u32) {
        self.push(ST, cell);
    }

    fn goto(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.push(JA, 0);
    }

    /// Goes to `label` if A is `k`. A conditional jump reaches 255 instructions only, so it skips
    /// over an unconditional one.
    fn jump_if(&mut self, k: u32, label: Label) {
        self.code.push(sock_filter { code: JEQ_K, jt: 0, jf: 1, k });
        self.goto(label);
    }

    fn jump_unless(&mut self, k: u32, label: Label) {
        self.code.push(sock_filter { code: JEQ_K, jt: 1, jf: 0, k });
        self.goto(label);
    }

    fn jump_unless_any(&mut self, ks: &[u32], label: Label) {
        for (i, k) in ks.iter().enumerate() {
            self.code.push(sock_filter { code: JEQ_K, jt: (ks.len() - i) as u8, jf: 0, k: *k });
        }
        self.goto(label);
    }

    /// Stores the two ports at X + `offset`.
    fn load_ports(&mut self, offset: u32) {
        for (offset, cell) in [(offset, SOURCE_PORT), (offset + 2, DESTINATION_PORT)] {
            self.push(LD_H_IND, offset);
            self.store(cell);
        }
    }

    /// Stores 16 bytes at X + `offset`, folded to 32 bits. X stays.
    fn fold_address(&mut self, offset: u32, cell: u32) {
        self.push(STX, BASE);
        self.push(LD_W_IND, offset);
        for word in 1..4 {
            self.push(MUL_K, 0x9e37_79b1);
            self.store(SCRATCH);
            self.push(LD_W_IND, offset + 4 * word);
            self.push(LDX_MEM, SCRATCH);
            self.push(XOR_X, 0);
            self.push(LDX_MEM, BASE);
        }
        self.store(cell);
    }

    /// A = mix of an end's address and port.
    fn mix_end(&mut self, address: u32, port: u32, seed: u32) {
        self.push(LD_MEM, port);
        self.push(MUL_K, 0x85eb_ca6b);
        self.push(LDX_MEM, address);
        self.push(XOR_X, 0);
        self.push(XOR_K, seed);
        self.push(MUL_K, 0xcc9e_2d51);
        self.fold_right(15);
        self.push(MUL_K, 0x1b87_3593);
        self.fold_right(13);
    }

    /// A ^= A >> `bits`.
    fn fold_right(&mut self, bits: u32) {
        self.store(SCRATCH);
        self.push(RSH_K, bits);
        self.push(LDX_MEM, SCRATCH);
        self.push(XOR_X, 0);
    }

    fn finish(mut self) -> Vec<sock_filter> {
        for (at, label) in self.jumps {
            let (_, place) =
                self.places.iter().find(|(l, _)| *l == label).expect("every label that is used is placed");
            self.code[at].k = (place - at - 1) as u32;
        }
        self.code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would; `network` is where the network header stands.
    fn run(program: &[sock_filter], frame: &[u8], hatype: u32, network: usize) -> u32 {
        let (mut a, mut x, mut mem, mut pc) = (0u32, 0u32, [None::<u32>; 16], 0usize);
        let at = |k: u32, n: usize| -> Option<u32> {
            let k = k as i32;
            let start = if k >= libc::SKF_NET_OFF {
                network + (k - libc::SKF_NET_OFF) as usize
            } else {
                (k - libc::SKF_LL_OFF) as usize
            };
            Some(frame.get(start..start + n)?.iter().fold(0, |v, b| v << 8 | u32::from(*b)))
        };
        loop {
            let sock_filter { code, jt, jf, k } = program[pc];
            pc += 1;
            let load = match code {
                LD_W_ABS if k == (libc::SKF_AD_OFF + libc::SKF_AD_HATYPE) as u32 => Some(Some(hatype)),
                LD_H_ABS => Some(at(k, 2)),
                LD_W_IND => Some(at(k.wrapping_add(x), 4)),
                LD_H_IND => Some(at(k.wrapping_add(x), 2)),
                LD_B_IND => Some(at(k.wrapping_add(x), 1)),
                _ => None,
            };
            match (load, code) {
                (Some(None), _) => return 0, // outside of the frame
                (Some(Some(v)), _) => a = v,
                (_, LD_IMM) => a = k,
                (_, LDX_IMM) => x = k,
                (_, LD_MEM) => a = mem[k as usize].expect("stored before"),
                (_, LDX_MEM) => x = mem[k as usize].expect("stored before"),
                (_, ST) => mem[k as usize] = Some(a),
                (_, STX) => mem[k as usize] = Some(x),
                (_, ADD_X) => a = a.wrapping_add(x),
                (_, MUL_K) => a = a.wrapping_mul(k),
                (_, AND_K) => a &= k,
                (_, LSH_K) => a <<= k,
                (_, RSH_K) => a >>= k,
                (_, XOR_K) => a ^= k,
                (_, XOR_X) => a ^= x,
                (_, TAX) => x = a,
                (_, JA) => pc += k as usize,
                (_, JEQ_K) => pc += usize::from(if a == k { jt } else { jf }),
                (_, RET_K) => return k,
                (_, RET_A) => return a,
                other => panic!("{other:?}"),
            }
        }
    }

    fn ether(tags: &[u16], ethertype: u16, network: &[u8]) -> Vec<u8> {
        let mut f = vec![2; 12];
        for tpid in tags {
            f.extend_from_slice(&tpid.to_be_bytes());
            f.extend_from_slice(&[0, 5]);
        }
        f.extend_from_slice(&ethertype.to_be_bytes());
        f.extend_from_slice(network);
        f
    }

    fn ipv4(protocol: u8, fragment: u16, ends: [(u8, u16); 2], options: u8) -> Vec<u8> {
        let [(s, sp), (d, dp)] = ends;
        let mut p = vec![0x45 + options, 0, 0, 40, 0, 1];
        p.extend_from_slice(&fragment.to_be_bytes());
        p.extend_from_slice(&[64, protocol, 0, 0, 10, 0, 0, s, 10, 0, 0, d]);
        p.extend(std::iter::repeat_n(1, usize::from(options) * 4));
        p.extend_from_slice(&sp.to_be_bytes());
        p.extend_from_slice(&dp.to_be_bytes());
        p.extend_from_slice(&[0; 16]);
        p
    }

    fn ipv6(next: u8, ends: [(u8, u16); 2]) -> Vec<u8> {
        let [(s, sp), (d, dp)] = ends;
        let mut p = vec![0x60, 0, 0, 0, 0, 20, next, 64];
        for host in [s, d] {
            p.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        }
        p.extend_from_slice(&sp.to_be_bytes());
        p.extend_from_slice(&dp.to_be_bytes());
        p.extend_from_slice(&[0; 16]);
        p
    }

    #[test]
    fn both_directions_give_the_same_value_under_every_header() {
        let p = program(0x1234_5678);
        assert!(p.len() < 4096, "the kernel's limit");
        for port in [1u16, 443, 40_000, 65_535] {
            let there = [(1, port), (2, 53)];
            let back = [(2, 53), (1, port)];
            type Make<'a> = &'a dyn Fn([(u8, u16); 2]) -> Vec<u8>;
            let cases: [(&str, u32, usize, Make); 9] = [
                ("tcp", 1, 14, &|e| ether(&[], 0x0800, &ipv4(6, 0, e, 0))),
                ("udp with options", 1, 14, &|e| ether(&[], 0x0800, &ipv4(17, 0x4000, e, 2))),
                ("icmp", 772, 14, &|e| ether(&[], 0x0800, &ipv4(1, 0, e, 0))),
                ("one tag", 1, 18, &|e| ether(&[0x8100], 0x0800, &ipv4(6, 0, e, 0))),
                ("two tags", 1, 16, &|e| ether(&[0x88a8, 0x8100], 0x86dd, &ipv6(17, e))),
                ("ipv6", 1, 14, &|e| ether(&[], 0x86dd, &ipv6(6, e))),
                ("ipv6 icmp", 1, 14, &|e| ether(&[], 0x86dd, &ipv6(58, e))),
                ("tun", 0xfffe, 0, &|e| ipv4(6, 0, e, 0)),
                ("tun ipv6", 0xfffe, 0, &|e| ipv6(17, e)),
            ];
            for (name, hatype, network, make) in cases {
                let value = run(&p, &make(there), hatype, network);
                assert_eq!(value, run(&p, &make(back), hatype, network), "{name}");
                assert_ne!(value, 0, "{name}: read at all");
            }
        }
    }

    #[test]
    fn value_does_not_depend_on_tags_but_on_ports_seed_and_fragments() {
        let (p, ends) = (program(7), [(1, 1000), (2, 2000)]);
        let value = |frame: &[u8]| run(&p, frame, 1, 14);
        let plain = value(&ether(&[], 0x0800, &ipv4(6, 0, ends, 0)));
        assert_eq!(plain, value(&ether(&[0x8100, 0x8100], 0x0800, &ipv4(6, 0, ends, 0))));
        assert_ne!(plain, value(&ether(&[], 0x0800, &ipv4(6, 0, [(1, 1000), (2, 2001)], 0))));
        assert_ne!(plain, run(&program(8), &ether(&[], 0x0800, &ipv4(6, 0, ends, 0)), 1, 14));
        let first = value(&ether(&[], 0x0800, &ipv4(17, 0x2000, ends, 0)));
        let last = value(&ether(&[], 0x0800, &ipv4(17, 0x00b9, [(1, 0xffff), (2, 0xaaaa)], 0)));
        assert_eq!(first, last, "all fragments of a datagram go one way");
    }

    #[test]
    fn tunnels_go_by_their_outer_addresses() {
        let p = program(7);
        let gre = |inner_port| {
            let mut outer = ipv4(47, 0, [(1, 0), (2, 0x0800)], 0);
            outer.truncate(24);
            outer.extend_from_slice(&ipv4(6, 0, [(9, inner_port), (8, 80)], 0));
            run(&p, &ether(&[], 0x0800, &outer), 1, 14)
        };
        assert_eq!(gre(1), gre(2));
    }

    #[test]
    fn values_spread_evenly() {
        let p = program(99);
        let mut members = [0u32; 8];
        for n in 0..8000u16 {
            let frame = ether(&[], 0x0800, &ipv4(6, 0, [((n >> 8) as u8, 1024 + n), (200, 443)], 0));
            members[run(&p, &frame, 1, 14) as usize % 8] += 1;
        }
        assert!(members.iter().all(|n| (850..1150).contains(n)), "{members:?}");
    }

    #[test]
    fn short_and_foreign_frames_go_to_the_first_member() {
        let p = program(7);
        let whole = ether(&[0x8100], 0x86dd, &ipv6(6, [(1, 1), (2, 2)]));
        for cut in 0..60 {
            assert_eq!(run(&p, &whole[..cut], 1, 14), 0, "{cut}");
        }
        assert_eq!(run(&p, &ether(&[], 0x8847, &[0; 40]), 1, 14), 0);
        assert_eq!(run(&p, &ether(&[0x8100; 3], 0x0800, &[0; 40]), 1, 14), 0);
    }
}
