/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* One pass over all sockets of all processes.
 *
 * iter/task_file (5.8): runs in the context of whoever reads the iterator, once for every open file of
 * every process; it sees what no event tells, whatever was there before us. A walk through /proc/PID/fd
 * sees the same at ten times the cost and needs a right to look into other users' processes.
 */

/* The process event in the making; the reader is alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct process_event);
} iter_process SEC(".maps");

u64 iter_start = 0;
u32 iter_pid = 0;

SEC("iter/task_file")
int all_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct seq_file *seq = ctx->meta->seq;
	struct socket_event event = {};
	struct process_event *process;
	struct socket *socket;
	struct sock *sk;
	u64 start_ns;
	u32 zero = 0;
	u32 pid;
	u16 family;

	/* A new pass tells every process again. */
	if (ctx->meta->seq_num == 0)
		iter_pid = 0;
	if (!task || !file || (file->f_inode->i_mode & S_IFMT) != S_IFSOCK)
		return 0;
	/* 5.11: with its type, so that fields are read without calls. */
	if (bpf_core_enum_value_exists(enum bpf_func_id___asked, BPF_FUNC_sock_from_file___asked)) {
		socket = bpf_sock_from_file(file);
		if (!socket)
			return 0;
		sk = socket->sk;
		if (!sk)
			return 0;
		family = sk->__sk_common.skc_family;
		if ((family != AF_INET && family != AF_INET6) || !fill_socket(&event, sk, family, 1))
			return 0;
	} else {
		socket = file->private_data;
		sk = BPF_CORE_READ(socket, sk);
		family = BPF_CORE_READ(sk, __sk_common.skc_family);
		if ((family != AF_INET && family != AF_INET6) || !fill_socket(&event, sk, family, 0))
			return 0;
	}
	pid = task->tgid;
	start_ns = task->group_leader->start_boottime;
	event.at_ns = bpf_ktime_get_ns();
	event.pid = pid;
	event.start_ns = start_ns;
	if (pid != iter_pid || start_ns != iter_start) {
		process = bpf_map_lookup_elem(&iter_process, &zero);
		if (!process)
			return 0;
		fill_process(process, task, pid, start_ns);
		/* No room: the kernel empties the buffer and calls again for this file. */
		if (bpf_seq_write(seq, process, sizeof(*process)))
			return 0;
	}
	if (bpf_seq_write(seq, &event, family == AF_INET ? SOCKET_EVENT_V4 : SOCKET_EVENT_V6))
		return 0;
	iter_pid = pid;
	iter_start = start_ns;
	return 0;
}
