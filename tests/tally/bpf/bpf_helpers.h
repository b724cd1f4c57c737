/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What bpf/capture.bpf.c takes from libbpf and the kernel, for tests/tally/races.c: a map is an array in this program. */
#ifndef BPF_HELPERS_H
#define BPF_HELPERS_H

#include <stddef.h>

#define SEC(name)
/* A map's attributes become members of a struct: only its address counts. */
#define __uint(name, value) int name
#define __type(name, value) int name

struct __sk_buff;

void *bpf_map_lookup_elem(void *map, const void *key);
unsigned bpf_get_smp_processor_id(void);
void *bpf_ringbuf_reserve(void *map, unsigned long long size, unsigned long long flags);
void bpf_ringbuf_discard(void *record, unsigned long long flags);
long bpf_skb_load_bytes(const struct __sk_buff *skb, unsigned offset, void *to, unsigned len);
unsigned long long bpf_ktime_get_ns(void);
unsigned long long bpf_ktime_get_coarse_ns(void);

#endif
