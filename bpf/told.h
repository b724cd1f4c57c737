/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What was told already: ends the work early for sockets in use and processes that are known.
 *
 * One word each, in sets of four words that a hash chooses: a look is four loads without a call, a change
 * is one store, so that no lock is needed. A new word pushes the oldest of its set out; what that was
 * about is told again at its next use. Words hold hashes, so one in some billions is taken for another:
 * then nothing is told, and a pass over all sockets finds what is missing.
 *
 *   socket   18 bits which one | 24 its ends | 18 the process and its program | 4 how often it was passed on
 *   process  40 bits which one | 24 its program
 */
#ifndef RUSTNET_TOLD_H
#define RUSTNET_TOLD_H

#define WAYS 4
#define SOCKET_SETS 16384
#define PROCESS_SETS 4096
#define MOST_TURNS 15

#define SOCKET_TAG (~0ULL << 46)
#define SOCKET_ENDS ((1ULL << 46) - (1ULL << 22))
#define SOCKET_TASK ((1ULL << 22) - (1ULL << 4))
#define SOCKET_TURNS 15ULL
#define PROCESS_TAG (~0ULL << 24)

/* Who connects: see connecting.h. */
struct connecting {
	u64 word;  /* that it is told, once it is */
	u64 start_ns;
	u64 since; /* ticks of the kernel, which are 1 to 10 ms: user space knows */
	u32 pid;
	u32 check; /* of all and of the socket */
};

/* What is kept of sockets with one hash: one line of the cache. */
struct socket_line {
	u64 words[WAYS];
	struct connecting connecting;
};

struct socket_line told_sockets[SOCKET_SETS] __attribute__((aligned(64))) = {};
u64 told_processes[PROCESS_SETS][WAYS] __attribute__((aligned(64))) = {};

/* The upper bits depend on all of `x`. */
static __always_inline u64 mix(u64 x)
{
	return x * 0x9e3779b97f4a7c15ULL;
}

u64 told_base = 0;

/* Makes a number of a pointer: its distance from a place that stays where it is. The verifier lets nobody
 * calculate with a pointer that has a type (`typed`), except for this.
 */
static __always_inline u64 number_of(const void *pointer, int typed)
{
	u64 number = (u64)pointer;

	if (typed) {
		asm volatile("%0 -= %1" : "+r"(number) : "r"(told_sockets));
		return number;
	}
	*(volatile u64 *)&told_base = (u64)told_sockets;
	return number - *(volatile u64 *)&told_base;
}

static __always_inline struct socket_line *socket_line(u64 hash)
{
	return &told_sockets[hash >> 24 & (SOCKET_SETS - 1)];
}

static __always_inline u64 *socket_set(u64 hash)
{
	return socket_line(hash)->words;
}

static __always_inline u64 *process_set(u64 hash)
{
	return told_processes[hash >> 10 & (PROCESS_SETS - 1)];
}

/* Returns the word of a set that begins with `tag`; 0 if there is none. */
static __always_inline u64 find_word(const u64 *set, u64 tag, u64 mask)
{
	int i;

#pragma clang loop unroll(full)
	for (i = 0; i < WAYS; i++)
		if ((set[i] & mask) == tag)
			return set[i];
	return 0;
}

/* Replaces the word that begins as this one does, else the oldest. */
static __always_inline void put_word(u64 *set, u64 word, u64 mask)
{
	int i;

#pragma clang loop unroll(full)
	for (i = 0; i < WAYS; i++)
		if ((set[i] & mask) == (word & mask)) {
			set[i] = word;
			return;
		}
	set[3] = set[2];
	set[2] = set[1];
	set[1] = set[0];
	set[0] = word;
}

static __always_inline void drop_word(u64 *set, u64 tag, u64 mask)
{
	int i;

#pragma clang loop unroll(full)
	for (i = 0; i < WAYS; i++)
		if ((set[i] & mask) == tag)
			set[i] = 0;
}

#endif
