/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions for people, and as JSON. */
#include "config.h"

#include "store/sessions.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/json_out.h"
#include "store/size.h"
#include "store/table.h"
#include "store/when.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

static const char *const from_words[HR_FROMS] = { "memory", "cache", "store" };

/* ---- the table ---- */

static const struct store_table_column columns[] = {
	{ "SESSION", false, false }, { "IMAGE", false, true },	{ "JOB", false, false },
	{ "STATE", false, false },   { "BEGAN", false, false }, { "RANKS", true, false },
	{ "START", true, false },    { "READ", true, false },	{ "HITS", true, false },
	{ "WAITED", true, false },
};

static char *seconds(uint64_t us)
{
	return hr_xasprintf("%" PRIu64 ".%03" PRIu64 " s", us / 1000000, us / 1000 % 1000);
}

static void add(struct store_table *t, char *owned)
{
	hr_autofree char *text = owned;

	store_table_add(t, text);
}

static uint64_t bytes_read(const struct hr_stats *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HR_FROMS; i++)
		sum += s->from[i].bytes;
	return sum;
}

static void add_row(struct store_table *t, const struct session *x)
{
	char when[STORE_WHEN_TEXT], size[STORE_SIZE_TEXT];
	const struct hr_stats *s = &x->s;

	store_table_add(t, x->id);
	store_table_add(t, s->image);
	add(t, s->step[0] ? hr_xasprintf("%s.%s", s->job, s->step)
			  : hr_xstrdup(s->job[0] ? s->job : "-"));
	store_table_add(t, s->outage_now ? "waiting" : sessions_state(x));
	store_table_add(t, store_when_text((int64_t)s->started, time(NULL), when));
	add(t, hr_xasprintf("%" PRIu32, s->ranks_joined));
	add(t, s->ready_us ? seconds(s->ready_us) : hr_xstrdup("-"));
	store_table_add(t, store_size_text(bytes_read(s), size));
	add(t, s->reads ? hr_xasprintf("%.0f %%", 100 * sessions_hit_rate(s)) : hr_xstrdup("-"));
	add(t, seconds(s->wait_us));
}

void sessions_print_table(const struct sessions *l)
{
	struct store_table t = { .columns = columns, .n = HR_COUNT(columns) };

	for (size_t i = 0; i < l->n; i++)
		add_row(&t, &l->v[i]);
	store_table_print(&t, stdout, store_table_terminal_width());
	store_table_release(&t);
}

/* ---- all there is to say of one ---- */

static void line(const char *key, const char *text)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_untrusted(&b, text, strlen(text));
	printf("%-10s %s\n", key, (const char *)b.p);
}

static void print_start(const struct hr_stats *s)
{
	for (uint32_t i = 0; i < s->steps_n; i++) {
		hr_autofree char *at = seconds(s->steps[i].at_us);
		hr_autofree char *took =
			s->steps[i].us ? hr_xasprintf(", took %" PRIu32 " us", s->steps[i].us)
				       : hr_xstrdup("");
		hr_autofree char *text = hr_xasprintf("%s  %s%s", at, s->steps[i].name, took);

		line(i == 0 ? "start" : "", text);
	}
}

static void print_reads(const struct hr_stats *s)
{
	hr_autofree char *waited = seconds(s->wait_us), *longest = seconds(s->wait_longest_us);
	char size[STORE_SIZE_TEXT];

	printf("%-10s %" PRIu64 " read%s, %s, %.1f %% of it on the node\n", "read", s->reads,
	       HR_PLURAL(s->reads), store_size_text(bytes_read(s), size),
	       100 * sessions_hit_rate(s));
	for (size_t i = 0; i < HR_FROMS; i++)
		printf("%-10s %s in %" PRIu64 " piece%s from %s\n", "",
		       store_size_text(s->from[i].bytes, size), s->from[i].pieces,
		       HR_PLURAL(s->from[i].pieces), from_words[i]);
	if (s->natives > 0)
		printf("%-10s %" PRIu64 " large file%s, %s, mounted from the cache: not counted\n",
		       "", s->natives, HR_PLURAL(s->natives),
		       store_size_text(s->native_bytes, size));
	printf("%-10s %s by %" PRIu64 " read%s, the longest %s\n", "waited", waited, s->waits,
	       HR_PLURAL(s->waits), longest);
}

static void print_origins(const struct hr_stats *s)
{
	for (uint32_t i = 0; i < s->origins_n; i++) {
		const struct hr_stats_origin *o = &s->origins[i];
		char size[STORE_SIZE_TEXT];
		hr_autofree char *text =
			hr_xasprintf("%s: %s in %" PRIu64 " request%s, %" PRIu64 " failed", o->name,
				     store_size_text(o->bytes, size), o->requests,
				     HR_PLURAL(o->requests), o->failures);

		line(i == 0 ? "origins" : "", text);
	}
	if (s->outages > 0) {
		hr_autofree char *sum = seconds(s->outage_us);

		printf("%-10s %" PRIu64 ", %s in all%s\n", "outages", s->outages, sum,
		       s->outage_now ? ", one goes on" : "");
	}
	if (s->damaged > 0)
		printf("%-10s %" PRIu64 " chunk%s, fetched again\n", "damaged", s->damaged,
		       HR_PLURAL(s->damaged));
}

