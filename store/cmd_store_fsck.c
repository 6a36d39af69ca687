/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun store fsck: is everything in a store what its name says? If not, make it so. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "store/check_show.h"
#include "store/cmd_store.h"
#include "store/interrupt.h"
#include "store/json_out.h"
#include "store/repair.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

struct fsck_args {
	struct store_admin_common common;
	struct store_check_show show;
	bool repair;
	uint64_t threads;
};

/* What is done, and with what. */
struct fsck {
	struct fsck_args *a;
	struct hr_conf conf;
	struct store *st;
	struct fetch_client *client;
	struct store_repair *repair; /* or NULL: it is checked alone */
	atomic_bool *stop;
};

static const struct hr_opt fsck_opts[] = {
	HR_OPT_FLAG(0, "json", struct fsck_args, show.json, "print a JSON object for each event"),
	HR_OPT_FLAG('q', "quiet", struct fsck_args, show.quiet, "print nothing but damage"),
	HR_OPT_FLAG(0, "repair", struct fsck_args, repair,
		    "make what is damaged again, or fetch it from its registry"),
	HR_OPT_U64('t', "threads", "N", struct fsck_args, threads, 1, STORE_CREW_MAX,
		   "check with N threads (default: one for each CPU)"),
	HR_OPT_END
};

static void note_damage(void *arg, const struct store_damage *d)
{
	const struct fsck *f = arg;

	if (f->repair)
		store_repair_add(f->repair, d);
	store_check_show_damage(&f->a->show, d);
}

static int check(struct fsck *f, struct store_check_result *r, struct hr_err *e)
{
	const struct store_check_options o = { .st = f->st,
					       .threads = store_cmd_threads(f->a->threads),
					       .cancel = f->stop,
					       .damaged = note_damage,
					       .arg = f,
					       .bytes = &f->a->show.bytes };
	struct hr_err unknown = { 0 }; /* of how much there is to do */
	uint64_t total;
	int done;

	if (store_size(f->st, &total, &unknown) < 0)
		total = 0;
	store_check_show_begin(&f->a->show, total);
	done = store_check_all(&o, r, e);
	store_check_show_stop(&f->a->show);
	if (done < 0)
		return -1;
	store_check_show_end(&f->a->show, "store", f->st->path, r);
	return 0;
}

/* ---- repairing ---- */

static void print_repaired(void *arg, const char *name, const struct hr_err *why)
{
	const struct fsck *f = arg;
	hr_autobuf struct hr_buf shown = { 0 };
	json_t *o;

	hr_buf_untrusted(&shown, name, strlen(name));
	if (f->a->show.json) {
		o = json_object();
		store_json_set(o, "event", json_string("repaired"));
		store_json_set(o, "reference", json_string((const char *)shown.p));
		store_json_set(o, "reason", why ? json_string(why->text) : NULL);
		store_json_print_line(o);
	} else if (why) {
		printf("%s: cannot be repaired: %s\n", (const char *)shown.p, why->text);
	} else {
		printf("%s: repaired\n", (const char *)shown.p);
	}
}

/* What nothing reaches any more, such as packs that were replaced; what is spared, the next gc has.
 */
static void collect(const struct fsck *f)
{
	struct hr_err e = { 0 };

	if (store_admin_collect(f->st, false, f->stop, &e) < 0)
		hr_warn("%s", e.text);
}

static int repair(struct fsck *f, struct store_check_result *r, struct hr_err *e)
{
	struct store_repair_options o = { .st = f->st,
					  .workers = store_cmd_threads(0),
					  .level = (int)f->conf.compress_level,
					  .max_bytes = f->conf.import_max_bytes,
					  .stop = f->stop,
					  .image = print_repaired,
					  .arg = f };

	if (store_cmd_client(&f->conf, f->stop, &f->client, e) < 0)
		return -1;
	o.client = f->client;
	if (store_repair_run(f->repair, &o, e) < 0)
		return hr_wrap(e, "cannot repair store '%s'", f->st->path);
	collect(f);
	/* is it good now? */
	store_repair_freep(&f->repair);
	f->repair = NULL;
	return check(f, r, e);
}

static void fsck_release(struct fsck *f)
{
	store_repair_free(f->repair);
	fetch_client_free(f->client);
	store_close(f->st);
	hr_conf_release(&f->conf);
}

static int fsck_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(fsck_release)
	struct fsck f = { .a = args, .stop = store_interrupt_catch() };
	struct store_check_result r;

	(void)argc;
	(void)argv;
	if (f.a->repair)
		f.repair = store_repair_new();
	if (store_admin_open(&f.a->common, &f.conf, &f.st, e) < 0 || check(&f, &r, e) < 0 ||
	    (f.repair && r.damaged > 0 && repair(&f, &r, e) < 0))
		return -1;
	return r.damaged > 0 ? STORE_CHECK_EXIT_DAMAGED : 0;
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
