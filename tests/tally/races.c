// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
/* bpf/capture.bpf.c as a program of user space, with its reader at work between any two of its steps.
 *
 * The program takes one segment or datagram. Wherever it reads what the reader writes (LOOK), or asks for the time (in
 * each note), the reader may do what it does in src/platform/linux/bpf_capture: all of it, behind the first such
 * place, behind the second one, and so on until there is none left. What must hold is checked for each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void step(void);
/* As src/platform/linux/bpf_capture/ring.rs has them. */
#define AT(field, place) _Static_assert(__builtin_offsetof(struct ring, field) == place, #field)
#define LOOK(place) ({ typeof(*(place)) seen = *(volatile typeof(*(place)) *)(place); step(); seen; })

#include "../../bpf/capture.bpf.c"

AT(head, 0);
AT(frames, 16);
AT(lost, 24);
AT(untold, 32);
AT(sleeps, 40);
AT(tail, 128);
AT(data, 256);

enum { PLACES = 4, RING = 1 << 12, PAGE = 4096 };

static struct set all_sets[PLACES];
static struct tally all_tallies[2 * PLACES];
static struct wide all_wides[2 * PLACES];
static struct {
	struct ring ring;
	u8 bytes[RING + 256];
} room;

void *bpf_map_lookup_elem(void *map, const void *key)
{
	u32 n = *(const u32 *)key;
	if (map == &rings)
		return &room.ring;
	if (map == &sets)
		return &all_sets[n];
	return map == &tallies ? (void *)&all_tallies[n] : (void *)&all_wides[n];
}

static int steps, at; /* how many there were, and behind which the reader comes */
static void (*reader)(void);

static void step(void)
{
	if (++steps == at && reader)
		reader();
}

unsigned long long bpf_ktime_get_ns(void)
{
	step();
	return 1;
}

unsigned long long bpf_ktime_get_coarse_ns(void)
{
	step();
	return 1;
}

static int rings_of_bell;
static u64 in_bell;

void *bpf_ringbuf_reserve(void *map, unsigned long long size, unsigned long long flags)
{
	(void)flags;
	if (map != &bell || size > sizeof in_bell || room.ring.sleeps)
		abort();
	return &in_bell;
}

void bpf_ringbuf_discard(void *record, unsigned long long flags)
{
	if (record != &in_bell || flags != BPF_RB_FORCE_WAKEUP)
		abort();
	rings_of_bell++;
}

unsigned bpf_get_smp_processor_id(void)
{
	return 0;
}

long bpf_skb_load_bytes(const struct __sk_buff *skb, unsigned offset, void *to, unsigned len)
{
	memcpy(to, (u8 *)(long)skb->data + offset, len);
	return 0;
}

static const char *name;

static void must(int holds, const char *what)
{
	if (holds)
		return;
	printf("%s, the reader behind step %d: %s\n", name, at, what);
	exit(1);
}

enum { HERE = 3, ELSEWHERE = 4 };
static u8 *frame; /* below 4 GB, where a packet of the kernel's lies for a program */

static u8 *state(int n)
{
	return (u8 *)&all_tallies[n].word + 5;
}

