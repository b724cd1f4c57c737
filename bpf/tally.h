/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Counts the frames of flows of which a worker needs no more than counts: then nothing is copied.
 *
 *   hash of addresses, ports, protocol ──▶ set of four tags ──▶ tally: one direction of a flow
 *
 * The reader alone puts tallies there and takes them away; it takes counts by exchanging them for 0, so that each
 * frame is counted in exactly one of its looks. Of TCP only segments are counted that carry the very next bytes, or
 * acknowledge; whatever else comes (SYN, FIN, RST, a gap, bytes seen before) stops both directions and goes up, behind a
 * note at which the reader hands out what was counted before it. So what a worker sees is what one long segment
 * would have told it, and nothing that it counts is lost.
 *
 * Frames that are not read here (tags in the frame, IP options, extension headers, fragments, headers that are not in
 * the first piece of the buffer) go up, as do those on another interface than the flow's own.
 */
#ifndef RUSTNET_TALLY_H
#define RUSTNET_TALLY_H

#include "ring.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

/* Reads what the reader may be writing. (A test has the reader write right behind it.) */
#ifndef LOOK
#define LOOK(place) (*(volatile typeof(*(place)) *)(place))
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* one for each place for a flow: set before loading */
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct set));
} sets SEC(".maps");

/* Two of a flow lie side by side, and flows from the front on, so that few pages are touched. A full set, or a full
 * map, leaves flows on the ring.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* two for each place */
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct tally));
} tallies SEC(".maps");

/* IPv6 addresses of a tally's sender and receiver. */
struct wide {
	u32 words[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* likewise */
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct wide));
} wides SEC(".maps");

/* A bit for each set: whether anything is in it. 4 KB that stay in the cache, where a set that few frames look for is a
 * miss: most frames of flows that are not settled are told so here.
 */
u64 filled[MOST_SETS / 64] SEC(".data.filled") = {};

/* What a frame says, as far as it is to be counted. */
struct packet {
	u64 word; /* as in the tally that counts it */
	u64 ends;
	const u32 *wide; /* IPv6 addresses */
	u32 headers; /* bytes before the payload */
	u32 payload; /* bytes of it */
	u32 seq, ack; /* TCP */
	u16 window;
	u8 flags; /* TCP */
};

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
enum { TCP = 6, UDP = 17 };
static const u64 STATE = 0xffull << 40;

static inline_always u64 fold(u64 value)
{
	return value ^ value >> 32;
}

static inline_always u64 mix_ends(const u32 *words)
{
	u64 mixed = settings.secret;
#pragma unroll
	for (int i = 0; i < 8; i++)
		mixed = fold((mixed ^ words[i]) * 0x9e3779b97f4a7c15ull);
	return mixed;
}

/* Reads a frame. Returns 0 for all that is not simple. */
static inline_always int read(struct __sk_buff *skb, u32 link_bytes, struct packet *packet)
{
	u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u8 *ip = data + link_bytes, *transport, protocol;
	u32 size = skb->len - link_bytes, length, type, before;

	if (ip + 28 > end)
		return 0;
	if (link_bytes)
		type = *(u16 *)(ip - 2);
	else
		type = *ip >> 4 == 4 ? bpf_htons(0x0800) : bpf_htons(0x86dd);
	if (type == bpf_htons(0x0800)) {
		if (*ip != 0x45 || *(u16 *)(ip + 6) & bpf_htons(0x3fff))
			return 0;
		protocol = ip[9];
		before = 20;
		length = bpf_ntohs(*(u16 *)(ip + 2));
		packet->ends = *(u32 *)(ip + 12) | (u64)*(u32 *)(ip + 16) << 32;
		packet->word = 0;
	} else if (type == bpf_htons(0x86dd)) {
		if (ip + 48 > end || *ip >> 4 != 6)
			return 0;
		protocol = ip[6];
		before = 40;
		length = 40 + bpf_ntohs(*(u16 *)(ip + 4));
		packet->wide = (u32 *)(ip + 8);
		packet->ends = mix_ends(packet->wide);
		packet->word = 1ull << 48;
	} else {
		return 0;
	}
	transport = ip + before;
	if (length > size || length < before + 8)
		return 0;
	packet->word |= *(u32 *)transport | (u64)protocol << 32 | (u64)TALLY_COUNTS << 40;
	if (protocol == UDP && settings.tallied & TALLIES_UDP) {
		packet->headers = link_bytes + before + 8;
		packet->payload = length - before - 8;
		return 1;
	}
	if (protocol != TCP || !(settings.tallied & TALLIES_TCP) || transport + 20 > end)
		return 0;
	u32 header = (transport[12] >> 4) * 4;
	if (header < 20 || length < before + header)
		return 0;
	packet->headers = link_bytes + before + header;
	packet->payload = length - before - header;
	packet->seq = bpf_ntohl(*(u32 *)(transport + 4));
	packet->ack = bpf_ntohl(*(u32 *)(transport + 8));
	packet->window = bpf_ntohs(*(u16 *)(transport + 14));
	packet->flags = transport[13];
	return 1;
}

