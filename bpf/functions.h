/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The functions that connect, send and receive, for kernels without the tracepoints of tracepoints.h:
 * fentry (5.5, x86-64; 6.0, arm64) costs less and needs no perf event; kprobes work where the kernel has
 * no trampolines. All run in the process, before the function; a port has been chosen by then.
 */

/* The first argument of a function, by the machine's calling convention: one object serves both. */
struct pt_regs___x86 {
	unsigned long di;
} CO_RE;

struct pt_regs___arm64 {
	unsigned long regs[31];
} CO_RE;

static __always_inline struct sock *first_argument(void *regs)
{
	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->di))
		return (struct sock *)BPF_CORE_READ((struct pt_regs___x86 *)regs, di);
	return (struct sock *)BPF_CORE_READ((struct pt_regs___arm64 *)regs, regs[0]);
}

#define USED(name)                                                                                     \
	SEC("fentry/" #name)                                                                           \
	int BPF_PROG(fentry_##name, struct sock *sk)                                                   \
	{                                                                                              \
		used(sk, 1);                                                                           \
		return 0;                                                                              \
	}                                                                                              \
	SEC("kprobe/" #name)                                                                           \
	int kprobe_##name(void *regs)                                                                  \
	{                                                                                              \
		used(first_argument(regs), 0);                                                         \
		return 0;                                                                              \
	}

USED(tcp_connect)
USED(tcp_sendmsg)
USED(tcp_recvmsg)
USED(udp_sendmsg)
USED(udp_recvmsg)
USED(udpv6_sendmsg)
USED(udpv6_recvmsg)
