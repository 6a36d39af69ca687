/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of digests: filled, sealed, asked. Pure.
 *
 * Sequence: struct store_digest_set s = { 0 }; store_digest_set_add(); store_digest_set_seal();
 * then store_digest_set_has(), s.v and s.n; store_digest_set_release().
 */
#ifndef STORE_DIGEST_SET_H
#define STORE_DIGEST_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "fetch/fetch.h"

struct store_digest_set {
	struct fetch_digest *v; /* once sealed: sorted, each once */
	size_t n, cap;
};

void store_digest_set_add(struct store_digest_set *s, const struct fetch_digest *d);
/* After this nothing is added. */
void store_digest_set_seal(struct store_digest_set *s);
bool store_digest_set_has(const struct store_digest_set *s, const struct fetch_digest *d);
void store_digest_set_release(struct store_digest_set *s);

#endif
