/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ctrl-C and the like as a flag, for verbs that must leave a store in order: leases given back,
 * unfinished objects removed.
 */
#ifndef STORE_INTERRUPT_H
#define STORE_INTERRUPT_H

#include <stdatomic.h>

/*
 * From now on SIGINT, SIGTERM and SIGHUP set the flag that is returned, in place of ending the
 * process; system calls that wait return EINTR. A second signal ends the process at once.
 * The caller may set the flag, too, to make all ends that watch it come to one.
 */
atomic_bool *store_interrupt_catch(void);

#endif
