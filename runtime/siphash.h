/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4: a short digest that says nothing to who does not know the secret. */
#ifndef RT_SIPHASH_H
#define RT_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define RT_SIPHASH_SECRET 16 /* bytes */

/*
 * The digest of N bytes at P under SECRET.
 *
 * Source:  J.-P. Aumasson, D. J. Bernstein: SipHash: a fast short-input PRF (2012), section 2.
 */
uint64_t rt_siphash(const uint8_t secret[RT_SIPHASH_SECRET], const void *p, size_t n);

#endif
