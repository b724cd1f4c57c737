/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* How the program writes into a ring; see capture.h for what lies where. */
#ifndef RUSTNET_RING_H
#define RUSTNET_RING_H

#include "capture.h"
#include <bpf/bpf_helpers.h>

/* Where readers that sleep for long are woken: all by the same bell, and whoever hears it passes it on. What is put
 * there is nothing but that. Full: nobody is woken, and they come by themselves, within 100 ms.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} bell SEC(".maps");

static inline_always void wake_reader(struct ring *ring)
{
	*(volatile u64 *)&ring->sleeps = 0;
	void *nothing = bpf_ringbuf_reserve(&bell, 8, 0);
	if (nothing)
		bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

/* Publishes what was written before. A reader that says at this moment that it sleeps may not be woken, but by the next
 * record: a fence for each frame would be too dear.
 */
static inline_always void publish(struct ring *ring, u64 head)
{
	if (settings.weak_memory)
		__sync_lock_test_and_set(&ring->head, head);
	else
		*(volatile u64 *)&ring->head = head;
	if (*(volatile u64 *)&ring->sleeps)
		wake_reader(ring);
}

static inline_always int has_room(struct ring *ring, u64 needed)
{
	u64 size = (u64)settings.ring_mask + 1;
	if (needed - ring->seen_tail <= size)
		return 1;
	ring->seen_tail = *(volatile u64 *)&ring->tail;
	return needed - ring->seen_tail <= size;
}

/* Writes a note about a tally. Returns whether there was room. */
static inline_always int note(struct ring *ring, u32 what, u32 number, u32 value)
{
	u64 head = ring->head;
	if (!has_room(ring, head + sizeof(struct record))) {
		ring->untold++;
		return 0;
	}
	struct record *record = (void *)(ring->data + (head & settings.ring_mask));
	record->size = sizeof(struct record);
	record->captured = 0;
	record->at_ns = bpf_ktime_get_ns();
	record->length = number;
	record->ifindex = what;
	record->gso_size = value;
	record->tag_type = value >> 16;
	record->link_bytes = NOTE;
	publish(ring, head + sizeof(struct record));
	return 1;
}

#endif
