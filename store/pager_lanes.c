/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digests of chunks that nobody waits for yet, or of their frames, computed side by side, whichever
 * requests they came with: what is foreseen lies here and there, so most requests bring one or two,
 * and one at a time they are the dearest thing that a server does on CPUs without SHA instructions.
 */
#include "config.h"

#include "store/pager_parts.h"

#include <errno.h>
#include <time.h>

#include "store/sha256mb.h"
#include "util/poison.h"

#define TOGETHER_MAX (PAGER_BENCHES * PAGER_GROUP)
#define LANES_FULL   2 /* frames for each lane: of fewer, as they differ in length, half idle */

struct pager_lanes_job {
	struct pager_lanes_job *next;
	const struct pager_lanes_work *work;
	enum { WAITING, RUNNING, DONE } state;
};

/* The jobs of one run, out of the list, and all that is in them. */
struct run {
	struct pager_lanes_job *jobs;
	const uint8_t *p[TOGETHER_MAX];
	size_t len[TOGETHER_MAX], n;
	struct fetch_digest got[TOGETHER_MAX];
};

/* With the lock held: whether not to wait for more. LATE: some have waited long enough. */
static bool enough(const struct store_pager *p, bool late)
{
	size_t lanes = store_sha256_lanes(), n = 0;
	unsigned int jobs = 0;

	for (const struct pager_lanes_job *j = p->lanes; j; j = j->next) {
		n += j->work->n;
		jobs++;
	}
	return lanes == 1 || n >= lanes * LANES_FULL ||
	       ((late || jobs >= p->ahead) && !p->lanes_busy); /* what others compute ends soon */
}

/* With the lock held: whether somebody has begun to wait for a chunk of J. */
static bool urgent(const struct store_pager *p, const struct pager_lanes_job *j)
{
	for (size_t i = 0; i < j->work->n; i++)
		if (p->state[j->work->chunk[i]] == PAGER_FLYING_WANTED)
			return true;
	return false;
}

/* With the lock held: ONLY, or all jobs that wait and fit, from the list to R. */
static void take(struct store_pager *p, const struct pager_lanes_job *only, struct run *r)
{
	struct pager_lanes_job **at = &p->lanes, **end = &r->jobs;

	r->n = 0;
	while (*at) {
		struct pager_lanes_job *j = *at;

		if ((only && j != only) || j->work->n > TOGETHER_MAX - r->n) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		j->state = RUNNING;
		*end = j;
		end = &j->next;
		for (size_t i = 0; i < j->work->n; i++) {
			r->p[r->n] = j->work->p[i];
			r->len[r->n++] = j->work->bytes[i];
		}
	}
	*end = NULL;
}

/* With the lock held. */
static void finish(struct store_pager *p, const struct run *r)
{
	size_t at = 0;

	for (struct pager_lanes_job *j = r->jobs, *next; j; j = next) {
		next = j->next;
		for (size_t i = 0; i < j->work->n; i++)
			j->work->got[i] = r->got[at++];
		j->state = DONE; /* from here on it is its owner's alone */
	}
	pthread_cond_broadcast(&p->lanes_done);
}

/* With the lock held, which is let go meanwhile. */
static void run(struct store_pager *p, const struct pager_lanes_job *only)
{
	struct run r;

	take(p, only, &r);
	p->lanes_busy++;
	pthread_mutex_unlock(&p->lock);
	store_sha256_many(r.p, r.len, r.n, r.got);
	pthread_mutex_lock(&p->lock);
	p->lanes_busy--;
	finish(p, &r);
}

static struct timespec in_ms(unsigned int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

void store_pager_digests(struct store_pager *p, const struct pager_lanes_work *work)
{
	struct timespec until = in_ms(PAGER_GATHER_MS);
	struct pager_lanes_job me = { .work = work };
	bool late = false;

	pthread_mutex_lock(&p->lock);
	me.next = p->lanes;
	p->lanes = &me;
	while (me.state != DONE) {
		bool mine = me.state == WAITING && urgent(p, &me);

		if (mine || (me.state == WAITING && enough(p, late)))
			run(p, mine ? &me : NULL);
		else if (me.state == RUNNING || late)
			pthread_cond_wait(&p->lanes_done, &p->lock);
		else
			late = pthread_cond_timedwait(&p->lanes_done, &p->lock, &until) ==
			       ETIMEDOUT;
	}
	pthread_mutex_unlock(&p->lock);
}
