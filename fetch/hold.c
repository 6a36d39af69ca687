/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/hold.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fetch/header.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define HOLD_MAX_MS 60000

struct fetch_hold {
	struct fetch_hold *next;
	char *host; /* with the port, unless it is that of https */
	uint64_t until_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void fetch_holds_init(struct fetch_holds *h)
{
	pthread_mutex_init(&h->lock, NULL);
	h->first = NULL;
}

void fetch_holds_release(struct fetch_holds *h)
{
	while (h->first) {
		struct fetch_hold *one = h->first;

		h->first = one->next;
		free(one->host);
		free(one);
	}
	pthread_mutex_destroy(&h->lock);
}

/* With the lock held. */
static struct fetch_hold *find(const struct fetch_holds *h, const char *host)
{
	struct fetch_hold *one = h->first;

	while (one && strcmp(one->host, host) != 0)
		one = one->next;
	return one;
}

void fetch_hold_note(struct fetch_holds *h, const struct fetch_url *u,
		     const struct fetch_http_reply *r)
{
	hr_autofree char *host = NULL;
	struct fetch_hold *one;
	uint64_t ms;

	if ((r->status != 429 && r->status != 503) || !r->retry_after ||
	    !fetch_retry_after_parse(r->retry_after, time(NULL), &ms))
		return;
	host = fetch_url_authority(u);
	pthread_mutex_lock(&h->lock);
	one = find(h, host);
	if (!one) {
		one = hr_xmalloc(sizeof(*one));
		one->host = hr_steal(&host);
		one->next = h->first;
		h->first = one;
	}
	one->until_ms = now_ms() + (ms < HOLD_MAX_MS ? ms : HOLD_MAX_MS);
	pthread_mutex_unlock(&h->lock);
}

int fetch_hold_check(struct fetch_holds *h, const struct fetch_url *u, struct hr_err *e)
{
	hr_autofree char *host = fetch_url_authority(u);
	uint64_t now = now_ms(), until = 0;
	const struct fetch_hold *one;

	pthread_mutex_lock(&h->lock);
	one = find(h, host);
	if (one)
		until = one->until_ms;
	pthread_mutex_unlock(&h->lock);
	if (until <= now)
		return 0;
	return hr_fail(e, HR_NET, 0,
		       "'%s' is busy and wants not to be asked for another %" PRIu64 " s", host,
		       (until - now + 999) / 1000);
}
