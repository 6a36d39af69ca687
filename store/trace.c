/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/trace.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define MAGIC  "hpcrTRC1"
#define HEADER 48 /* magic, number, zero, manifest */

struct store_trace {
	const struct store_index *ix;
	struct fetch_digest manifest;
	uint32_t n_chunks;
	pthread_mutex_t lock;
	bool *seen; /* by chunk */
	uint32_t *order, n;
	uint64_t bytes; /* of the chunks in ORDER */
	uint64_t total; /* of all; 0: nobody has asked */
};

static uint32_t bytes_of(const struct store_index *ix, uint32_t chunk)
{
	struct store_chunk c;

	return store_index_chunk(ix, chunk, &c) ? c.bytes : 0;
}

struct store_trace *store_trace_new(const struct store_index *ix)
{
	struct store_trace *t = hr_xmalloc(sizeof(*t));

	t->ix = ix;
	store_index_manifest(ix, &t->manifest);
	t->n_chunks = store_index_chunks(ix);
	pthread_mutex_init(&t->lock, NULL);
	t->seen = hr_xmalloc(((size_t)t->n_chunks + 1) * sizeof(*t->seen));
	t->order = hr_xmalloc(((size_t)t->n_chunks + 1) * sizeof(*t->order));
	return t;
}

void store_trace_free(struct store_trace *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->seen);
	free(t->order);
	free(t);
}

void store_trace_touch(struct store_trace *t, uint32_t chunk)
{
	pthread_mutex_lock(&t->lock);
	if (chunk < t->n_chunks && !t->seen[chunk]) {
		t->seen[chunk] = true;
		t->order[t->n++] = chunk;
		t->bytes += bytes_of(t->ix, chunk);
	}
	pthread_mutex_unlock(&t->lock);
}

uint32_t store_trace_count(struct store_trace *t)
{
	uint32_t n;

	pthread_mutex_lock(&t->lock);
	n = t->n;
	pthread_mutex_unlock(&t->lock);
	return n;
}

uint32_t store_trace_since(struct store_trace *t, uint32_t from, uint32_t *out)
{
	uint32_t n;

	pthread_mutex_lock(&t->lock);
	n = from < t->n ? t->n - from : 0;
	if (n > 0)
		memcpy(out, t->order + from, n * sizeof(*out));
	pthread_mutex_unlock(&t->lock);
	return n;
}

bool store_trace_has(struct store_trace *t, unsigned int tenths)
{
	bool has;

	pthread_mutex_lock(&t->lock);
	if (t->total == 0)
		for (uint32_t i = 0; i < t->n_chunks; i++)
			t->total += bytes_of(t->ix, i);
	has = t->bytes * 10 > t->total * tenths;
	pthread_mutex_unlock(&t->lock);
	return has;
}

void store_trace_write(struct store_trace *t, struct hr_buf *out)
{
	pthread_mutex_lock(&t->lock);
	hr_buf_str(out, MAGIC);
	hr_buf_le(out, t->n, 4);
	hr_buf_le(out, 0, 4);
	hr_buf_add(out, t->manifest.b, FETCH_DIGEST_LEN);
	for (uint32_t i = 0; i < t->n; i++)
		hr_buf_le(out, t->order[i], 4);
	pthread_mutex_unlock(&t->lock);
}

void store_trace_name(const struct fetch_digest *manifest, const char *program,
		      struct fetch_digest *out)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_add(&b, manifest->b, FETCH_DIGEST_LEN);
	hr_buf_str(&b, program);
	fetch_digest_of(b.p, b.len, out);
}

int store_trace_manifest(const uint8_t *p, size_t len, struct fetch_digest *out, struct hr_err *e)
{
	if (len < HEADER || memcmp(p, MAGIC, 8) != 0 || hr_le32(p + 12) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "not a trace of this version");
	memcpy(out->b, p + 16, FETCH_DIGEST_LEN);
	return 0;
}

int store_trace_parse(const uint8_t *p, size_t len, const struct store_index *ix, uint32_t **order,
		      uint32_t *n, struct hr_err *e)
{
	uint32_t chunks = store_index_chunks(ix), count;
	hr_autofree uint32_t *v = NULL;
	hr_autofree bool *seen = NULL;
	struct fetch_digest manifest, of;

	store_index_manifest(ix, &manifest);
	if (store_trace_manifest(p, len, &of, e) < 0)
		return -1;
	count = hr_le32(p + 8);
	if (len != HEADER + (size_t)count * 4)
		return hr_fail(e, HR_CORRUPT, 0, "a trace of %" PRIu32 " chunks has %zu bytes",
			       count, len);
	if (!fetch_digest_equal(&of, &manifest))
		return hr_fail(e, HR_CORRUPT, 0, "the trace is of another image");
	v = hr_xmalloc(((size_t)count + 1) * sizeof(*v));
	seen = hr_xmalloc((size_t)chunks + 1);
	for (uint32_t i = 0; i < count; i++) {
		v[i] = hr_le32(p + HEADER + (size_t)i * 4);
		if (v[i] >= chunks || seen[v[i]])
			return hr_fail(e, HR_CORRUPT, 0,
				       "entry %" PRIu32 " of the trace names chunk %" PRIu32, i,
				       v[i]);
		seen[v[i]] = true;
	}
	*order = hr_steal(&v);
	*n = count;
	return 0;
}