/* Begins anew, awake, with one flow, from 10.0.0.1:1 to 10.0.0.2:2, both directions in a state. */
static void set_up(u8 protocol, u8 is)
{
	memset(all_sets, 0, sizeof all_sets);
	memset(all_tallies, 0, sizeof all_tallies);
	memset(&room, 0, sizeof room);
	rings_of_bell = 0;
	memset(frame, 0, 4096);
	frame[12] = 8;
	u8 *ip = frame + 14;
	ip[0] = 0x45;
	ip[3] = 20 + 20 + 10;
	ip[9] = protocol;
	memcpy(ip + 12, "\x0a\0\0\1\x0a\0\0\2\0\1\0\2", 12);
	ip[27] = 100; /* TCP: sequence number */
	ip[32] = 0x50;
	ip[33] = ACK;
	for (int n = 0; n < 2; n++) {
		struct tally *tally = &all_tallies[n];
		u32 ends[2], ports;
		memcpy(ends, ip + 12, 8);
		memcpy(&ports, ip + 20, 4);
		if (n) {
			u32 first = ends[0];
			ends[0] = ends[1];
			ends[1] = first;
			ports = ports << 16 | ports >> 16;
		}
		tally->word = ports | (u64)protocol << 32 | (u64)is << 40;
		tally->ends = ends[0] | (u64)ends[1] << 32;
		tally->ifindex = HERE;
		tally->front = tally->next = 100;
	}
	/* All sets point to the first direction: where the hash leads is another test's. */
	struct packet packet = { .word = all_tallies[0].word & ~STATE, .ends = all_tallies[0].ends };
	memset(filled, 0, sizeof filled);
	for (u32 tag = 1; tag < 0x10000; tag += 2) {
		u32 number;
		for (int n = 0; n < PLACES; n++)
			all_sets[n].ways[0] = tag << TAG_SHIFT;
		/* Only its own set is said to be filled. */
		for (int n = 0; n < PLACES; n++) {
			filled[0] = 1 << n;
			if (find(&packet, 0, &number))
				return;
		}
	}
	must(0, "no tag is found");
}

/* Has it take the frame. Returns whether that is counted: whether it does not go up. */
static int take(u32 ifindex)
{
	struct __sk_buff skb = { .len = 64, .ifindex = ifindex, .data = (u32)(long)frame };
	skb.data_end = skb.data + 64;
	steps = 0;
	u64 at = room.ring.head;
	must(ethernet_in(&skb) == TCX_NEXT, "the frame does not go on");
	int is_counted = 1;
	for (struct record *record; at < room.ring.head; at += record->size) {
		record = (void *)(room.ring.data + at);
		must(is_counted || record->link_bytes != NOTE || record->ifindex == NOTE_BEGAN, "it stops behind the frame");
		must(!is_counted || record->link_bytes != NOTE || record->ifindex != NOTE_BEGAN, "it begins before the frame");
		is_counted &= record->link_bytes == NOTE;
	}
	return is_counted;
}

static u64 frames(int n)
{
	return all_tallies[n].count & ((1 << FRAME_BITS) - 1);
}

/* `stop_counting` of both directions. */
static void reader_stops(void)
{
	for (int n = 0; n < 2; n++) {
		u8 was = __atomic_exchange_n(state(n), TALLY_OFF, __ATOMIC_ACQ_REL);
		if (was == TALLY_COUNTS)
			all_tallies[n].front = all_tallies[n].next;
	}
}

/* `resume`: the flow, which was off, counts on another interface. */
static void reader_resumes_elsewhere(void)
{
	for (int n = 0; n < 2; n++) {
		__atomic_store_n(&all_tallies[n].ifindex, ELSEWHERE, __ATOMIC_RELAXED);
		__atomic_store_n(state(n), frame[14 + 9] == TCP ? TALLY_BEGINS : TALLY_COUNTS, __ATOMIC_RELEASE);
	}
}

static void in_all_orders(const char *of, u8 protocol, u8 is, u32 ifindex, void (*reads)(void), void (*check)(int counted))
{
	name = of;
	for (at = 1;; at++) {
		set_up(protocol, is);
		reader = reads;
		int counted = take(ifindex);
		if (steps < at)
			break;
		check(counted);
		reader = NULL;
	}
	must(at > 2, "there was nowhere to come between");
}

/* A direction that was stopped while the program was about to let it count stays off: else it would count on, and
 * nothing that the reader has said of it would be true.
 */
static void stays_off(int counted)
{
	must(*state(0) == TALLY_OFF && *state(1) == TALLY_OFF, "it counts though the reader has stopped it");
	must(!counted && !frames(0), "the segment that shows where the stream stands is counted and not handed up");
	int again = take(HERE);
	must(!again && !frames(0), "a segment behind the stop is counted");
}

