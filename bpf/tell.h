/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* How a socket and its process are told to user space, shared by all hooks. */
#ifndef RUSTNET_TELL_H
#define RUSTNET_TELL_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "events.h"
#include "told.h"

#define PATH_STEPS 24 /* components and mounts looked at */
#define NAME_BYTES 256

/* Events, read every 10 ms while some come. Full: the event is dropped and counted in `lost`; a pass over all
 * sockets repairs that.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/* The reader sets it before it sleeps for long: the next event clears it and wakes the reader. In a map of its own,
 * which the reader has mapped; its line is only read while events come.
 */
u32 reader_sleeps SEC(".data.reader") = 0;

static __always_inline u32 has_reader_asleep(void)
{
	return *(volatile u32 *)&reader_sleeps;
}

/* How an event is submitted: nobody is woken (which costs as much as all else) who comes by himself. */
static __always_inline u64 wake(void)
{
	if (!has_reader_asleep())
		return BPF_RB_NO_WAKEUP;
	*(volatile u32 *)&reader_sleeps = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/* Events that found no room. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} lost SEC(".maps");

static __always_inline void count_lost(void)
{
	u32 zero = 0;
	u64 *count = bpf_map_lookup_elem(&lost, &zero);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* The process that a hook runs in. */
struct caller {
	struct task_struct *task;
	u64 start_ns;
	u64 mm; /* another one after it has executed something else */
	u32 pid;
};

static __always_inline struct caller this_caller(void)
{
	struct caller caller;
	struct task_struct *task;

	/* 5.11: with its type, so that fields are read without calls. */
	if (bpf_core_enum_value_exists(enum bpf_func_id___asked, BPF_FUNC_get_current_task_btf___asked)) {
		task = bpf_get_current_task_btf();
		caller.pid = task->tgid;
		caller.mm = number_of(task->mm, 1);
		caller.start_ns = task->group_leader->start_boottime;
	} else {
		task = (struct task_struct *)bpf_get_current_task();
		caller.pid = BPF_CORE_READ(task, tgid);
		caller.mm = (u64)BPF_CORE_READ(task, mm);
		caller.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	}
	caller.task = task;
	return caller;
}

static __always_inline u64 process_hash(u32 pid, u64 start_ns)
{
	return mix(mix(start_ns) + pid);
}

/* A walk from a file up to the root, through mounts. */
struct walk {
	struct dentry *dentry;
	struct vfsmount *mnt;
	struct mount *mount;
	u64 len;
};

enum { WALK_ON, WALK_DONE, WALK_CUT };

static __always_inline int walk_step(struct walk *walk, char *out)
{
	u32 in_mount = bpf_core_field_offset(struct mount, mnt);
	struct dentry *dentry = walk->dentry, *parent = BPF_CORE_READ(dentry, d_parent);
	struct vfsmount *mnt = walk->mnt;
	struct mount *mount = walk->mount;
	const unsigned char *name;
	u64 len = walk->len;
	long n;

	/* Changes nothing, but lets verifiers take all ways to this place for the same. */
	barrier_var(len);
	len &= 2 * PATH_BYTES - 1;
	walk->len = len;
	if (dentry == BPF_CORE_READ(mnt, mnt_root)) {
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount)
			return WALK_DONE;
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = above;
		walk->mnt = (void *)above + in_mount;
		return WALK_ON;
	}
	if (dentry == parent)
		return WALK_DONE;
	if (len > PATH_BYTES - NAME_BYTES)
		return WALK_CUT;
	name = BPF_CORE_READ(dentry, d_name.name);
	/* Says again what was just made sure: verifiers up to 6.1 have forgotten it by now. */
	barrier_var(len);
	n = bpf_probe_read_kernel_str(&out[len & (PATH_BYTES - 1)], NAME_BYTES, name);
	if (n <= 0 || n > NAME_BYTES)
		return WALK_DONE;
	walk->len = len + n;
	walk->dentry = parent;
	return WALK_ON;
}

/* Writes the components of a file's path, last first. Returns their length; 0 if there is none. */
static __always_inline u32 path_of(struct file *file, char *out, u32 *flags)
{
	struct walk walk = {
		.dentry = BPF_CORE_READ(file, f_path.dentry),
		.mnt = BPF_CORE_READ(file, f_path.mnt),
	};
	int step = WALK_ON;
	int i;

	walk.mount = (void *)walk.mnt - bpf_core_field_offset(struct mount, mnt);
	/* Written out: the verifier sees that all ways to a step are alike, and goes on with one. In a loop it went through
	 * seven times as much.
	 */
#pragma clang loop unroll(full)
	for (i = 0; i < PATH_STEPS; i++)
		if (step == WALK_ON)
			step = walk_step(&walk, out);
	if (step != WALK_DONE)
		*flags |= PROCESS_CUT_PATH;
	return walk.len;
}

