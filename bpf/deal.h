/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Which rx thread a frame is for: both directions of a flow go to the same one.
 *
 * The outermost addresses and ports count, as in the parser; fragments go by addresses alone, and what is
 * not read here goes to the first thread: never split, only not spread.
 */
#ifndef RUSTNET_DEAL_H
#define RUSTNET_DEAL_H

#include "capture.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

static inline_always u32 fold_right(u32 value, u32 bits)
{
	return value ^ value >> bits;
}

/* Seeded, so that nobody outside can steer flows onto one thread. */
static inline_always u32 mix_end(u32 address, u16 port, u32 seed)
{
	u32 mixed = (port * 0x85ebca6bu ^ address ^ seed) * 0xcc9e2d51u;
	return fold_right(fold_right(mixed, 15) * 0x1b873593u, 13);
}

static inline_always u32 fold_address(const u32 *words)
{
	u32 folded = words[0];
	for (int i = 1; i < 4; i++)
		folded = folded * 0x9e3779b1u ^ words[i];
	return folded;
}

static inline_always int has_ports(u8 protocol)
{
	return protocol == 6 || protocol == 17 || protocol == 132 || protocol == 136;
}

/* Returns the number of the thread, below `threads`. `seed` is the run's secret. */
static inline_always u32 deal(struct __sk_buff *skb, u32 link_bytes, u32 threads, u32 seed)
{
	u32 ends[2] = {}, at = link_bytes;
	u16 ports[2] = {}, type = 0;

	if (link_bytes) {
		for (int tags = 0; tags <= 2; tags++) {
			if (bpf_skb_load_bytes(skb, at - 2, &type, 2))
				return 0;
			if (type != bpf_htons(0x8100) && type != bpf_htons(0x88a8) && type != bpf_htons(0x9100))
				break;
			at += 4;
		}
	} else {
		u8 version = 0;
		if (bpf_skb_load_bytes(skb, 0, &version, 1))
			return 0;
		type = version >> 4 == 4 ? bpf_htons(0x0800) : version >> 4 == 6 ? bpf_htons(0x86dd) : 0;
	}
	if (type == bpf_htons(0x0806)) {
		/* RFC 826: sender's address at 14, target's at 24, for Ethernet and IPv4. */
		if (bpf_skb_load_bytes(skb, at + 14, &ends[0], 4) || bpf_skb_load_bytes(skb, at + 24, &ends[1], 4))
			return 0;
	} else if (type == bpf_htons(0x0800)) {
		u32 words[5];
		if (bpf_skb_load_bytes(skb, at, words, 20))
			return 0;
		ends[0] = words[3];
		ends[1] = words[4];
		u8 *header = (u8 *)words;
		int is_fragment = (header[6] & 0x3f) | header[7];
		if (!is_fragment && has_ports(header[9]) &&
		    bpf_skb_load_bytes(skb, at + (header[0] & 15) * 4, ports, 4))
			ports[0] = ports[1] = 0;
	} else if (type == bpf_htons(0x86dd)) {
		u32 words[10];
		if (bpf_skb_load_bytes(skb, at, words, 40))
			return 0;
		ends[0] = fold_address(words + 2);
		ends[1] = fold_address(words + 6);
		if (has_ports(((u8 *)words)[6]) && bpf_skb_load_bytes(skb, at + 40, ports, 4))
			ports[0] = ports[1] = 0;
	} else {
		return 0;
	}
	/* Addition makes it symmetric. */
	u32 sum = mix_end(ends[0], ports[0], seed) + mix_end(ends[1], ports[1], seed);
	sum = fold_right(fold_right(sum, 16) * 0x7feb352du, 15);
	return (u64)sum * threads >> 32;
}

#endif
