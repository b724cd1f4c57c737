/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Tracepoints with type information (5.8): no kprobe, no perf event, no trampoline. */

/* inet_sock_set_state: every change of a TCP socket's state. Entering SYN_SENT and LISTEN happens in the
 * process that asked for it; all else in whatever context a packet comes. At SYN_SENT there is no local
 * port yet, so who connects is kept until the handshake is through, or has failed.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int old, int state)
{
	struct known_socket now = {};
	struct known_socket *known;
	struct caller caller;
	u64 key = (u64)sk;

	switch (state) {
	case TCP_LISTEN:
		caller = this_caller();
		tell_process(&caller);
		tell_socket(sk, caller.pid, caller.start_ns, SOCKET_LISTENER);
		break;
	case TCP_SYN_SENT:
		caller = this_caller();
		tell_process(&caller);
		now.pid = caller.pid;
		now.start_ns = caller.start_ns;
		bpf_map_update_elem(&sockets, &key, &now, BPF_ANY);
		break;
	case TCP_ESTABLISHED:
		/* From SYN_RECV: accepted, told at its first use. */
		if (old != TCP_SYN_SENT)
			break;
		known = bpf_map_lookup_elem(&sockets, &key);
		if (!known || known->told)
			break;
		if (!tell_socket(sk, known->pid, known->start_ns, SOCKET_ACTED))
			break;
		known->told = 1;
		known->ports = (u32)sk->__sk_common.skc_dport << 16 | sk->__sk_common.skc_num;
		known->addresses = addresses_of(sk->__sk_common.skc_family, sk->__sk_common.skc_daddr,
						sk->__sk_common.skc_rcv_saddr,
						*(u64 *)&sk->__sk_common.skc_v6_daddr.in6_u.u6_addr8[8]);
		break;
	case TCP_CLOSE:
		known = bpf_map_lookup_elem(&sockets, &key);
		if (!known)
			break;
		if (!known->told)
			tell_socket(sk, known->pid, known->start_ns, SOCKET_ACTED);
		tell_end(EVENT_CLOSED, 0, 0, key);
		bpf_map_delete_elem(&sockets, &key);
		break;
	}
	return 0;
}

/* sock_send_length, sock_recv_length (6.3): the end of every send and receive call, in the process. */
static __always_inline void sent_or_received(struct sock *sk)
{
	u16 family = sk->__sk_common.skc_family;
	u64 remote6 = 0;

	if (family == AF_INET6)
		remote6 = *(u64 *)&sk->__sk_common.skc_v6_daddr.in6_u.u6_addr8[8];
	else if (family != AF_INET)
		return;
	used(sk, (u32)sk->__sk_common.skc_dport << 16 | sk->__sk_common.skc_num,
	     addresses_of(family, sk->__sk_common.skc_daddr, sk->__sk_common.skc_rcv_saddr, remote6));
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_length, struct sock *sk)
{
	sent_or_received(sk);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv_length, struct sock *sk)
{
	sent_or_received(sk);
	return 0;
}

/* sched_process_exit: a thread ends; `live` is 0 with the last one of its group. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	u32 pid = task->tgid;
	struct known_process *known;

	if (task->signal->live.counter)
		return 0;
	known = bpf_map_lookup_elem(&processes, &pid);
	if (!known)
		return 0;
	tell_end(EVENT_EXIT, pid, known->start_ns, 0);
	bpf_map_delete_elem(&processes, &pid);
	return 0;
}
