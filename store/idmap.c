/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/idmap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "util/mem.h"
#include "util/poison.h"

struct store_idmap_slot {
	uint64_t hash;
	uint32_t id;
	bool used;
};

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	return h;
}

static void seed(struct store_idmap *m)
{
	struct timespec t;

	if (getrandom(&m->seed, sizeof(m->seed), GRND_NONBLOCK) != sizeof(m->seed)) {
		/* early at boot: a poor seed costs speed on a hostile image, nothing else */
		clock_gettime(CLOCK_MONOTONIC, &t);
		m->seed = mix((uint64_t)t.tv_nsec);
	}
	m->seed |= 1;
}

uint64_t store_idmap_hash(struct store_idmap *m, const void *key, size_t n)
{
	const uint8_t *p = key;
	uint64_t h, word;

	if (m->seed == 0)
		seed(m);
	h = m->seed ^ n;
	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h ^ word) + m->seed;
	}
	word = 0;
	memcpy(&word, p, n);
	return mix(h ^ word);
}

bool store_idmap_find(const struct store_idmap *m, uint64_t hash, store_idmap_equal *equal,
		      const void *ctx, const void *key, size_t n, uint32_t *id)
{
	if (m->cap == 0)
		return false;
	for (size_t i = hash & (m->cap - 1); m->slots[i].used; i = (i + 1) & (m->cap - 1)) {
		if (m->slots[i].hash == hash && equal(ctx, m->slots[i].id, key, n)) {
			*id = m->slots[i].id;
			return true;
		}
	}
	return false;
}

static void put(struct store_idmap *m, uint64_t hash, uint32_t id)
{
	size_t i = hash & (m->cap - 1);

	while (m->slots[i].used)
		i = (i + 1) & (m->cap - 1);
	m->slots[i] = (struct store_idmap_slot) { hash, id, true };
}

static void grow(struct store_idmap *m)
{
	struct store_idmap_slot *old = m->slots;
	size_t cap = m->cap;

	m->cap = cap ? 2 * cap : 64;
	m->slots = hr_xmalloc(m->cap * sizeof(*m->slots));
	for (size_t i = 0; i < cap; i++)
		if (old[i].used)
			put(m, old[i].hash, old[i].id);
	free(old);
}

void store_idmap_add(struct store_idmap *m, uint64_t hash, uint32_t id)
{
	if (3 * (m->n + 1) > 2 * m->cap)
		grow(m);
	put(m, hash, id);
	m->n++;
}

void store_idmap_release(struct store_idmap *m)
{
	free(m->slots);
	*m = (struct store_idmap) { 0 };
}
