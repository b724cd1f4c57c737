/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#ifndef BPF_ENDIAN_H
#define BPF_ENDIAN_H

#define bpf_ntohs(x) __builtin_bswap16(x)
#define bpf_htons(x) ((unsigned short)((x) >> 8 & 0xff | ((x) & 0xff) << 8))
#define bpf_ntohl(x) __builtin_bswap32(x)

#endif