/* Fills in all but the command line. */
static __always_inline void fill_process(struct process_event *event, struct task_struct *task, u32 pid,
					 u64 start_ns)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	u32 flags = 0;

	event->kind = EVENT_PROCESS;
	event->pid = pid;
	event->start_ns = start_ns;
	event->at_ns = bpf_ktime_get_ns();
	event->cgroup = 0;
	event->parent = BPF_CORE_READ(leader, real_parent, tgid);
	event->uid = BPF_CORE_READ(task, real_cred, euid.val);
	event->path_bytes = 0;
	event->command_bytes = 0;
	BPF_CORE_READ_STR_INTO(&event->comm, leader, comm);
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		flags = PROCESS_KERNEL;
	else if (mm) {
		struct file *exe = BPF_CORE_READ(mm, exe_file);

		if (exe)
			event->path_bytes = path_of(exe, event->path, &flags);
	}
	event->flags = flags;
}

/* Not static, so that verifiers look at it once, and not again for each caller. */
__noinline int tell_new_process(u32 pid, u64 start_ns)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct process_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_lost();
		return 0;
	}
	fill_process(event, task, pid, start_ns);
	event->cgroup = bpf_get_current_cgroup_id();
	if (mm) {
		unsigned long start = BPF_CORE_READ(mm, arg_start);
		unsigned long len = BPF_CORE_READ(mm, arg_end) - start;

		if (len > COMMAND_BYTES)
			len = COMMAND_BYTES;
		/* The caller's own memory: no other is mapped now. */
		if (len && !bpf_probe_read_user(event->command, len, (void *)start))
			event->command_bytes = len;
	}
	bpf_ringbuf_submit(event, wake());
	return 1;
}

/* Tells the process that a hook runs in, unless that was done. */
static __always_inline void tell_process(const struct caller *caller)
{
	u64 hash = process_hash(caller->pid, caller->start_ns);
	u64 *set = process_set(hash);
	u64 tag = hash & PROCESS_TAG;
	u64 word = tag | mix(caller->mm) >> 40;

	if (find_word(set, tag, PROCESS_TAG) == word)
		return;
	if (tell_new_process(caller->pid, caller->start_ns))
		put_word(set, word, PROCESS_TAG);
}

/* Reads a field of a socket: at once where the kernel knows its type, else through a helper. */
#define READ(typed, from, field) ((typed) ? (from)->field : BPF_CORE_READ(from, field))

