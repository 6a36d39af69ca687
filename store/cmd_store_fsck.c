/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun store fsck: is everything in a store what its name says? */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/check.h"
#include "store/cmd_store.h"
#include "store/interrupt.h"
#include "store/json_out.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define EXIT_DAMAGED 1

struct fsck_args {
	struct store_admin_common common;
	bool json, quiet;
	uint64_t threads;
};

static const struct hr_opt fsck_opts[] = {
	HR_OPT_FLAG(0, "json", struct fsck_args, json, "print a JSON object for each event"),
	HR_OPT_FLAG('q', "quiet", struct fsck_args, quiet, "print nothing but damage"),
	HR_OPT_U64('t', "threads", "N", struct fsck_args, threads, 1, STORE_CHECK_THREADS_MAX,
		   "check with N threads (default: one for each CPU)"),
	HR_OPT_END
};

static void print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	printf("\n");
	json_decref(o);
}

static void print_damage(void *arg, const struct store_damage *d)
{
	const struct fsck_args *a = arg;
	json_t *o;

	if (!a->json) {
		printf("%s: %s\n", d->path, d->why->text);
		return;
	}
	o = json_object();
	store_json_set(o, "event", json_string("damaged"));
	store_json_set(o, "path", json_string(d->path));
	store_json_set(o, "missing", json_boolean(d->why->kind == HR_NOTFOUND));
	store_json_set(o, "reason", json_string(d->why->text));
	print_json(o);
}

static double now(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_result(const struct fsck_args *a, const struct store *st,
			 const struct store_check_result *r, double seconds)
{
	hr_autobuf struct hr_buf path = { 0 };
	char size[STORE_SIZE_TEXT], rate[STORE_SIZE_TEXT];
	json_t *o;

	if (a->json) {
		o = json_object();
		store_json_set(o, "event", json_string("checked"));
		store_json_set(o, "store", json_string(st->path));
		store_json_set(o, "objects", store_json_u64(r->objects));
		store_json_set(o, "chunks", store_json_u64(r->chunks));
		store_json_set(o, "bytes", store_json_u64(r->bytes));
		store_json_set(o, "damaged", store_json_u64(r->damaged));
		store_json_set(o, "seconds", json_real(seconds));
		print_json(o);
		return;
	}
	if (a->quiet)
		return;
	hr_buf_untrusted(&path, st->path, strlen(st->path));
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

static int fsck_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	struct fsck_args *a = args;
	struct store_check_options o = { .threads = a->threads ? (unsigned int)a->threads
							       : store_admin_threads(),
					 .cancel = store_interrupt_catch(),
					 .damaged = print_damage,
					 .arg = a };
	struct store_check_result r;
	double began = now();

	(void)argc;
	(void)argv;
	if (store_admin_open(&a->common, &conf, &st, e) < 0)
		return -1;
	o.st = st;
	if (store_check_all(&o, &r, e) < 0)
		return -1;
	print_result(a, st, &r, now() - began);
	return r.damaged > 0 ? EXIT_DAMAGED : 0;
}

const struct hr_cmd store_cmd_store_fsck = {
	.name = "store fsck",
	.operands = "",
	.summary = "check every object of a store",
	.opts = fsck_opts,
	.common = store_admin_common_opts,
	.args_size = sizeof(struct fsck_args),
	.main = fsck_main,
};
