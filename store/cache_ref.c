/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cache_ref.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/cache_file.h"
#include "util/cleanup.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define REF_MAGIC "hpcrREF1"
#define REF_FILE  8
#define REF_OFF	  40
#define REF_ZEROS 48
#define HELD_MAX  256 /* two descriptors each; what is more is opened for each read */

struct store_cache_refs {
	struct store_cache *c;
	pthread_mutex_t lock; /* of what follows; not held over reads of chunks */
	struct store_cache_file *held[HELD_MAX];
	size_t n;
};

void store_cache_ref_write(const struct store_cache_at *at, uint8_t out[STORE_CACHE_REF_BYTES])
{
	memset(out, 0, STORE_CACHE_REF_BYTES);
	memcpy(out, REF_MAGIC, 8);
	memcpy(out + REF_FILE, at->file.b, FETCH_DIGEST_LEN);
	hr_le64_put(out + REF_OFF, at->off);
}

bool store_cache_ref_read(const uint8_t p[STORE_CACHE_REF_BYTES], struct store_cache_at *at)
{
	static const uint8_t zeros[STORE_CACHE_REF_BYTES - REF_ZEROS];

	if (memcmp(p, REF_MAGIC, 8) != 0 || memcmp(p + REF_ZEROS, zeros, sizeof(zeros)) != 0)
		return false;
	memcpy(at->file.b, p + REF_FILE, FETCH_DIGEST_LEN);
	at->off = hr_le64(p + REF_OFF);
	return true;
}

struct store_cache_refs *store_cache_refs_new(struct store_cache *c)
{
	struct store_cache_refs *r = hr_xmalloc(sizeof(*r));

	r->c = c;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void store_cache_refs_free(struct store_cache_refs *r)
{
	for (size_t i = 0; i < r->n; i++)
		store_cache_file_close(r->held[i]);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* With the lock held. */
static struct store_cache_file *find(const struct store_cache_refs *r,
				     const struct fetch_digest *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (fetch_digest_equal(store_cache_file_name(r->held[i]), name))
			return r->held[i];
	return NULL;
}

/* The file, which stays open as long as R if *OURS is NULL, else as long as that. */
static struct store_cache_file *get_file(struct store_cache_refs *r,
					 const struct fetch_digest *name,
					 struct store_cache_file **ours, struct hr_err *e)
{
	struct store_cache_file *f;

	pthread_mutex_lock(&r->lock);
	f = find(r, name);
	if (!f && store_cache_file_open_named(r->c, name, &f, e) == 0) {
		if (r->n < HELD_MAX)
			r->held[r->n++] = f;
		else
			*ours = f;
	}
	pthread_mutex_unlock(&r->lock);
	return f;
}

int store_cache_refs_get(struct store_cache_refs *r, const struct store_cache_at *at, void *buf,
			 size_t len, struct hr_err *e)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *ours = NULL;
	struct store_cache_file *f = get_file(r, &at->file, &ours, e);

	return f ? store_cache_file_read(f, at->off, buf, len, e) : -1;
}
