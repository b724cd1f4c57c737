//! Packets per second of the parser, by kind of frame.

use std::{hint::black_box, net::IpAddr, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustnet::{
    base::{
        ids::IfaceId,
        time::{Stamp, Tick},
    },
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::Descriptor,
        hash::Seed,
        key::WideKey,
        link::LinkType,
        parse::{FrameMeta, Layer, ParseConfig, Parser, Verdict},
    },
};

const FRAMES: usize = 1024;

/// One kind of frame, in `FRAMES` different flows, back to back as in a ring.
struct Load {
    name: &'static str,
    layer: Layer,
    bytes: Vec<u8>,
    frame_len: usize,
}

fn load(name: &'static str, layer: Layer, frame: impl Fn(u8, u8) -> Vec<u8>) -> Load {
    let frames: Vec<_> = (0..FRAMES).map(|n| frame((n >> 8) as u8, n as u8)).collect();
    Load { name, layer, frame_len: frames[0].len(), bytes: frames.concat() }
}

fn built(frame: Frame) -> Vec<u8> {
    let mut buffer = vec![0; 2000];
    let len = frame.write(&mut buffer).expect("frames are shorter than the buffer");
    buffer.truncate(len);
    buffer
}

fn v4(high: u8, low: u8) -> IpAddr {
    IpAddr::from([10, 0, high, low])
}

fn v6(high: u8, low: u8) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, u16::from(high), u16::from(low)])
}

const TCP: Body = Body::Tcp(Tcp {
    src_port: 50_000,
    dst_port: 443,
    seq_number: 1,
    ack_number: 1,
    flags: 0x10,
    window: 500,
    window_scale: None,
});

fn loads() -> Vec<Load> {
    let server = IpAddr::from([192, 0, 2, 1]);
    let server6 = v6(255, 255);
    let udp = Body::Udp(5000, 53);
    let outer = Layer::Outer;
    vec![
        load("tcp4", outer, |h, l| built(Frame::new(v4(h, l), server, TCP))),
        load("udp4", outer, |h, l| built(Frame::new(v4(h, l), server, udp))),
        load("vlan_tcp4", outer, |h, l| built(Frame::new(v4(h, l), server, TCP).vlans(&[7]))),
        load("qinq_tcp4", outer, |h, l| built(Frame::new(v4(h, l), server, TCP).vlans(&[7, 8]))),
        load("tcp6", outer, |h, l| built(Frame::new(v6(h, l), server6, TCP))),
        load("icmp4", outer, |h, l| built(Frame::new(v4(h, l), server, Body::Icmp(8, 0, 1)))),
        load("arp", outer, |h, l| built(Frame::new(v4(h, l), server, Body::Arp(1)))),
        load("vxlan_inner", Layer::Inner, |h, l| {
            let mut inside = vec![8, 0, 0, 0, 0, 0, 42, 0];
            inside.extend(built(Frame::new(v4(h, l), server, TCP)));
            built(Frame::new(v4(0, 1), v4(0, 2), Body::Udp(5000, 4789)).payload(&inside))
        }),
    ]
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(FRAMES as u64));
    for load in loads() {
        let mut parser = Parser::new(ParseConfig { layer: load.layer, vlan_in_key: false }, Seed::new(1));
        let meta = FrameMeta {
            wall: Stamp(1),
            wire_len: load.frame_len as u32,
            iface: IfaceId(0),
            link: LinkType::ETHERNET,
            gso_size: 0,
            stripped_vlan: None,
            outgoing: false,
            loopback: false,
        };
        let mut out = [Descriptor::default(); 64];
        let mut wide = [WideKey::default(); 64];
        group.bench_function(load.name, |b| {
            b.iter(|| {
                let mut flows = 0;
                for (n, frame) in load.bytes.chunks_exact(load.frame_len).enumerate() {
                    let (out, wide) = (&mut out[n % 64], &mut wide[n % 64]);
                    let is_flow = parser.plain(frame, &meta, Tick(1), out)
                        || parser.parse(frame, &meta, out, wide) == Verdict::Flow;
                    flows += usize::from(is_flow);
                }
                assert_eq!(black_box(flows), FRAMES);
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
