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

#define PATH_STEPS 24 /* components and mounts looked at */
#define NAME_BYTES 256

/* Events. Full: the event is dropped and counted in `lost`; a pass over all sockets repairs that. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

/* Who a socket was told to belong to: ends the work early for sockets that are in use. Full: the one
 * that was not used for longest is forgotten, and told again at its next use.
 */
struct known_socket {
	u64 start_ns;
	u64 addresses;
	u32 ports;
	u32 pid;
	u32 told;
	u32 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, u64); /* address of struct sock */
	__type(value, struct known_socket);
} sockets SEC(".maps");

/* Processes that were told. `mm` changes when one executes something else. Full: as above. */
struct known_process {
	u64 start_ns;
	u64 mm;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32); /* thread group */
	__type(value, struct known_process);
} processes SEC(".maps");

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
	u32 pid;
};

static __always_inline struct caller this_caller(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct caller caller = { .task = task };

	caller.pid = bpf_get_current_pid_tgid() >> 32;
	caller.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	return caller;
}

/* Writes the components of a file's path, last first. Returns their length; 0 if there is none. */
static __always_inline u32 path_of(struct file *file, char *out, u32 *flags)
{
	struct vfsmount *mnt = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	u32 in_mount = bpf_core_field_offset(struct mount, mnt);
	struct mount *mount = (void *)mnt - in_mount;
	u32 len = 0;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < PATH_STEPS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		const unsigned char *name;
		long n;

		if (dentry == BPF_CORE_READ(mnt, mnt_root)) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount)
				return len;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			mnt = (void *)mount + in_mount;
			continue;
		}
		if (dentry == parent)
			return len;
		if (len > PATH_BYTES - NAME_BYTES)
			break;
		name = BPF_CORE_READ(dentry, d_name.name);
		n = bpf_probe_read_kernel_str(&out[len], NAME_BYTES, name);
		if (n <= 0 || n > NAME_BYTES)
			return len;
		len += n;
		dentry = parent;
	}
	*flags |= PROCESS_CUT_PATH;
	return len;
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

/* Tells the process that a hook runs in, unless that was done. */
static __noinline void tell_process(const struct caller *caller)
{
	struct task_struct *task = caller->task;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct known_process now = { .start_ns = caller->start_ns, .mm = (u64)mm };
	struct known_process *known = bpf_map_lookup_elem(&processes, &caller->pid);
	struct process_event *event;

	if (known && known->start_ns == now.start_ns && known->mm == now.mm)
		return;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_lost();
		return;
	}
	fill_process(event, task, caller->pid, caller->start_ns);
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
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	bpf_map_update_elem(&processes, &caller->pid, &now, BPF_ANY);
}

/* Fills in what the socket itself says. Returns 0 if it has no port yet, or is not of the internet. */
static __always_inline int fill_socket(struct socket_event *event, struct sock *sk)
{
	struct inet_sock *inet = (struct inet_sock *)sk;
	struct socket *socket = BPF_CORE_READ(sk, sk_socket);
	u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	event->kind = EVENT_SOCKET;
	event->at_ns = bpf_ktime_get_ns();
	event->socket = (u64)sk;
	event->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	event->proto = BPF_CORE_READ(sk, sk_protocol);
	event->local_port = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	event->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	event->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->uid = BPF_CORE_READ(sk, sk_uid.val);
	event->flags = 0;
	event->zero = 0;
	if (event->proto == IPPROTO_TCP && state == TCP_LISTEN)
		event->flags |= SOCKET_LISTENER;
	if (!socket || !BPF_CORE_READ(socket, file))
		event->flags |= SOCKET_KERNEL;
	__builtin_memset(event->local, 0, sizeof(event->local));
	__builtin_memset(event->remote, 0, sizeof(event->remote));
	if (event->family == AF_INET) {
		u32 address = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);

		__builtin_memcpy(event->local, &address, 4);
		address = BPF_CORE_READ(sk, __sk_common.skc_daddr);
		__builtin_memcpy(event->remote, &address, 4);
	} else if (event->family == AF_INET6) {
		BPF_CORE_READ_INTO(&event->local, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&event->remote, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	} else {
		return 0;
	}
	return event->local_port != 0;
}

/* Tells a socket with its process. */
static __noinline int tell_socket(struct sock *sk, u32 pid, u64 start_ns, u8 flags)
{
	struct socket_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_lost();
		return 0;
	}
	if (!fill_socket(event, sk)) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return 0;
	}
	event->pid = pid;
	event->start_ns = start_ns;
	event->flags |= flags;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 1;
}

static __always_inline void tell_end(u32 kind, u32 pid, u64 start_ns, u64 socket)
{
	struct end_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_lost();
		return;
	}
	event->kind = kind;
	event->pid = pid;
	event->start_ns = start_ns;
	event->at_ns = bpf_ktime_get_ns();
	event->socket = socket;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

/* Tells apart the ends that a socket had when it was told from those that it has now. */
static __always_inline u64 addresses_of(u16 family, u32 remote, u32 local, u64 remote6)
{
	return family == AF_INET ? (u64)remote << 32 | local : remote6;
}

/* A process has used a socket: sent, received, connected with a port. */
static __always_inline void used(struct sock *sk, u32 ports, u64 addresses)
{
	u64 key = (u64)sk;
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct known_socket *known = bpf_map_lookup_elem(&sockets, &key);
	struct known_socket now = {};
	struct caller caller;

	if (known && known->pid == pid && known->ports == ports && known->addresses == addresses)
		return;
	/* Processes that take turns at one socket are not told for ever. */
	if (known && known->ports == ports && known->addresses == addresses && known->told >= 16)
		return;
	caller = this_caller();
	tell_process(&caller);
	if (!tell_socket(sk, caller.pid, caller.start_ns, SOCKET_ACTED))
		return;
	now.start_ns = caller.start_ns;
	now.pid = caller.pid;
	now.ports = ports;
	now.addresses = addresses;
	now.told = known ? known->told + 1 : 1;
	bpf_map_update_elem(&sockets, &key, &now, BPF_ANY);
}

/* The same, for hooks that may read the socket only through helpers. */
static __always_inline void used_untrusted(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	u64 remote6 = 0;
	u32 ports;

	if (family != AF_INET && family != AF_INET6)
		return;
	ports = BPF_CORE_READ(sk, __sk_common.skc_dport) << 16 | BPF_CORE_READ(sk, __sk_common.skc_num);
	if (family == AF_INET6)
		bpf_core_read(&remote6, 8, (void *)sk + bpf_core_field_offset(struct sock, __sk_common.skc_v6_daddr) + 8);
	used(sk, ports,
	     addresses_of(family, BPF_CORE_READ(sk, __sk_common.skc_daddr),
			  BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr), remote6));
}

#endif
