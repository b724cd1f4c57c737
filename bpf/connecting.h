/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Who connects: kept from SYN_SENT, which happens in the process but before there is a port, to the answer,
 * which comes in anybody's context. One event then tells all.
 *
 * A hash chooses the place. Where that is taken the process is told at once, for user space to keep
 * (EVENT_CONNECT). Nobody locks: two that write at one moment leave what `check` does not fit, which is as
 * good as nothing, and a pass over all sockets finds the process.
 */
#ifndef RUSTNET_CONNECTING_H
#define RUSTNET_CONNECTING_H

#include "tell.h"

/* Longer than an attempt with up to 7 repetitions (net.ipv4.tcp_syn_retries; 6 unless changed), where a
 * second has 1000 ticks.
 */
#define LONGEST_ATTEMPT 300000

static __always_inline u32 connecting_check(const struct connecting *who)
{
	return mix(mix(mix(who->socket + who->start_ns) ^ who->since) + who->pid) >> 32;
}

/* Returns 0 where another one is in the way. */
static __always_inline int keep_connecting(u64 hash, u64 socket, const struct caller *caller)
{
	struct connecting *kept = &socket_line(hash)->connecting;
	u64 now = bpf_jiffies64();

	if (kept->socket && kept->socket != socket && now - kept->since < LONGEST_ATTEMPT)
		return 0;
	kept->socket = socket;
	kept->start_ns = caller->start_ns;
	kept->since = now;
	kept->pid = caller->pid;
	kept->check = connecting_check(kept);
	return 1;
}

/* Takes who connected a socket, if that is kept. */
static __always_inline void take_connecting(u64 hash, u64 socket, struct told_with *out)
{
	struct connecting *kept = &socket_line(hash)->connecting;
	struct connecting who = *kept;

	if (who.socket != socket)
		return;
	kept->socket = 0;
	if (who.check != connecting_check(&who))
		return;
	out->pid = who.pid;
	out->start_ns = who.start_ns;
	out->waited = bpf_jiffies64() - who.since;
}

#endif
