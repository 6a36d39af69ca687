/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_pipe.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "util/mem.h"
#include "util/poison.h"

#define BLOCKS	    8
#define BLOCK_BYTES (256u << 10)

struct store_import_pipe {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t written;	       /* blocks */
	uint64_t read[IMPORT_READERS]; /* blocks given back; the next one may be lent */
	bool lent[IMPORT_READERS];
	bool closed, broken;
	size_t len[BLOCKS];
	uint8_t *blocks[BLOCKS];
};

struct store_import_pipe *store_import_pipe_new(void)
{
	struct store_import_pipe *p = hr_xmalloc(sizeof(*p));

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->moved, NULL);
	for (unsigned int i = 0; i < BLOCKS; i++)
		p->blocks[i] = hr_xmalloc(BLOCK_BYTES);
	return p;
}

void store_import_pipe_free(struct store_import_pipe *p)
{
	if (!p)
		return;
	for (unsigned int i = 0; i < BLOCKS; i++)
		free(p->blocks[i]);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->moved);
	free(p);
}

static uint64_t slowest(const struct store_import_pipe *p)
{
	uint64_t min = p->read[0];

	for (unsigned int i = 1; i < IMPORT_READERS; i++)
		if (p->read[i] < min)
			min = p->read[i];
	return min;
}

uint8_t *store_import_pipe_room(struct store_import_pipe *p, size_t *cap)
{
	uint8_t *room;

	pthread_mutex_lock(&p->lock);
	while (!p->broken && p->written - slowest(p) == BLOCKS)
		pthread_cond_wait(&p->moved, &p->lock);
	room = p->broken ? NULL : p->blocks[p->written % BLOCKS];
	pthread_mutex_unlock(&p->lock);
	*cap = BLOCK_BYTES;
	return room;
}

void store_import_pipe_done(struct store_import_pipe *p, size_t n)
{
	pthread_mutex_lock(&p->lock);
	p->len[p->written % BLOCKS] = n;
	p->written++;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

void store_import_pipe_close(struct store_import_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

void store_import_pipe_break(struct store_import_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->broken = true;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

int store_import_pipe_read(struct store_import_pipe *p, enum store_import_reader who,
			   const uint8_t **at, size_t *n)
{
	int r = 0;

	pthread_mutex_lock(&p->lock);
	if (p->lent[who]) {
		p->lent[who] = false;
		p->read[who]++;
		pthread_cond_broadcast(&p->moved);
	}
	while (!p->broken && !p->closed && p->written == p->read[who])
		pthread_cond_wait(&p->moved, &p->lock);
	*n = 0;
	if (p->broken) {
		r = -1;
	} else if (p->written > p->read[who]) {
		*at = p->blocks[p->read[who] % BLOCKS];
		*n = p->len[p->read[who] % BLOCKS];
		p->lent[who] = true;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}
