/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/digest_set.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/poison.h"

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, FETCH_DIGEST_LEN);
}

void store_digest_set_add(struct store_digest_set *s, const struct fetch_digest *d)
{
	s->v = hr_xgrow(s->v, s->n, &s->cap, sizeof(*s->v));
	s->v[s->n++] = *d;
}

void store_digest_set_seal(struct store_digest_set *s)
{
	size_t kept = 0;

	if (s->n == 0)
		return;
	qsort(s->v, s->n, sizeof(*s->v), by_bytes);
	for (size_t i = 0; i < s->n; i++)
		if (i == 0 || !fetch_digest_equal(&s->v[i], &s->v[kept - 1]))
			s->v[kept++] = s->v[i];
	s->n = kept;
}

bool store_digest_set_has(const struct store_digest_set *s, const struct fetch_digest *d)
{
	return s->n > 0 && bsearch(d, s->v, s->n, sizeof(*s->v), by_bytes) != NULL;
}

void store_digest_set_release(struct store_digest_set *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}
