//! Writers for the capture formats, every variant, right or wrong on purpose.

/// One frame as a file holds it.
#[derive(Clone, Debug)]
pub struct Frame {
    pub secs: u32,
    pub fraction: u32,
    pub bytes: Vec<u8>,
    pub wire_len: u32,
}

/// Returns `n` frames of growing length with times a little apart.
pub fn frames(n: usize) -> Vec<Frame> {
    (0..n)
        .map(|i| {
            let bytes: Vec<u8> = (0..i * 7).map(|b| (b * 31 + i) as u8).collect();
            let wire_len = bytes.len() as u32 + i as u32 % 3;
            Frame { secs: 1_700_000_000 + i as u32, fraction: 1000 * i as u32 + 1, bytes, wire_len }
        })
        .collect()
}

/// Byte order of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    pub fn half(self, out: &mut Vec<u8>, value: u16) {
        match self {
            Order::Little => out.extend(value.to_le_bytes()),
            Order::Big => out.extend(value.to_be_bytes()),
        }
    }

    pub fn word(self, out: &mut Vec<u8>, value: u32) {
        match self {
            Order::Little => out.extend(value.to_le_bytes()),
            Order::Big => out.extend(value.to_be_bytes()),
        }
    }

    pub fn long(self, out: &mut Vec<u8>, value: u64) {
        match self {
            Order::Little => out.extend(value.to_le_bytes()),
            Order::Big => out.extend(value.to_be_bytes()),
        }
    }
}

/// A variant of classic pcap.
#[derive(Clone, Copy, Debug)]
pub struct PcapShape {
    pub order: Order,
    pub magic: u32,
    pub version: (u16, u16),
    pub link: u32,
    /// Bytes behind the usual file and record headers.
    pub more_file_header: usize,
    pub more_record_header: usize,
    pub wire_len_first: bool,
}

impl PcapShape {
    /// What everybody writes.
    pub const USUAL: Self = Self {
        order: Order::Little,
        magic: 0xa1b2_c3d4,
        version: (2, 4),
        link: 1,
        more_file_header: 0,
        more_record_header: 0,
        wire_len_first: false,
    };

    pub fn write(&self, frames: &[Frame]) -> Vec<u8> {
        let (order, mut out) = (self.order, Vec::new());
        order.word(&mut out, self.magic);
        order.half(&mut out, self.version.0);
        order.half(&mut out, self.version.1);
        for field in [0, 0, 262_144, self.link] {
            order.word(&mut out, field);
        }
        out.resize(out.len() + self.more_file_header, 0xee);
        for frame in frames {
            self.record(&mut out, frame);
        }
        out
    }

    pub fn record(&self, out: &mut Vec<u8>, frame: &Frame) {
        let mut lens = [frame.bytes.len() as u32, frame.wire_len];
        if self.wire_len_first {
            lens.reverse();
        }
        for field in [frame.secs, frame.fraction, lens[0], lens[1]] {
            self.order.word(out, field);
        }
        out.resize(out.len() + self.more_record_header, 0xdd);
        out.extend(&frame.bytes);
    }
}

/// A pcapng as it grows, block by block.
pub struct PcapNg {
    pub order: Order,
    pub bytes: Vec<u8>,
}

impl PcapNg {
    pub fn new(order: Order) -> Self {
        let mut new = Self { order, bytes: Vec::new() };
        new.section((1, 0));
        new
    }

    pub fn section(&mut self, version: (u16, u16)) -> &mut Self {
        let mut body = Vec::new();
        self.order.word(&mut body, 0x1a2b_3c4d);
        self.order.half(&mut body, version.0);
        self.order.half(&mut body, version.1);
        self.order.long(&mut body, u64::MAX);
        self.block(0x0a0d_0d0a, &body)
    }

    /// `options`: code and value.
    pub fn interface(&mut self, link: u16, snap_len: u32, options: &[(u16, &[u8])]) -> &mut Self {
        let mut body = Vec::new();
        self.order.half(&mut body, link);
        self.order.half(&mut body, 0);
        self.order.word(&mut body, snap_len);
        for (code, value) in options {
            self.order.half(&mut body, *code);
            self.order.half(&mut body, value.len() as u16);
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            self.order.word(&mut body, 0);
        }
        self.block(1, &body)
    }

    pub fn enhanced(&mut self, interface: u32, ticks: u64, bytes: &[u8], wire_len: u32) -> &mut Self {
        let mut body = Vec::new();
        for field in [interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, wire_len] {
            self.order.word(&mut body, field);
        }
        body.extend(bytes);
        self.block(6, &body)
    }

    pub fn obsolete(&mut self, interface: u16, ticks: u64, bytes: &[u8], wire_len: u32) -> &mut Self {
        let mut body = Vec::new();
        self.order.half(&mut body, interface);
        self.order.half(&mut body, 9);
        for field in [(ticks >> 32) as u32, ticks as u32, bytes.len() as u32, wire_len] {
            self.order.word(&mut body, field);
        }
        body.extend(bytes);
        self.block(2, &body)
    }

    pub fn simple(&mut self, bytes: &[u8], wire_len: u32) -> &mut Self {
        let mut body = Vec::new();
        self.order.word(&mut body, wire_len);
        body.extend(bytes);
        self.block(3, &body)
    }

    /// A block of any type; its body is padded.
    pub fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let len = 12 + body.len().next_multiple_of(4) as u32;
        self.raw_block(kind, len, body, len)
    }

    /// A block with whatever lengths.
    pub fn raw_block(&mut self, kind: u32, head: u32, body: &[u8], tail: u32) -> &mut Self {
        self.order.word(&mut self.bytes, kind);
        self.order.word(&mut self.bytes, head);
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.order.word(&mut self.bytes, tail);
        self
    }
}
