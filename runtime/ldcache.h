/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loader's cache, ld.so.cache: which file has a soname, without running ldconfig. Pure; whose
 * cache it is, the host's or an image's, is the caller's to know.
 *
 * Sequence: read the file (RT_LDCACHE_MAX); rt_ldcache_parse; rt_ldcache_get.
 */
#ifndef RT_LDCACHE_H
#define RT_LDCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define RT_LDCACHE_PATH "/etc/ld.so.cache"
#define RT_LDCACHE_MAX	(64u << 20)

struct rt_ldcache_entry {
	const char *soname;
	const char *path; /* absolute */
	uint64_t hwcap;	  /* not 0: for some processors of the machine only */
};

/* A view into the bytes that were parsed. */
struct rt_ldcache {
	const uint8_t *p; /* of the new format, behind the old one if there is one */
	size_t n;
	uint32_t count;
};

/*
 * Check N bytes, all entries of them.
 *
 * Bounds:  N <= RT_LDCACHE_MAX. The format "glibc-ld.so.cache1.1" (glibc 2.2), alone or behind
 *          "ld.so-1.7.0"; what is behind the strings (extensions of glibc 2.33) is not looked at.
 * Owns:    *OUT points into P.
 * Errors:  HR_CORRUPT: of another format (musl has none), of another byte order, or damaged.
 * Source:  glibc 2.36, sysdeps/generic/dl-cache.h.
 */
int rt_ldcache_parse(const uint8_t *p, size_t n, struct rt_ldcache *out,
		     struct hr_err *e) HR_MUST_USE;

/* Entry I < out->count; in the order of the cache, which the loader searches by name. */
void rt_ldcache_get(const struct rt_ldcache *c, uint32_t i, struct rt_ldcache_entry *entry);

#endif
