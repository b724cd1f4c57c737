/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Tracepoints with type information (5.8): no kprobe, no perf event, no trampoline. */

/* sock_send_length, sock_recv_length (6.3): the end of every send and receive call, in the process. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(send_length, struct sock *sk)
{
	used(sk, 1);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv_length, struct sock *sk)
{
	used(sk, 1);
	return 0;
}

static __always_inline void begin_connect(struct sock *sk)
{
	struct caller caller = this_caller();
	u64 socket = number_of(sk, 1);
	u64 hash = mix(socket >> 6);

	tell_process(&caller);
	keep_connecting(socket_line(hash), socket, hash, &caller);
}

/* 6.2; costs nothing. */
extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym __weak;

/* When the answer came that ends an attempt to connect: TCP has just looked at the clock. 0: not known. */
static __always_inline u64 answered_at(struct sock *sk)
{
	struct tcp_sock *tcp = NULL;

	if (!bpf_rdonly_cast || !bpf_core_field_exists(tcp->tcp_clock_cache))
		return 0;
	tcp = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
	return tcp->tcp_clock_cache;
}

/* The attempt to connect is over, well or badly: the socket has its ends now. */
static __always_inline void tell_connected(struct sock *sk, int state)
{
	u64 socket = number_of(sk, 1);
	u64 hash = mix(socket >> 6);
	struct socket_line *line = socket_line(hash);
	struct told_with with = {};
	u64 word = take_connecting(line, socket, &with);

	if (state == TCP_ESTABLISHED && sk->sk_protocol == IPPROTO_TCP)
		with.at_ns = answered_at(sk);
	/* No room: then its first send or receive tells it. */
	if (!(connects_in_rings && tell_in_ring(sk, &with)) && !tell_socket(sk, &with, 1))
		return;
	if (word)
		line->words[hash >> 40 & (WAYS - 1)] = word;
}

/* inet_sock_set_state: every change of a TCP socket's state. Entering SYN_SENT and LISTEN happens in the
 * process that asked for it; all else in whatever context a packet comes. Most changes tell nothing new
 * and leave at once.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int old, int state)
{
	struct caller caller;
	u64 hash;

	if (state == TCP_SYN_SENT) {
		begin_connect(sk);
		return 0;
	}
	if (old == TCP_SYN_SENT)
		tell_connected(sk, state);
	if (state == TCP_CLOSE && old != TCP_CLOSE) {
		hash = socket_hash(sk, 1);
		drop_word(socket_set(hash), hash & SOCKET_TAG, SOCKET_TAG);
		tell_short(EVENT_CLOSED, 0, 0, (u64)sk);
	} else if (state == TCP_LISTEN) {
		caller = this_caller();
		tell_process(&caller);
		tell_caller(sk, &caller, 1);
	}
	return 0;
}

/* sched_process_exit: a thread ends; `live` is 0 with the last one of its group. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	u64 start_ns, hash, *set, tag;

	if (task->signal->live.counter)
		return 0;
	start_ns = task->group_leader->start_boottime;
	hash = process_hash(task->tgid, start_ns);
	set = process_set(hash);
	tag = hash & PROCESS_TAG;
	if (!find_word(set, tag, PROCESS_TAG))
		return 0;
	drop_word(set, tag, PROCESS_TAG);
	tell_short(EVENT_EXIT, task->tgid, start_ns, 0);
	return 0;
}