static void print_session(const struct session *x)
{
	char when[STORE_WHEN_TEXT], now[STORE_SIZE_TEXT], peak[STORE_SIZE_TEXT];
	const struct hr_stats *s = &x->s;

	line("session", x->id);
	line("image", s->image);
	line("digest", s->manifest);
	line("program", s->program);
	line("node", s->node);
	if (s->job[0])
		printf("%-10s %s%s%s\n", "job", s->job, s->step[0] ? "." : "", s->step);
	printf("%-10s %s, began %s\n", "state", sessions_state(x),
	       store_when_text((int64_t)s->started, time(NULL), when));
	printf("%-10s %" PRIu32 " joined, %" PRIu32 " running", "ranks", s->ranks_joined,
	       s->ranks_now);
	printf(s->ranks_expected ? ", %" PRIu32 " expected\n" : "\n", s->ranks_expected);
	print_start(s);
	print_reads(s);
	print_origins(s);
	printf("%-10s %s of memory, %s at most, started %" PRIu32 " time%s\n", "server",
	       store_size_text(x->memory, now), store_size_text(x->peak, peak), s->server_starts,
	       HR_PLURAL(s->server_starts));
}

void sessions_print_text(const struct sessions *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (i > 0)
			printf("\n");
		print_session(&l->v[i]);
	}
}

/* ---- JSON ---- */

static void set_u64(json_t *o, const char *key, uint64_t value)
{
	store_json_set(o, key, store_json_u64(value));
}

static void set_us(json_t *o, const char *key, uint64_t us)
{
	store_json_set(o, key, json_real((double)us / 1e6));
}

static void set_text(json_t *o, const char *key, const char *text)
{
	store_json_set(o, key, text[0] ? json_string(text) : NULL);
}

static json_t *json_start(const struct hr_stats *s)
{
	json_t *o = json_object(), *steps = json_array();

	store_json_set(o, "ready_seconds",
		       s->ready_us ? json_real((double)s->ready_us / 1e6) : NULL);
	for (uint32_t i = 0; i < s->steps_n; i++) {
		json_t *step = json_object();

		set_text(step, "step", s->steps[i].name);
		set_us(step, "at_seconds", s->steps[i].at_us);
		store_json_set(step, "took_seconds",
			       s->steps[i].us ? json_real((double)s->steps[i].us / 1e6) : NULL);
		store_json_add(steps, step);
	}
	store_json_set(o, "steps", steps);
	return o;
}

static json_t *json_reads(const struct hr_stats *s)
{
	json_t *o = json_object(), *mounted = json_object();

	set_u64(o, "requests", s->reads);
	for (size_t i = 0; i < HR_FROMS; i++) {
		json_t *from = json_object();

		set_u64(from, "pieces", s->from[i].pieces);
		set_u64(from, "bytes", s->from[i].bytes);
		store_json_set(o, from_words[i], from);
	}
	set_u64(mounted, "files", s->natives);
	set_u64(mounted, "bytes", s->native_bytes);
	store_json_set(o, "mounted", mounted);
	store_json_set(o, "hit_rate", s->reads ? json_real(sessions_hit_rate(s)) : NULL);
	set_u64(o, "waited", s->waits);
	set_us(o, "wait_seconds", s->wait_us);
	set_us(o, "longest_wait_seconds", s->wait_longest_us);
	set_u64(o, "damaged_chunks", s->damaged);
	return o;
}

static json_t *json_origins(const struct hr_stats *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->origins_n; i++) {
		json_t *o = json_object();

		set_text(o, "origin", s->origins[i].name);
		set_u64(o, "requests", s->origins[i].requests);
		set_u64(o, "failures", s->origins[i].failures);
		set_u64(o, "bytes", s->origins[i].bytes);
		store_json_add(list, o);
	}
	return list;
}

static json_t *json_session(const struct session *x)
{
	json_t *o = json_object(), *ranks = json_object(), *server = json_object(),
	       *outages = json_object();
	const struct hr_stats *s = &x->s;

	set_text(o, "session", x->id);
	set_text(o, "state", sessions_state(x));
	set_text(o, "image", s->image);
	set_text(o, "digest", s->manifest);
	set_text(o, "program", s->program);
	set_text(o, "node", s->node);
	set_text(o, "job", s->job);
	set_text(o, "step", s->step);
	set_u64(o, "began", s->started);
	store_json_set(o, "ended", s->ended ? json_integer((json_int_t)s->ended) : NULL);
	store_json_set(ranks, "expected",
		       s->ranks_expected ? json_integer(s->ranks_expected) : NULL);
	set_u64(ranks, "joined", s->ranks_joined);
	set_u64(ranks, "running", s->ranks_now);
	store_json_set(o, "ranks", ranks);
	store_json_set(o, "start", json_start(s));
	store_json_set(o, "reads", json_reads(s));
	store_json_set(o, "origins", json_origins(s));
	set_u64(outages, "count", s->outages);
	set_us(outages, "seconds", s->outage_us);
	store_json_set(outages, "now", json_boolean(s->outage_now));
	store_json_set(o, "outages", outages);
	set_u64(server, "starts", s->server_starts);
	set_u64(server, "memory_bytes", x->memory);
	set_u64(server, "peak_memory_bytes", x->peak);
	store_json_set(o, "server", server);
	return o;
}

int sessions_print_json(const struct sessions *l, struct hr_err *e)
{
	json_t *list = json_array();
	int r;

	for (size_t i = 0; i < l->n; i++)
		store_json_add(list, json_session(&l->v[i]));
	r = json_dumpf(list, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));
	json_decref(list);
	printf("\n");
	return r == 0 ? 0 : hr_fail(e, HR_SYS, 0, "cannot print the sessions as JSON");
}
