/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/pager_parts.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "util/mem.h"
#include "util/poison.h"

#define JOBS	8
#define PER_JOB 3
#define BYTES	1000
#define ROUNDS	50

/* A thread that has opened PER_JOB chunks. */
struct job {
	struct store_pager *p;
	uint32_t chunk[PER_JOB];
	uint8_t bytes[PER_JOB][BYTES];
	struct fetch_digest got[PER_JOB];
};

static struct store_pager *new_pager(void)
{
	struct store_pager *p = hr_xmalloc(sizeof(*p));
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->lanes_done, &attr);
	pthread_mutex_init(&p->lock, NULL);
	p->state = hr_xmalloc(JOBS * PER_JOB);
	return p;
}

static void free_pager(struct store_pager *p)
{
	assert_null(p->lanes);
	assert_int_equal(p->lanes_busy, 0);
	free(p->state);
	free(p);
}

static void *digests(void *arg)
{
	struct job *j = arg;
	const uint8_t *plain[PER_JOB];
	size_t len[PER_JOB];
	struct pager_lanes_work work = {
		.chunk = j->chunk, .p = plain, .bytes = len, .n = PER_JOB, .got = j->got
	};

	for (size_t i = 0; i < PER_JOB; i++) {
		plain[i] = j->bytes[i];
		len[i] = BYTES - i;
	}
	store_pager_digests(j->p, &work);
	return NULL;
}

/* All JOBS at the same time. */
static void run_all(struct store_pager *p)
{
	struct job *jobs = hr_xmalloc(JOBS * sizeof(*jobs));
	pthread_t threads[JOBS];

	for (uint32_t i = 0; i < JOBS; i++) {
		jobs[i].p = p;
		for (uint32_t k = 0; k < PER_JOB; k++) {
			jobs[i].chunk[k] = i * PER_JOB + k;
			memset(jobs[i].bytes[k], (int)(i * PER_JOB + k), BYTES);
		}
		assert_int_equal(pthread_create(&threads[i], NULL, digests, &jobs[i]), 0);
	}
	for (uint32_t i = 0; i < JOBS; i++) {
		pthread_join(threads[i], NULL);
		for (size_t k = 0; k < PER_JOB; k++) {
			struct fetch_digest want;

			fetch_digest_of(jobs[i].bytes[k], BYTES - k, &want);
			assert_true(fetch_digest_equal(&want, &jobs[i].got[k]));
		}
	}
	free(jobs);
}

/* Whoever ends up with whom, in whatever order they come: each gets its own. */
static void test_each_gets_its_own(void **state)
{
	struct store_pager *p = new_pager();

	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		p->ahead = round % (JOBS + 1);
		memset(p->state, PAGER_FLYING, JOBS * PER_JOB);
		p->state[round % (JOBS * PER_JOB)] = PAGER_FLYING_WANTED;
		run_all(p);
	}
	free_pager(p);
}

/* Others are on their way and never come. */
static void test_alone(void **state)
{
	struct store_pager *p = new_pager();
	struct job *j = hr_xmalloc(sizeof(*j));
	struct fetch_digest want;

	(void)state;
	p->ahead = JOBS;
	memset(p->state, PAGER_FLYING, JOBS * PER_JOB);
	j->p = p;
	digests(j);
	fetch_digest_of(j->bytes[1], BYTES - 1, &want);
	assert_true(fetch_digest_equal(&want, &j->got[1]));
	free(j);
	free_pager(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_gets_its_own),
		cmocka_unit_test(test_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
