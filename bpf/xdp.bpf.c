// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
/* Takes what comes in on an interface away from the host, for ports that only receive copies: each queue's
 * frames go to the socket that is bound to it, and where there is none, on to the host.
 */
#include "capture.h"
#include <bpf/bpf_helpers.h>

enum { BPF_MAP_TYPE_XSKMAP = 17 };
enum { XDP_PASS = 2 };

/* linux/bpf.h */
struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 256);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} sockets SEC(".maps");

SEC("xdp")
int take(struct xdp_md *frame)
{
	return bpf_redirect_map(&sockets, frame->rx_queue_index, XDP_PASS);
}

char _license[] SEC("license") = "GPL";
