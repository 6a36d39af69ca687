/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ctrl-C and the like as a flag, for verbs that must leave a store in order: leases given back,
 * unfinished objects removed.
 */
#ifndef STORE_INTERRUPT_H
#define STORE_INTERRUPT_H

#include <stdatomic.h>

#include "util/err.h"

/*
 * From now on SIGINT, SIGTERM and SIGHUP set the flag that is returned, in place of ending the
 * process; system calls that wait return EINTR. A second signal ends the process at once.
 * The caller may set the flag, too, to make all ends that watch it come to one.
 */
atomic_bool *store_interrupt_catch(void);

/*
 * A verb has failed with E. If a signal was caught before, say so in place of what noticed it,
 * print E and end by that signal, as if it had not been caught: a shell that runs a loop ends the
 * loop then. Else nothing happens.
 */
void store_interrupt_end(struct hr_err *e);

#endif