/* Finds the tally of a packet. */
static inline_always struct tally *find(const struct packet *packet, u32 thread, u32 *number)
{
	u64 hash = packet->word & ~STATE;
	hash = fold((packet->ends ^ settings.secret) * 0xff51afd7ed558ccdull) ^ hash;
	hash = fold(hash * 0xc4ceb9fe1a85ec53ull) * 0x9e3779b97f4a7c15ull;
	u32 index = ((u32)(hash >> 32) & (settings.places - 1)) + thread * settings.places;
	if (!(LOOK(&filled[index / 64 & (MOST_SETS / 64 - 1)]) >> (index & 63) & 1))
		return NULL;
	struct set *set = bpf_map_lookup_elem(&sets, &index);
	if (!set)
		return NULL;
	/* A tag is never 0. No two of a set are equal. */
	u32 tag = (hash & 0xffff) | 1, way = 0;
#pragma unroll
	for (int i = 0; i < WAYS; i++)
		way |= set->ways[i] >> TAG_SHIFT == tag ? set->ways[i] : 0;
	if (!way)
		return NULL;
	*number = (way & ((1 << TAG_SHIFT) - 1)) + thread * 2 * settings.places;
	struct tally *tally = bpf_map_lookup_elem(&tallies, number);
	if (!tally || (LOOK(&tally->word) ^ packet->word) & ~STATE || tally->ends != packet->ends)
		return NULL;
	if (packet->wide) {
		struct wide *wide = bpf_map_lookup_elem(&wides, number);
		if (!wide)
			return NULL;
#pragma unroll
		for (int i = 0; i < 8; i++) {
			if (wide->words[i] != packet->wide[i])
				return NULL;
		}
	}
	return tally;
}

static inline_always u8 *state_of(struct tally *tally)
{
	return (u8 *)&tally->word + 5;
}

/* Lets a direction be counted from now on, unless the reader has stopped it meanwhile. */
static inline_always void begin(struct tally *tally)
{
	u64 word = LOOK(&tally->word) & ~STATE;

	__sync_val_compare_and_swap(&tally->word, word | (u64)TALLY_BEGINS << 40, word | (u64)TALLY_COUNTS << 40);
}

/* Lets both directions go up from now on. */
static inline_always void stop(struct ring *ring, struct tally *tally, u32 number)
{
	u32 other = number ^ 1;
	*(volatile u8 *)state_of(tally) = TALLY_OFF;
	tally->front = tally->next;
	struct tally *back = bpf_map_lookup_elem(&tallies, &other);
	if (back) {
		/* One that never counted has no next. */
		if (LOOK(state_of(back)) == TALLY_COUNTS)
			back->front = back->next;
		*(volatile u8 *)state_of(back) = TALLY_OFF;
	}
	note(ring, NOTE_STOPPED, number, 0);
}

