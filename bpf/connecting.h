/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Who connects: kept from SYN_SENT, which happens in the process but before there is a port, to the answer,
 * which comes in anybody's context. One event then tells all.
 *
 * A hash chooses the place, and the latest one has it: it is written without a look, for which the process
 * would have to wait. Whose place was taken, or was written by two at one moment (then `check` does not
 * fit), counts as not told, so that the first send or receive tells it.
 */
#ifndef RUSTNET_CONNECTING_H
#define RUSTNET_CONNECTING_H

#include "tell.h"

/* In `pid`, which has 22 bits (PID_MAX_LIMIT): it is a thread of the kernel. */
#define CONNECTING_KERNEL (1U << 31)

static __always_inline u32 connecting_check(const struct connecting *who)
{
	return mix(mix(mix(who->socket + who->start_ns) ^ who->since) + who->pid) >> 32;
}

static __always_inline void keep_connecting(struct socket_line *line, u64 socket, u64 hash,
					    const struct caller *caller)
{
	struct connecting who = {
		.socket = socket,
		.start_ns = caller->start_ns,
		.since = bpf_jiffies64(),
		.pid = caller->pid | (socket_flags(caller) ? CONNECTING_KERNEL : 0),
	};

	who.check = connecting_check(&who);
	line->connecting = who;
	line->words[hash >> 40 & (WAYS - 1)] = socket_word(hash, 0, caller);
}

/* Takes who connected a socket. */
static __always_inline void take_connecting(struct socket_line *line, u64 socket, u64 hash, struct told_with *out)
{
	struct connecting who = line->connecting;

	if (who.socket != socket || who.check != connecting_check(&who)) {
		drop_word(line->words, hash & SOCKET_TAG, SOCKET_TAG);
		return;
	}
	out->pid = who.pid & ~CONNECTING_KERNEL;
	out->flags = who.pid & CONNECTING_KERNEL ? SOCKET_KERNEL : 0;
	out->start_ns = who.start_ns;
	out->waited = bpf_jiffies64() - who.since;
}

#endif
