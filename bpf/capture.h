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
typedef signed int __s32;
typedef signed long long __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;

#define NULL ((void *)0)
#define inline_always inline __attribute__((always_inline))

/* The most bytes of a frame that go up, and room behind the ring for the longest record. */
enum { LONGEST = 65536, SLACK = LONGEST + 4096 };

enum { BPF_MAP_TYPE_ARRAY = 2, BPF_F_MMAPABLE = 1 << 10 };
enum { PACKET_OUTGOING = 4 };
enum { TCX_NEXT = -1 };

struct settings {
	u32 ring_mask; /* bytes of a ring, a power of two, less 1 */
	u32 snap; /* bytes of a frame that go up, 1 to LONGEST */
	u32 threads; /* rx threads, each with a ring for every CPU */
	u32 seed; /* the run's secret, for dealing frames out to threads */
	u32 weak_memory; /* stores are not ordered by themselves on this machine */
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
	u64 pad[12];
	/* The reader's line. */
	u64 tail;
	u64 pad_reader[15];
	u8 data[];
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
