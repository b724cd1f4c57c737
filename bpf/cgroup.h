/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Hooks of control groups, for kernels without trampolines and kprobes; they need CAP_NET_ADMIN. Their
 * answer could refuse what a process asked for: every one of them returns 1, which lets it pass, and a test
 * looks at their instructions. The end of a socket is one of them, where a port is known in any case.
 */

/* Layout of the kernel's interface (include/uapi/linux/bpf.h). */
struct bpf_sock;

struct bpf_sock_addr {
	u32 unread[15];
	struct bpf_sock *sk;
};

/* The verifier takes a context and a socket for more than numbers. */
static __always_inline struct sock *plain(const void *pointer)
{
	u64 distance = number_of(pointer, 1);

	*(volatile u64 *)&told_base = (u64)told_sockets;
	return (struct sock *)(distance + *(volatile u64 *)&told_base);
}

#define OBSERVED_ADDRESS(name)                                                                         \
	SEC("cgroup/" #name)                                                                           \
	int cgroup_##name(struct bpf_sock_addr *ctx)                                                   \
	{                                                                                              \
		struct bpf_sock *sk = ctx->sk;                                                         \
		if (sk)                                                                                \
			used(plain(sk), 0);                                                            \
		return 1;                                                                              \
	}

#define OBSERVED_SOCKET(name)                                                                          \
	SEC("cgroup/" #name)                                                                           \
	int cgroup_##name(struct bpf_sock *ctx)                                                        \
	{                                                                                              \
		used(plain(ctx), 0);                                                                   \
		return 1;                                                                              \
	}

OBSERVED_ADDRESS(connect4)
OBSERVED_ADDRESS(connect6)
OBSERVED_ADDRESS(sendmsg4)
OBSERVED_ADDRESS(sendmsg6)
OBSERVED_SOCKET(post_bind4)
OBSERVED_SOCKET(post_bind6)
OBSERVED_SOCKET(sock_release)
