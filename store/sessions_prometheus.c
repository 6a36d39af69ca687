/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions in the text form of Prometheus.
 *
 * Source: Prometheus, "Exposition formats", text format 0.0.4; "Metric and label naming".
 */
#include "config.h"

#include "store/sessions.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "util/poison.h"

struct metric;
typedef void emit_fn(const struct metric *m, const struct session *x);

struct metric {
	const char *name, *type, *help;
	emit_fn *emit;
	size_t member; /* of struct hr_stats, for the emit functions of one number */
};

static void label(const char *name, const char *value)
{
	printf("%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			printf("\\%c", *value);
		else if (*value == '\n')
			printf("\\n");
		else
			putchar(*value);
	}
	putchar('"');
}

/* "name{session="...",label="..." and the brace; LABEL may be NULL. */
static void series(const struct metric *m, const struct session *x, const char *name,
		   const char *value)
{
	printf("%s{", m->name);
	label("session", x->id);
	if (name) {
		putchar(',');
		label(name, value);
	}
	printf("} ");
}

static uint64_t number(const struct metric *m, const struct session *x)
{
	return *(const uint64_t *)(const void *)((const char *)&x->s + m->member);
}

static void emit_u64(const struct metric *m, const struct session *x)
{
	series(m, x, NULL, NULL);
	printf("%" PRIu64 "\n", number(m, x));
}

static void emit_u32(const struct metric *m, const struct session *x)
{
	series(m, x, NULL, NULL);
	printf("%" PRIu32 "\n", *(const uint32_t *)(const void *)((const char *)&x->s + m->member));
}

static void print_us(uint64_t us)
{
	printf("%" PRIu64 ".%06" PRIu64 "\n", us / 1000000, us % 1000000);
}

static void emit_us(const struct metric *m, const struct session *x)
{
	series(m, x, NULL, NULL);
	print_us(number(m, x));
}

static void emit_info(const struct metric *m, const struct session *x)
{
	const struct {
		const char *name, *value;
	} labels[] = {
		{ "session", x->id },
		{ "image", x->s.image },
		{ "digest", x->s.manifest },
		{ "program", x->s.program },
		{ "job", x->s.job },
		{ "step", x->s.step },
		{ "state", sessions_state(x) },
	};

	printf("%s{", m->name);
	for (size_t i = 0; i < HR_COUNT(labels); i++) {
		if (i > 0)
			putchar(',');
		label(labels[i].name, labels[i].value);
	}
	printf("} 1\n");
}

static void emit_steps(const struct metric *m, const struct session *x)
{
	for (uint32_t i = 0; i < x->s.steps_n; i++) {
		if (x->s.steps[i].us == 0)
			continue;
		series(m, x, "step", x->s.steps[i].name);
		print_us(x->s.steps[i].us);
	}
}

static void emit_from(const struct metric *m, const struct session *x)
{
	static const char *const words[HR_FROMS] = { "memory", "cache", "store" };

	for (size_t i = 0; i < HR_FROMS; i++) {
		series(m, x, "from", words[i]);
		printf("%" PRIu64 "\n", x->s.from[i].bytes);
	}
}

static void emit_origins(const struct metric *m, const struct session *x)
{
	for (uint32_t i = 0; i < x->s.origins_n; i++) {
		const char *o = (const char *)&x->s.origins[i] + m->member;

		series(m, x, "origin", x->s.origins[i].name);
		printf("%" PRIu64 "\n", *(const uint64_t *)(const void *)o);
	}
}

static void emit_memory(const struct metric *m, const struct session *x)
{
	series(m, x, NULL, NULL);
	printf("%" PRIu64 "\n", m->member == 0 ? x->memory : x->peak);
}

#define OF(member)	  offsetof(struct hr_stats, member)
#define OF_ORIGIN(member) offsetof(struct hr_stats_origin, member)

static const struct metric metrics[] = {
	{ "hpcrun_session_info", "gauge", "What a session is; always 1.", emit_info, 0 },
	{ "hpcrun_session_begin_time_seconds", "gauge", "When the session began, since 1970.",
	  emit_u64, OF(started) },
	{ "hpcrun_session_ready_seconds", "gauge",
	  "How long it took until programs could start; 0: not yet.", emit_us, OF(ready_us) },
	{ "hpcrun_session_step_seconds", "gauge", "How long a step of the start took.", emit_steps,
	  0 },
	{ "hpcrun_ranks", "gauge", "Ranks whose program runs.", emit_u32, OF(ranks_now) },
	{ "hpcrun_ranks_joined_total", "counter", "Ranks that joined the session.", emit_u32,
	  OF(ranks_joined) },
	{ "hpcrun_reads_total", "counter", "Reads that the server answered.", emit_u64, OF(reads) },
	{ "hpcrun_read_bytes_total", "counter",
	  "Bytes that readers got, by where they had to be brought from.", emit_from, 0 },
	{ "hpcrun_read_waits_total", "counter", "Reads of what was not in memory.", emit_u64,
	  OF(waits) },
	{ "hpcrun_read_wait_seconds_total", "counter", "How long those waited, added up.", emit_us,
	  OF(wait_us) },
	{ "hpcrun_damaged_chunks_total", "counter", "Chunks that broke their digest.", emit_u64,
	  OF(damaged) },
	{ "hpcrun_mounted_files", "gauge", "Large files mounted from the cache.", emit_u64,
	  OF(natives) },
	{ "hpcrun_mounted_bytes", "gauge", "Their sizes; reads of them are not counted.", emit_u64,
	  OF(native_bytes) },
	{ "hpcrun_origin_requests_total", "counter", "Requests to a store or mirror.", emit_origins,
	  OF_ORIGIN(requests) },
	{ "hpcrun_origin_failures_total", "counter", "Requests that failed.", emit_origins,
	  OF_ORIGIN(failures) },
	{ "hpcrun_origin_bytes_total", "counter", "Bytes that came, compressed.", emit_origins,
	  OF_ORIGIN(bytes) },
	{ "hpcrun_outages_total", "counter", "Times at which no origin answered.", emit_u64,
	  OF(outages) },
	{ "hpcrun_outage_seconds_total", "counter", "How long those lasted that are over.", emit_us,
	  OF(outage_us) },
	{ "hpcrun_outage", "gauge", "1 while no origin answers.", emit_u32, OF(outage_now) },
	{ "hpcrun_server_starts_total", "counter", "Servers started, 1 if none died.", emit_u32,
	  OF(server_starts) },
	{ "hpcrun_server_memory_bytes", "gauge", "Memory of the server; 0: there is none.",
	  emit_memory, 0 },
	{ "hpcrun_server_memory_peak_bytes", "gauge", "The most that it had.", emit_memory, 1 },
};

void sessions_print_prometheus(const struct sessions *l)
{
	for (size_t i = 0; i < HR_COUNT(metrics); i++) {
		const struct metric *m = &metrics[i];

		printf("# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
		for (size_t k = 0; k < l->n; k++)
			m->emit(m, &l->v[k]);
	}
}