/* Takes note of a segment that goes up. */
static inline_always void advance(struct tally *tally, const struct packet *packet, u32 next)
{
	if (packet->flags & (SYN | FIN))
		next++;
	if (packet->flags & SYN || (s32)(next - tally->front) > 0)
		tally->front = next;
}

/* A direction that is to be counted from behind the segment on that goes up now. */
struct start {
	struct tally *tally; /* NULL: none is */
	u32 number, next, acked;
	u16 window;
};

/* Has it counted, behind the segment's record: whoever reads the note has read that. */
static inline_always void start_counting(struct ring *ring, const struct start *start)
{
	struct tally *tally = start->tally;

	if (note(ring, NOTE_BEGAN, start->number, start->next)) {
		tally->next = start->next;
		tally->acked = start->acked;
		tally->window = start->window;
		begin(tally);
	}
	if ((s32)(start->next - tally->front) > 0)
		tally->front = start->next;
}

/* Follows a TCP segment. Returns whether it is to be counted here. */
static inline_always int follows(struct ring *ring, struct tally *tally, const struct packet *packet, u8 state,
				 u32 number, struct start *start)
{
	int is_plain = (packet->flags & (FIN | SYN | RST | ACK)) == ACK && packet->payload != 1;
	u32 next = packet->seq + packet->payload;

	if (state != TALLY_COUNTS) {
		/* Not on bytes that are sent again: what follows them would look like the next ones. */
		if (state == TALLY_BEGINS && is_plain && packet->seq == tally->front) {
			start->tally = tally;
			start->number = number;
			start->next = next;
			start->acked = packet->ack;
			start->window = packet->window;
		} else {
			advance(tally, packet, next);
		}
		return 0;
	}
	if (!is_plain || packet->seq != tally->next) {
		stop(ring, tally, number);
		advance(tally, packet, next);
		return 0;
	}
	tally->next = next;
	if ((s32)(packet->ack - tally->acked) >= 0) {
		tally->acked = packet->ack;
		tally->window = packet->window;
	}
	return 1;
}

/* Returns whether the frame is counted, so that it need not go up; if it has to, what is to `start` then. */
static inline_always int tally(struct __sk_buff *skb, struct ring *ring, u32 thread, u32 is_outgoing,
			       u32 link_bytes, struct start *start)
{
	struct packet packet = {};
	u32 number = 0, packets = 1;

	if ((skb->vlan_present && !(settings.tallied & TALLIES_TAGGED)) || !read(skb, link_bytes, &packet))
		return 0;
	struct tally *tally = find(&packet, thread, &number);
	if (!tally)
		return 0;
	/* In this order: the reader writes the interface first. */
	u8 state = LOOK(state_of(tally));
	u32 ifindex = LOOK(&tally->ifindex);
	int is_tcp = (packet.word >> 32 & 0xff) == TCP;
	if (ifindex != skb->ifindex || (state == TALLY_OFF && !is_tcp))
		return 0;
	if (is_tcp && !follows(ring, tally, &packet, state, number, start))
		return 0;

	/* As the parser counts segments and what they take on the wire. */
	u32 tag = skb->vlan_present ? 4 : 0, size = skb->gso_size;
	if (size && packet.payload)
		packets = (packet.payload + size - 1) / size;
	u64 bytes = skb->len + tag + (u64)(packets - 1) * (packet.headers + tag);
	/* To a few ms: the exact time would double what all of this takes. */
	tally->last_ns = bpf_ktime_get_coarse_ns();
	tally->packet_type = is_outgoing ? PACKET_OUTGOING : skb->pkt_type;
	/* Ahead of the frame that they belong to: what was read with it is whole. */
	if (packets > 1)
		__sync_fetch_and_add(&tally->extra, packets - 1);
	u64 before = __sync_fetch_and_add(&tally->count, bytes << FRAME_BITS | 1);
	if (!before)
		note(ring, NOTE_TOUCHED, number, 0);
	else if (before & (1ull << (FRAME_BITS - 1) | 1ull << (FRAME_BITS + 29)))
		/* Long before either of the two overflows, or TCP's numbers wrap. */
		stop(ring, tally, number);
	return 1;
}

#endif
