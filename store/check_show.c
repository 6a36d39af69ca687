/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/check_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/json_out.h"
#include "store/progress.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define TICK_MS 200

static void print_damage(const struct store_check_show *s, const struct store_damage *d)
{
	json_t *o;

	if (!s->json) {
		printf("%s: %s\n", d->path, d->why->text);
		return;
	}
	o = json_object();
	store_json_set(o, "event", json_string("damaged"));
	store_json_set(o, "path", json_string(d->path));
	store_json_set(o, "missing", json_boolean(d->why->kind == HR_NOTFOUND));
	store_json_set(o, "reason", json_string(d->why->text));
	store_json_print_line(o);
}

void store_check_show_damage(void *show, const struct store_damage *d)
{
	struct store_check_show *s = show;

	if (!s->ticker.running) {
		print_damage(s, d);
		return;
	}
	pthread_mutex_lock(&s->ticker.lock);
	fputs(PROGRESS_CLEAR, stderr);
	print_damage(s, d);
	fflush(stdout);
	pthread_mutex_unlock(&s->ticker.lock);
}

/* ---- how far it is ---- */

static void show(void *arg)
{
	struct store_check_show *s = arg;
	char done[STORE_SIZE_TEXT], total[STORE_SIZE_TEXT];

	fprintf(stderr, PROGRESS_CLEAR "checked %s%s%s", store_size_text(s->bytes, done),
		s->total ? " of about " : "", s->total ? store_size_text(s->total, total) : "");
}

void store_check_show_stop(struct store_check_show *s)
{
	if (!s->ticker.running)
		return;
	store_ticker_stop(&s->ticker);
	fputs(PROGRESS_CLEAR, stderr);
}

/* ---- the sums ---- */

static double now(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void store_check_show_begin(struct store_check_show *s, uint64_t total)
{
	s->began = now();
	s->bytes = 0;
	s->total = total;
	if (s->quiet || s->json || !isatty(STDERR_FILENO))
		return;
	show(s);
	if (!store_ticker_start(&s->ticker, TICK_MS, show, s))
		fputs(PROGRESS_CLEAR, stderr);
}

void store_check_show_end(const struct store_check_show *s, const char *what, const char *name,
			  const struct store_check_result *r)
{
	double seconds = now() - s->began;
	hr_autobuf struct hr_buf path = { 0 };
	char size[STORE_SIZE_TEXT], rate[STORE_SIZE_TEXT];
	json_t *o;

	if (s->json) {
		o = json_object();
		store_json_set(o, "event", json_string("checked"));
		store_json_set(o, what, json_string(name));
		store_json_set(o, "objects", store_json_u64(r->objects));
		store_json_set(o, "chunks", store_json_u64(r->chunks));
		store_json_set(o, "bytes", store_json_u64(r->bytes));
		store_json_set(o, "damaged", store_json_u64(r->damaged));
		store_json_set(o, "seconds", json_real(seconds));
		store_json_print_line(o);
		return;
	}
	if (s->quiet)
		return;
	hr_buf_untrusted(&path, name, strlen(name));
	printf("checked '%s': objects %" PRIu64 ", chunks %" PRIu64 ", %s in %.1f s, %s/s\n",
	       (const char *)path.p, r->objects, r->chunks, store_size_text(r->bytes, size),
	       seconds,
	       store_size_text((uint64_t)((double)r->bytes / (seconds > 0.001 ? seconds : 0.001)),
			       rate));
	if (r->damaged == 0)
		printf("no damage\n");
	else
		printf("damaged or missing: objects %" PRIu64 "\n", r->damaged);
}
