// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
/* Who owns sockets: one object, of which only the programs that this kernel takes are loaded. They watch
 * and tell; none can change or refuse anything.
 */
#include "tell.h"
#include "connecting.h"
#include "connects.h"
/* Programs are loaded in this order, and what many kernels refuse is best refused before the others were looked
 * through.
 */
#include "functions.h"
#include "tracepoints.h"
#include "iter.h"
#include "cgroup.h"

/* Keeps the types of the events in the object, for the test that compares them. */
const struct socket_event *socket_event_type __attribute__((unused));
const struct short_event *short_event_type __attribute__((unused));

char _license[] SEC("license") = "GPL";
