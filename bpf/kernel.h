/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The few kernel types that the programs read. Offsets are found at load time (CO-RE), so only the names
 * of fields matter here. All of them have been there since Linux 5.8.
 */
#ifndef RUSTNET_KERNEL_H
#define RUSTNET_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef signed int __s32;
typedef signed long long __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;

enum { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27, BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_SYN_RECV = 3, TCP_CLOSE = 7, TCP_LISTEN = 10 };
enum { AF_INET = 2, AF_INET6 = 10, IPPROTO_TCP = 6 };
enum { S_IFMT = 0170000, S_IFSOCK = 0140000, PF_KTHREAD = 0x00200000 };

/* Asked whether the running kernel has it; its number here does not matter. */
enum bpf_func_id___asked { BPF_FUNC_get_current_task_btf___asked = 1, BPF_FUNC_sock_from_file___asked = 2 };

#define NULL ((void *)0)
#define CO_RE __attribute__((preserve_access_index))

struct ns_common {
	u32 inum;
} CO_RE;

struct net {
	struct ns_common ns;
} CO_RE;

typedef struct {
	struct net *net;
} CO_RE possible_net_t;

struct in6_addr {
	union {
		u8 u6_addr8[16];
	} in6_u;
} CO_RE;

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} CO_RE;

typedef struct {
	u32 val;
} CO_RE kuid_t;

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	kuid_t sk_uid;
	u16 sk_protocol;
} CO_RE;

struct inet_sock {
	struct sock sk;
	u16 inet_sport;
} CO_RE;

struct tcp_sock {
	u64 tcp_clock_cache;
} CO_RE;

struct file;

struct socket {
	struct file *file;
	struct sock *sk;
} CO_RE;

struct qstr {
	const unsigned char *name;
} CO_RE;

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
} CO_RE;

struct vfsmount {
	struct dentry *mnt_root;
} CO_RE;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
} CO_RE;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} CO_RE;

struct inode {
	u16 i_mode;
} CO_RE;

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
} CO_RE;

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start;
	unsigned long arg_end;
} CO_RE;

struct cred {
	kuid_t euid;
} CO_RE;

typedef struct {
	int counter;
} CO_RE atomic_t;

struct signal_struct {
	atomic_t live;
} CO_RE;

struct task_struct {
	u32 flags;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	u64 start_boottime;
	const struct cred *real_cred;
	char comm[16];
	struct mm_struct *mm;
	struct signal_struct *signal;
} CO_RE;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
} CO_RE;

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
} CO_RE;

#endif
