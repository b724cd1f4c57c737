/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What the capture program and its reader share: rings of bytes in memory that both have mapped.
 *
 *   head ── written by the program alone          tail ── written by the reader alone
 *   both only grow; a byte lies at its number modulo the ring's size, and a record that begins before
 *   the end of the ring goes on in the room behind it, so that it always lies in one piece.
 */
#ifndef RUSTNET_CAPTURE_H
#define RUSTNET_CAPTURE_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef signed int s32;
typedef s32 __s32;
typedef signed long long __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;

#define NULL ((void *)0)
#define inline_always inline __attribute__((always_inline))

/* The most bytes of a frame that go up, and room behind the ring for the longest record. */
enum { LONGEST = 65536, SLACK = LONGEST + 4096 };

enum { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27, BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_RB_FORCE_WAKEUP = 2 };
/* if_packet.h */
enum { PACKET_OUTGOING = 4, PACKET_LOOPBACK = 5 };
enum { TCX_NEXT = -1 };

struct settings {
	u32 ring_mask; /* bytes of a ring, a power of two, less 1 */
	u32 snap; /* bytes of a frame that go up, 1 to LONGEST */
	u32 threads; /* rx threads, each with a ring for every CPU */
	u32 seed; /* the run's secret, for dealing frames out to threads */
	u32 weak_memory; /* stores are not ordered by themselves on this machine */
	u32 tallied; /* which flows may be tallied: bits TALLIES_UDP, ... */
	u32 places; /* settled flows for each thread, a power of two; there are as many sets */
	u32 secret; /* of the hash that finds a tally */
};

/* What a record says instead of a frame, in its `link_bytes`. */
enum { NOTE = 0xff };
/* Notes, in a record's `ifindex`; `length` is the tally's number. */
enum {
	NOTE_BEGAN = 1, /* counts from here on; `gso_size` and `tag_type`: the number behind the segment that came before */
	NOTE_TOUCHED = 2, /* the first frame since it was read */
	NOTE_STOPPED = 3, /* both directions go up again, from the next record on */
};

/* One frame; its captured bytes follow. Sizes are multiples of 16. */
struct record {
	u32 size; /* this record, header included */
	u32 captured;
	u64 at_ns; /* CLOCK_MONOTONIC */
	u32 length; /* of the frame in the kernel */
	u32 ifindex;
	u16 gso_size;
	u16 tag_type; /* of the tag that was taken off; 0: none */
	u16 tag;
	u8 packet_type; /* PACKET_HOST, ... */
	u8 link_bytes; /* of link header */
};

struct ring {
	/* The program's line. */
	u64 head;
	u64 seen_tail; /* so that the reader's line is looked at only where the ring seems full */
	u64 frames; /* all, those without room included */
	u64 lost; /* without room */
	u64 untold; /* notes without room */
	u64 sleeps; /* the reader sets it before it sleeps for long; the next record clears it, and rings */
	u64 pad[10];
	/* The reader's line. */
	u64 tail;
	u64 pad_reader[15];
	u8 data[];
};

enum { TALLIES_UDP = 1, TALLIES_TCP = 2, TALLIES_TAGGED = 4 };
/* States of a tally: its flow's frames go up; they go up until one of them tells where the stream stands; they
 * are counted here.
 */
enum { TALLY_OFF = 0, TALLY_BEGINS = 1, TALLY_COUNTS = 2 };
/* Where tallies are found: a tag each, and the number among its thread's; 0: none. */
enum { WAYS = 4, TAG_SHIFT = 16 };
/* Of all threads together. */
enum { MOST_SETS = 1 << 15 };

struct set {
	u32 ways[WAYS];
};

/* Bits of `count` that are frames; the others are bytes. */
enum { FRAME_BITS = 24 };

/* What passed in one direction of a settled flow since its reader last took it: one cache line. */
struct tally {
	u64 word; /* ports of sender and receiver as on the wire, protocol << 32, state << 40, IPv6 << 48 */
	u64 ends; /* addresses of sender and receiver as on the wire; IPv6: all their words, mixed */
	u64 count; /* bytes on the wire << FRAME_BITS | frames */
	u64 extra; /* packets beyond one a frame */
	u64 last_ns; /* CLOCK_MONOTONIC_COARSE of the last one */
	u32 next; /* TCP: the number behind what was counted */
	u32 acked; /* TCP: the last acknowledgement, with its window */
	u32 ifindex;
	u32 front; /* TCP: the number behind all that went up while it did not count */
	u16 window;
	u8 packet_type;
	u8 pad[5];
};

/* linux/bpf.h; an access to one of these becomes an access to the kernel's own field. */
struct __sk_buff {
	u32 len;
	u32 pkt_type;
	u32 mark;
	u32 queue_mapping;
	u32 protocol;
	u32 vlan_present;
	u32 vlan_tci;
	u32 vlan_proto;
	u32 priority;
	u32 ingress_ifindex;
	u32 ifindex;
	u32 tc_index;
	u32 cb[5];
	u32 hash;
	u32 tc_classid;
	u32 data;
	u32 data_end;
	u32 napi_id;
	u32 family;
	u32 remote_ip4;
	u32 local_ip4;
	u32 remote_ip6[4];
	u32 local_ip6[4];
	u32 remote_port;
	u32 local_port;
	u32 data_meta;
	u64 flow_keys;
	u64 tstamp;
	u32 wire_len;
	u32 gso_segs;
	u64 sk;
	u32 gso_size;
};

#endif
