/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What the programs tell. src/platform/linux/owners/bpf/events.rs reads the same layouts, and a test
 * compares it with the type information in the object.
 */
#ifndef RUSTNET_EVENTS_H
#define RUSTNET_EVENTS_H

enum event_kind {
	EVENT_PROCESS = 1, /* struct process_event */
	EVENT_SOCKET = 2,  /* struct socket_event */
	EVENT_CLOSED = 3,  /* struct short_event: a socket */
	EVENT_EXIT = 4,    /* struct short_event: a process */
};

/* Flags of a socket. */
enum {
	SOCKET_KERNEL = 1,   /* no file refers to it, or a thread of the kernel uses it */
	SOCKET_LISTENER = 2, /* it takes connections */
	SOCKET_ACTED = 4,    /* the process has just used it */
};

/* Flags of a process. */
enum {
	PROCESS_KERNEL = 1,    /* a thread of the kernel */
	PROCESS_CUT_PATH = 2,  /* the path has more components than fitted */
};

#define PATH_BYTES 1024	   /* four longest names */
#define COMMAND_BYTES 512

/* A socket, and a process that has it. SOCKET_EVENT_V4 bytes of it with IPv4, else all. */
struct socket_event {
	u32 kind;
	u32 pid;	/* thread group; 0: not known */
	u64 start_ns;	/* when the process started, since boot */
	u64 at_ns;	/* CLOCK_MONOTONIC */
	u64 socket;	/* address of struct sock: names it for its life */
	u32 netns;	/* inode number of its network namespace */
	u32 uid;
	u16 local_port; /* host order */
	u16 remote_port;
	u8 proto;
	u8 family;
	u8 flags;
	u8 zero;
	u32 waited;	/* so many ticks ago it began to connect; else 0 */
	u32 zeros;
	u8 ends[32];	/* local, remote address: 4 bytes each, or 16 */
};

#define SOCKET_EVENT_V4 64
#define SOCKET_EVENT_V6 sizeof(struct socket_event)

/* A process that has a socket; comes before its first socket_event. */
struct process_event {
	u32 kind;
	u32 pid;
	u64 start_ns;
	u64 at_ns;
	u64 cgroup;	/* id in the unified hierarchy; 0 unknown */
	u32 parent;
	u32 uid;	/* effective */
	u32 flags;
	u16 path_bytes;
	u16 command_bytes;
	char comm[16];
	char path[PATH_BYTES];	/* components of the executable's path, last first, each with its NUL */
	char command[COMMAND_BYTES]; /* arguments, each with its NUL; empty: ask /proc */
};

/* A socket or a process is over. */
struct short_event {
	u32 kind;
	u32 pid;
	u64 start_ns; /* of the process */
	u64 at_ns;
	u64 socket;
};

#endif