static __always_inline u32 netns_of(struct sock *sk, int typed)
{
	return typed ? sk->__sk_common.skc_net.net->ns.inum : BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

static __always_inline int has_file(struct sock *sk, int typed)
{
	struct socket *socket = READ(typed, sk, sk_socket);

	if (!socket)
		return 0;
	return READ(typed, socket, file) != NULL;
}

static __always_inline void fill_ends(struct socket_event *event, struct sock *sk, u16 family, int typed)
{
	u64 *ends = (u64 *)event->ends;

	if (family == AF_INET) {
		ends[0] = READ(typed, sk, __sk_common.skc_rcv_saddr) | (u64)READ(typed, sk, __sk_common.skc_daddr) << 32;
	} else if (typed) {
		ends[0] = *(u64 *)&sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8[0];
		ends[1] = *(u64 *)&sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8[8];
		ends[2] = *(u64 *)&sk->__sk_common.skc_v6_daddr.in6_u.u6_addr8[0];
		ends[3] = *(u64 *)&sk->__sk_common.skc_v6_daddr.in6_u.u6_addr8[8];
	} else {
		bpf_core_read(ends, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(ends + 2, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

/* Fills in what the socket itself says. Returns 0 if it has no port yet. */
static __always_inline int fill_socket(struct socket_event *event, struct sock *sk, u16 family, int typed)
{
	u8 proto = READ(typed, sk, sk_protocol);
	u16 port = READ(typed, sk, __sk_common.skc_num);

	/* A socket that closes has given its port back, but still says which it was. */
	if (!port)
		port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	event->kind = EVENT_SOCKET;
	event->socket = (u64)sk;
	event->family = family;
	event->proto = proto;
	event->local_port = port;
	event->remote_port = bpf_ntohs(READ(typed, sk, __sk_common.skc_dport));
	event->netns = netns_of(sk, typed);
	event->uid = READ(typed, sk, sk_uid.val);
	event->flags = 0;
	event->zero = 0;
	event->waited = 0;
	event->zeros = 0;
	if (proto == IPPROTO_TCP && READ(typed, sk, __sk_common.skc_state) == TCP_LISTEN)
		event->flags = SOCKET_LISTENER;
	fill_ends(event, sk, family, typed);
	return port != 0;
}

/* Who has a socket, as told with it. */
struct told_with {
	u64 start_ns;
	u64 at_ns; /* 0: now */
	u32 pid; /* 0: unknown; then whether it is the kernel's is looked up */
	u32 waited;
	u8 flags; /* SOCKET_KERNEL, or nothing */
};

/* What a socket that this caller uses is, even if the event about the caller itself should be lost. */
static __always_inline u8 socket_flags(const struct caller *caller)
{
	struct task_struct *task = caller->task;
	u32 flags;

	if (bpf_core_enum_value_exists(enum bpf_func_id___asked, BPF_FUNC_get_current_task_btf___asked))
		flags = task->flags;
	else
		flags = BPF_CORE_READ(task, flags);
	return flags & PF_KTHREAD ? SOCKET_KERNEL : 0;
}

/* Fills in a socket and who has it. Returns 0 if it has no port yet. */
static __always_inline int fill_event(struct socket_event *event, struct sock *sk, const struct told_with *with,
				      u16 family, int typed)
{
	if (!fill_socket(event, sk, family, typed))
		return 0;
	event->at_ns = with->at_ns ?: bpf_ktime_get_ns();
	event->pid = with->pid;
	event->start_ns = with->start_ns;
	event->waited = with->waited;
	if (!(event->flags & SOCKET_LISTENER))
		event->flags |= SOCKET_ACTED;
	event->flags |= with->flags;
	if (!with->pid && !has_file(sk, typed))
		event->flags |= SOCKET_KERNEL;
	return 1;
}

/* Tells a socket; `size` is the constant that belongs to `family`. */
static __always_inline int tell_sized(struct sock *sk, const struct told_with *with, u16 family, u64 size, int typed)
{
	struct socket_event *event = bpf_ringbuf_reserve(&events, size, 0);

	if (!event) {
		count_lost();
		return 0;
	}
	if (!fill_event(event, sk, with, family, typed)) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return 0;
	}
	bpf_ringbuf_submit(event, wake());
	return 1;
}

/* Tells a socket of the internet that a process has just used. */
static __always_inline int tell_socket(struct sock *sk, const struct told_with *with, int typed)
{
	u16 family = READ(typed, sk, __sk_common.skc_family);

	if (family == AF_INET)
		return tell_sized(sk, with, AF_INET, SOCKET_EVENT_V4, typed);
	if (family == AF_INET6)
		return tell_sized(sk, with, AF_INET6, SOCKET_EVENT_V6, typed);
	return 0;
}

static __always_inline int tell_caller(struct sock *sk, const struct caller *caller, int typed)
{
	struct told_with with = {
		.start_ns = caller->start_ns,
		.pid = caller->pid,
		.flags = socket_flags(caller),
	};

	return tell_socket(sk, &with, typed);
}

static __always_inline int tell_short(u32 kind, u32 pid, u64 start_ns, u64 socket)
{
	struct short_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_lost();
		return 0;
	}
	event->kind = kind;
	event->pid = pid;
	event->start_ns = start_ns;
	event->at_ns = bpf_ktime_get_ns();
	event->socket = socket;
	bpf_ringbuf_submit(event, wake());
	return 1;
}

static __always_inline u64 socket_hash(struct sock *sk, int typed)
{
	return mix(number_of(sk, typed) >> 6);
}

/* The word of a socket with these ends that a process uses. Those of TCP stay as they are until it is
 * closed; others may talk to one after the other.
 */
static __always_inline u64 socket_word(u64 hash, u64 ends, const struct caller *caller)
{
	u64 task = mix(mix(caller->start_ns ^ caller->mm) + caller->pid);

	return (hash & SOCKET_TAG) | (mix(hash ^ ends) >> 18 & SOCKET_ENDS) | (task >> 42 & SOCKET_TASK);
}

static __always_inline u64 ends_of(struct sock *sk, u16 family, int typed)
{
	u64 ends, remote6 = 0;

	if (READ(typed, sk, sk_protocol) == IPPROTO_TCP)
		return 0;
	ends = (u64)READ(typed, sk, __sk_common.skc_dport) << 16 | READ(typed, sk, __sk_common.skc_num);
	if (family == AF_INET)
		return mix(ends) + ((u64)READ(typed, sk, __sk_common.skc_daddr) << 32 |
				    READ(typed, sk, __sk_common.skc_rcv_saddr));
	if (typed)
		remote6 = *(u64 *)&sk->__sk_common.skc_v6_daddr.in6_u.u6_addr8[8];
	else
		bpf_core_read(&remote6, 8, (void *)sk + bpf_core_field_offset(struct sock, __sk_common.skc_v6_daddr) + 8);
	return mix(ends) + remote6;
}

/* A process uses a socket: sends, receives, connects with a port, accepts. */
static __always_inline void used(struct sock *sk, int typed)
{
	u16 family = READ(typed, sk, __sk_common.skc_family);
	struct caller caller;
	u64 hash, *set, word, known;

	if (family != AF_INET && family != AF_INET6)
		return;
	caller = this_caller();
	hash = socket_hash(sk, typed);
	set = socket_set(hash);
	word = socket_word(hash, ends_of(sk, family, typed), &caller);
	known = find_word(set, word & SOCKET_TAG, SOCKET_TAG);
	if ((known & ~SOCKET_TURNS) == word)
		return;
	/* Processes that take turns at one socket are not told for ever. */
	if (!((known ^ word) & SOCKET_ENDS)) {
		if ((known & SOCKET_TURNS) == MOST_TURNS)
			return;
		word |= (known & SOCKET_TURNS) + 1;
	}
	tell_process(&caller);
	if (tell_caller(sk, &caller, typed))
		put_word(set, word, SOCKET_TAG);
}

#endif