/* A stop while a segment is being counted: it is counted once, or goes up, and no later one is counted. */
static void counted_or_up(int counted)
{
	must(frames(0) == (u64)counted, "a frame is counted twice, or not at all");
	frame[14 + 27] += 10;
	must(!take(HERE), "a segment behind the stop is counted");
}

/* A frame on the interface where the flow was is never counted to where it is now. */
static void not_elsewhere(int counted)
{
	must(!counted && !frames(0), "a frame on one interface is counted on the other");
}

static u64 head_when_asked;

/* `wait`: it asks, and then looks. */
static void reader_lies_down(void)
{
	room.ring.sleeps = 1;
	head_when_asked = room.ring.head;
}

/* What came behind its last look wakes it, once; what it saw does not have to. */
static void is_woken(int counted)
{
	(void)counted;
	must(rings_of_bell == (room.ring.head > head_when_asked), "it sleeps on, or is woken for nothing");
	must(room.ring.sleeps == !rings_of_bell, "what it asked for is not forgotten where it was done");
}

int main(void)
{
	/* As before loading: from then on they are constants. */
	struct settings chosen = { .ring_mask = RING - 1, .snap = 64, .threads = 1, .places = PLACES, .secret = 7 };
	chosen.tallied = TALLIES_UDP | TALLIES_TCP;
	char *page = (char *)((long)&settings & -PAGE);
	if (mprotect(page, (char *)(&settings + 1) - page, PROT_READ | PROT_WRITE))
		return 2;
	memcpy((void *)&settings, &chosen, sizeof chosen);

	frame = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (frame == MAP_FAILED)
		return 2;

	name = "alone";
	set_up(UDP, TALLY_COUNTS);
	must(take(HERE) && frames(0) == 1 && !frames(1), "a datagram of a settled flow is not counted");
	set_up(TCP, TALLY_BEGINS);
	must(!take(HERE) && *state(0) == TALLY_COUNTS && all_tallies[0].next == 110, "it does not begin");
	frame[14 + 27] += 10;
	must(take(HERE) && frames(0) == 1, "the next segment is not counted");
	must(!take(HERE) && *state(0) == TALLY_OFF, "the same one again does not stop it");

	name = "alone, with a set that is said to be empty";
	set_up(UDP, TALLY_COUNTS);
	filled[0] ^= (1 << PLACES) - 1;
	must(!take(HERE) && !frames(0), "it is looked for there all the same");

	name = "alone, with a reader that sleeps";
	set_up(UDP, TALLY_COUNTS);
	room.ring.sleeps = 1;
	must(!take(ELSEWHERE) && rings_of_bell == 1, "a frame that goes up does not wake it once");
	must(!take(ELSEWHERE) && rings_of_bell == 1, "a frame behind it wakes it again");
	room.ring.sleeps = 1;
	must(take(HERE) && rings_of_bell == 2, "the note of the first frame that counts does not wake it");
	room.ring.sleeps = 1;
	must(take(HERE) && rings_of_bell == 2 && room.ring.sleeps, "a frame that is only counted wakes it");

	in_all_orders("a frame and sleep", UDP, TALLY_OFF, HERE, reader_lies_down, is_woken);
	in_all_orders("a note and sleep", TCP, TALLY_BEGINS, HERE, reader_lies_down, is_woken);
	in_all_orders("begin and stop", TCP, TALLY_BEGINS, HERE, reader_stops, stays_off);
	in_all_orders("count and stop", TCP, TALLY_COUNTS, HERE, reader_stops, counted_or_up);
	in_all_orders("datagrams and a move", UDP, TALLY_OFF, HERE, reader_resumes_elsewhere, not_elsewhere);
	in_all_orders("segments and a move", TCP, TALLY_OFF, HERE, reader_resumes_elsewhere, not_elsewhere);
	puts("ok");
	return 0;
}
