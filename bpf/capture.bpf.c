// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
/* Copies what passes an interface into rings, one for each CPU and rx thread, or only counts it where a
 * worker needs no more. It only looks: every path ends with TCX_NEXT, which is also what TC_ACT_UNSPEC is to a
 * clsact filter, so that the frame goes on as if nobody had been there.
 *
 * A CPU runs one of these at a time: they run with bottom halves off, and a hardware interrupt sends
 * nothing through them.
 */
#include "capture.h"
#include "deal.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

/* Set before loading: the verifier takes these for constants. */
const volatile struct settings settings = {
	.ring_mask = LONGEST - 1,
	.snap = LONGEST,
	.threads = 1,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs times threads: set before loading */
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct ring) + LONGEST + SLACK); /* likewise */
} rings SEC(".maps");

#include "ring.h"
#include "tally.h"

/* Copies a frame of `half` to twice as many bytes, if it is one and in one piece, as two parts that overlap: of a small
 * frame the helper's two calls would take twice as long as all of its bytes. Returns whether it did.
 */
static inline_always int copy_small(struct __sk_buff *skb, u8 *to, u32 captured, u32 half)
{
	u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u32 rest = captured - half;
	/* The verifier wants to see the bound on the very number. */
	asm volatile("" : "+r"(rest));
	if (rest > half)
		return 0;
	u8 *tail = data + rest;
	if (data + half > end || tail + half > end)
		return 0;
#pragma unroll
	for (u32 at = 0; at < half; at += 8)
		*(u64 *)(to + at) = *(u64 *)(data + at);
	to += rest;
#pragma unroll
	for (u32 at = 0; at < half; at += 8)
		*(u64 *)(to + at) = *(u64 *)(tail + at);
	return 1;
}

/* Copies what goes up of a frame. Returns how much that is. */
static inline_always u32 copy(struct __sk_buff *skb, struct record *record, u32 captured)
{
	u8 *to = (void *)(record + 1);
	if (copy_small(skb, to, captured, 32) || copy_small(skb, to, captured, 64))
		return captured;
	/* The verifier wants to see both bounds on the very number; until 6.3 it learns none from "not 0". */
	u32 beyond_one = captured - 1;
	asm volatile("" : "+r"(beyond_one));
	if (beyond_one >= LONGEST || bpf_skb_load_bytes(skb, 0, to, beyond_one + 1))
		return 0;
	return captured;
}

static inline_always void see(struct __sk_buff *skb, u32 is_outgoing, u32 link_bytes)
{
	u32 index = bpf_get_smp_processor_id(), thread = 0;
	if (settings.threads > 1) {
		thread = deal(skb, link_bytes, settings.threads, settings.seed);
		index = index * settings.threads + thread;
	}
	struct ring *ring = bpf_map_lookup_elem(&rings, &index);
	if (!ring)
		return;

	ring->frames++;
	struct start start = {};
	if (settings.tallied && tally(skb, ring, thread, is_outgoing, link_bytes, &start))
		return;

	u32 length = skb->len;
	u32 captured = length < settings.snap ? length : settings.snap;
	u32 size = (sizeof(struct record) + captured + 15) & ~15u;
	u64 head = ring->head;
	if (!has_room(ring, head + size)) {
		ring->lost++;
		return;
	}
	struct record *record = (void *)(ring->data + (head & settings.ring_mask));
	record->size = size;
	record->at_ns = bpf_ktime_get_ns();
	record->length = length;
	record->ifindex = skb->ifindex;
	record->gso_size = skb->gso_size;
	if (skb->vlan_present) {
		record->tag_type = bpf_ntohs(skb->vlan_proto);
		record->tag = skb->vlan_tci;
	} else {
		record->tag_type = 0;
		record->tag = 0;
	}
	record->packet_type = is_outgoing ? PACKET_OUTGOING : skb->pkt_type;
	record->link_bytes = link_bytes;
	record->captured = copy(skb, record, captured);
	publish(ring, head + size);
	if (start.tally)
		start_counting(ring, &start);
}

SEC("tcx/ingress")
int ethernet_in(struct __sk_buff *skb)
{
	/* A copy of what this host sends to groups that it is part of: it was seen on its way out. */
	if (skb->pkt_type == PACKET_LOOPBACK)
		return TCX_NEXT;
	see(skb, 0, 14);
	return TCX_NEXT;
}

SEC("tcx/egress")
int ethernet_out(struct __sk_buff *skb)
{
	see(skb, 1, 14);
	return TCX_NEXT;
}

/* Interfaces whose frames begin with the network header: tunnels. */
SEC("tcx/ingress")
int network_in(struct __sk_buff *skb)
{
	if (skb->pkt_type == PACKET_LOOPBACK)
		return TCX_NEXT;
	see(skb, 0, 0);
	return TCX_NEXT;
}

SEC("tcx/egress")
int network_out(struct __sk_buff *skb)
{
	see(skb, 1, 0);
	return TCX_NEXT;
}

/* Keeps the types of records in the object, for the test that compares them. */
const struct record *record_type __attribute__((unused));
const struct tally *tally_type __attribute__((unused));

char _license[] SEC("license") = "GPL";
