/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the node cache lies: policy, apart from what it is (cache.h). */
#ifndef STORE_CACHE_PLACE_H
#define STORE_CACHE_PLACE_H

#include "util/conf.h"

/*
 * The directory of the node cache: GIVEN (--cache) unless NULL, else HPCRUN_CACHE, else
 * "hpcrun-cache-UID" below the configuration's, else below /var/tmp or /tmp, the first that is on a
 * local disk. A place on a network file system or in memory is used as well, see below. The caller
 * frees.
 */
char *store_cache_place(const char *given, const struct hr_conf *conf);
/*
 * What a user should know of that place, DIR, which is there: that it is on a network file system;
 * or in memory, unless somebody has chosen it, as one does where nodes have no disk. NULL: nothing;
 * else the caller frees.
 */
char *store_cache_place_warning(const char *given, const struct hr_conf *conf, const char *dir);
/*
 * May GIVEN, or HPCRUN_CACHE, choose it?
 *
 * Errors:  HR_DENIED the site has locked its place; HR_USAGE HPCRUN_CACHE, which would be passed
 *          over, is not absolute.
 */
int store_cache_place_check(const char *given, const struct hr_conf *conf,
			    struct hr_err *e) HR_MUST_USE;

/* What DIR is on that is no local disk, such as "NFS", or NULL; also NULL when it cannot be told.
 */
const char *store_cache_misfit(const char *dir);

#endif
