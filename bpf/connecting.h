/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Who connects: kept from SYN_SENT, which happens in the process but before there is a port, to the answer,
 * which comes in anybody's context. One event then tells all.
 *
 * A hash chooses the place, and the latest one has it: it is written without a look, for which the process
 * would have to wait. Whose place was taken, or was written by two at one moment (then `check` does not
 * fit), is told without a process. Who connects counts as told when it is, not before: the kernel leaves out the
 * run for an answer that interrupts another run, and then the first send or receive tells it.
 */
#ifndef RUSTNET_CONNECTING_H
#define RUSTNET_CONNECTING_H

#include "tell.h"

/* In `pid`, which has 22 bits (PID_MAX_LIMIT): it is a thread of the kernel. */
#define CONNECTING_KERNEL (1U << 31)

static __always_inline u32 connecting_check(const struct connecting *who, u64 socket)
{
	return (mix(socket + who->start_ns) ^ mix((u64)who->pid << 32 ^ who->since) ^ who->word) >> 32;
}

static __always_inline void keep_connecting(struct socket_line *line, u64 socket, u64 hash,
					    const struct caller *caller)
{
	struct connecting who = {
		.word = socket_word(hash, 0, caller),
		.start_ns = caller->start_ns,
		.since = bpf_jiffies64(),
		.pid = caller->pid | (socket_flags(caller) ? CONNECTING_KERNEL : 0),
	};

	who.check = connecting_check(&who, socket);
	line->connecting = who;
}

/* Takes who connected a socket. Returns the word that it is told; 0 if nobody knows who it was. */
static __always_inline u64 take_connecting(struct socket_line *line, u64 socket, struct told_with *out)
{
	struct connecting who = line->connecting;

	if (who.check != connecting_check(&who, socket))
		return 0;
	out->pid = who.pid & ~CONNECTING_KERNEL;
	out->flags = who.pid & CONNECTING_KERNEL ? SOCKET_KERNEL : 0;
	out->start_ns = who.start_ns;
	out->waited = bpf_jiffies64() - who.since;
	return who.word;
}

#endif
