/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* A way for connects to be told that costs no call: a ring for each CPU in memory that the reader has mapped.
 * A reservation in the ring that all share costs as much as all else that a connect needs (70 ns).
 *
 * tcp_state alone writes them, and never twice at a time on one CPU: the kernel leaves out a run that would
 * nest (6.1). Full: the event goes to the ring that all share. The reader brings both in order by their times.
 */
#ifndef RUSTNET_CONNECTS_H
#define RUSTNET_CONNECTS_H

#include "tell.h"

#define CONNECTS 512 /* unread ones of one CPU, a power of two */

/* Set before loading: the kernel has that guard, and the machine keeps stores in order. */
const volatile u32 connects_in_rings = 0;

struct connect_slot {
	struct socket_event event;
	u8 pad[40]; /* to whole lines of the cache */
};

struct connect_ring {
	/* The program's line. */
	u64 head;
	u64 seen_tail; /* so that the reader's line is looked at only where the ring seems full */
	u64 pad[6];
	/* The reader's line. */
	u64 tail;
	u64 pad_reader[7];
	struct connect_slot slots[CONNECTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs: set before loading; others tell in the ring that all share */
	__type(key, u32);
	__type(value, struct connect_ring);
} connects SEC(".maps");

/* Returns 0 if it has to be told in another way. */
static __always_inline int tell_in_ring(struct sock *sk, const struct told_with *with)
{
	u16 family = sk->__sk_common.skc_family;
	u32 cpu = bpf_get_smp_processor_id();
	struct connect_ring *ring = bpf_map_lookup_elem(&connects, &cpu);
	struct socket_event *event;
	u64 head;

	/* These rings wake nobody. (A reader that goes to sleep looks once more some ms after it has said so.) */
	if (!ring || (family != AF_INET && family != AF_INET6) || has_reader_asleep())
		return 0;
	head = ring->head;
	if (head - ring->seen_tail >= CONNECTS) {
		ring->seen_tail = *(volatile u64 *)&ring->tail;
		if (head - ring->seen_tail >= CONNECTS)
			return 0;
	}
	event = &ring->slots[head & (CONNECTS - 1)].event;
	if (!fill_event(event, sk, with, family, 1))
		return 0;
	barrier();
	*(volatile u64 *)&ring->head = head + 1;
	return 1;
}

#endif
