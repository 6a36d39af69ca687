/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/retry.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "util/log.h"
#include "util/poison.h"

#define BACKOFF_FIRST_MS 250
#define BACKOFF_CAP_MS	 30000
#define LOUD_PAUSE_MS	 5000 /* a pause that the user would wonder about */
/* How often each kind of failure is worth another try; BUSY is bounded by the time alone. */
static const unsigned int tries_max[] = {
	[FETCH_AGAIN_NEVER] = 0,  [FETCH_AGAIN_UNREACHED] = 3, [FETCH_AGAIN_BROKEN] = 8,
	[FETCH_AGAIN_BUSY] = 100, [FETCH_AGAIN_WRONG] = 2,
};

/* Half to all of MS, so that many clients that failed together do not come back together. */
static uint64_t jitter(uint64_t ms)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uint32_t)time(NULL) * 2654435761u;
	return ms / 2 + (ms / 2 * (random >> 16) >> 16);
}

int fetch_retry_wait(struct fetch_client *c, struct fetch_retry *r, const struct fetch_failure *f,
		     struct hr_err *e)
{
	unsigned int n = r->tries[f->again]++;
	uint64_t ms = n < 8 ? (uint64_t)BACKOFF_FIRST_MS << n : BACKOFF_CAP_MS;
	struct hr_err stop = { 0 };

	if (n >= tries_max[f->again])
		return -1;
	ms = jitter(ms < BACKOFF_CAP_MS ? ms : BACKOFF_CAP_MS);
	if (f->has_retry_after && f->retry_after_ms + jitter(f->retry_after_ms / 8) > ms)
		ms = f->retry_after_ms + jitter(f->retry_after_ms / 8);
	if (r->waited_ms + ms > c->retry_ms) {
		hr_hint(e,
			"given up after %" PRIu64 " s of waiting; the next try would come %" PRIu64
			" s later",
			r->waited_ms / 1000, ms / 1000);
		return -1;
	}
	if (ms >= LOUD_PAUSE_MS)
		hr_warn("%s; trying again in %" PRIu64 " s", e->text, (ms + 500) / 1000);
	else
		hr_info("%s; trying again in %" PRIu64 " ms", e->text, ms);
	if (fetch_http_pause(c->http, ms, &stop) < 0) {
		*e = stop;
		return -1;
	}
	r->waited_ms += ms;
	hr_err_clear(e);
	return 0;
}

void fetch_retry_progress(struct fetch_retry *r)
{
	memset(r, 0, sizeof(*r));
}
