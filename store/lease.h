/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leases: who is working on what in a store, without flock, which network file systems lack.
 *
 * Sequence: store_lease_take(); work, a thread of the module touches the file every 10 seconds;
 * store_lease_release(). A lease of a process that is known to be gone, or that nobody touched for
 * 60 seconds, is taken over.
 * Source: hpcrun-store(5) WRITERS.
 */
#ifndef STORE_LEASE_H
#define STORE_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "store/layout.h"

struct store_lease;

enum store_lease_kind {
	STORE_LEASE_IMPORT, /* of one layer; any number of layers at once */
	STORE_LEASE_GC,	    /* of the whole store */
	STORE_LEASE_SYNC    /* of its list of images; in nobody else's way */
};

/*
 * Take a lease; D names the layer (by its blob) of an import, NULL for the others. Waits while
 * another process works on the same layer; or on the other kind of work, which is said on stderr
 * when it takes more than a second. *waited (may be NULL) becomes true when it did: what the caller
 * wanted may be there now.
 *
 * Errors:  HR_SYS EINTR when *cancel became true while waiting; HR_SYS; of STORE_LEASE_GC also
 *          HR_SYS naming another process that has one.
 * Threads: any.
 */
int store_lease_take(const struct store *st, enum store_lease_kind kind,
		     const struct fetch_digest *d, const atomic_bool *cancel, bool *waited,
		     struct store_lease **out, struct hr_err *e) HR_MUST_USE;
/*
 * The same, but fail when somebody who is alive works: a process of this host, or one that touches
 * its lease, which is seen in little more than 10 seconds; a dead one of another host in 60.
 *
 * Errors:  also HR_SYS naming who works on what.
 */
int store_lease_try(const struct store *st, enum store_lease_kind kind,
		    const struct fetch_digest *d, const atomic_bool *cancel,
		    struct store_lease **out, struct hr_err *e) HR_MUST_USE;
/* Give it back; NULL is fine. */
void store_lease_release(struct store_lease *l);

#endif
