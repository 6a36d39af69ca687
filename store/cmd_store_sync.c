/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun store sync: bring the listed images up to date; for cron. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/cmd_store.h"
#include "store/import.h"
#include "store/interrupt.h"
#include "store/json_out.h"
#include "store/lease.h"
#include "store/site.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define DOWNLOADS   3
#define EXIT_FAILED 1 /* some images; the others are up to date */

struct sync_args {
	struct store_admin_common common;
	bool json, quiet, dry, now;
};

static const struct hr_opt sync_opts[] = {
	HR_OPT_FLAG('n', "dry-run", struct sync_args, dry,
		    "ask the registries, and change nothing"),
	HR_OPT_FLAG(0, "now", struct sync_args, now, "all images, whether they are due or not"),
	HR_OPT_FLAG('q', "quiet", struct sync_args, quiet, "print changes and failures alone"),
	HR_OPT_FLAG(0, "json", struct sync_args, json, "print a JSON object for each image"),
	HR_OPT_END
};

struct sync {
	const struct sync_args *a;
	struct hr_conf conf;
	struct store *st;
	struct store_site site;
	struct fetch_client *client;
	atomic_bool *stop;
	struct hr_strv wanted; /* the names that were given, in full; none: what is due */
	unsigned int failed;
	bool dropped; /* something went that gc may free */
};

static void sync_release(struct sync *s)
{
	fetch_client_free(s->client);
	store_site_release(&s->site);
	hr_strv_release(&s->wanted);
	store_close(s->st);
	hr_conf_release(&s->conf);
}

/* ---- telling ---- */

enum outcome { UNCHANGED, PULLED, MOVED, WOULD_PULL, FAILED };
static const char *const outcome_words[] = { "unchanged", "pulled", "moved", "would pull",
					     "failed" };

static void tell(const struct sync *s, const struct store_site_image *im, enum outcome what,
		 uint64_t bytes, const char *text)
{
	char size[STORE_SIZE_TEXT];
	json_t *o;

	if (s->a->quiet && what == UNCHANGED)
		return;
	if (s->a->json) {
		o = json_object();
		store_json_set(o, "reference", json_string(im->name));
		store_json_set(o, "result", json_string(outcome_words[what]));
		store_json_set(o, "bytes", store_json_u64(bytes));
		store_json_set(o, what == FAILED ? "reason" : "digest",
			       text ? json_string(text) : NULL);
		store_json_print_line(o);
	} else if (what == FAILED || what == UNCHANGED) {
		printf("%s: %s%s%s\n", im->name, outcome_words[what], text ? ": " : "",
		       text ? text : "");
	} else {
		printf("%s: %s %s, %s\n", im->name, outcome_words[what], text,
		       store_size_text(bytes, size));
	}
	fflush(stdout); /* whoever looks at the log of a long night sees how far it is */
}

/* ---- one image ---- */

/*
 * A pull that would pass the quota is not begun. How much of the missing layers the store keeps,
 * for much may be in others, and how small, is known when they are here; until then each counts as
 * large as its blob. What is in use is measured each time: other pulls go on meanwhile.
 */
static int check_quota(void *arg, const struct store_import_status *status, struct hr_err *e)
{
	const struct sync *s = arg;
	char used[STORE_SIZE_TEXT], quota[STORE_SIZE_TEXT], need[STORE_SIZE_TEXT];
	uint64_t bytes, sum, more;
	size_t layers;

	more = store_import_missing(status, &layers);
	if (s->site.quota == 0 || more == 0)
		return 0;
	if (store_size(s->st, &bytes, e) < 0)
		return -1;
	if (hr_add(bytes, more, &sum) && sum <= s->site.quota)
		return 0;
	hr_fail(e, HR_SYS, EDQUOT, "%s more would pass the quota of %s, %s are in use",
		store_size_text(more, need), store_size_text(s->site.quota, quota),
		store_size_text(bytes, used));
	hr_hint(e, "take images off the list and 'hpcrun rmi' them, or raise 'quota' in '%s/list'",
		s->st->path);
	return -1;
}

static void set_options(struct sync *s, const struct store_import_source *from,
			const struct fetch_ref *ref, struct store_import_options *o)
{
	*o = (struct store_import_options) { .st = s->st,
					     .source = from,
					     .ref = ref,
					     .downloads = DOWNLOADS,
					     .workers = store_cmd_threads(0),
					     .level = (int)s->conf.compress_level,
					     .max_bytes = s->conf.import_max_bytes,
					     .if_changed = true,
					     .stop = s->stop,
					     .admit = check_quota,
					     .admit_arg = s };
}

/*
 * The tag means another image now: the old one gets a reference by its digest, which came from
 * SERVER, or, NULL, loses it.
 */
static int keep_old(struct sync *s, const struct fetch_ref *ref, const char *digest, char *server,
		    struct hr_err *e)
{
	struct fetch_ref by_digest = *ref; /* borrows its strings */
	struct store_ref_record r = { .pulled = (uint64_t)time(NULL), .server = server };
	int done;

	by_digest.tag = NULL;
	by_digest.has_digest = true;
	if (fetch_digest_parse(digest, &by_digest.digest, e) < 0)
		return -1;
	r.manifest = r.document = by_digest.digest;
	done = server ? store_ref_write(s->st, &by_digest, &r, e)
		      : store_ref_remove(s->st, &by_digest, e);
	if (done < 0 && !server && e->kind == HR_NOTFOUND) {
		hr_err_clear(e); /* it was never kept, or somebody removed it */
		done = 0;
	}
	s->dropped |= !server;
	return done;
}

/*
 * Note that it went well, and do what retention says about the image that the tag meant BEFORE;
 * NULL: it means the same.
 */
static int settle(struct sync *s, struct store_site_image *im, const struct fetch_ref *ref,
		  const struct store_ref_record *before, struct hr_err *e)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv dropped = { 0 };
	char text[FETCH_DIGEST_TEXT];
	const char *parted = before ? fetch_digest_text(&before->manifest, text) : NULL;

	store_site_synced(&s->site, im, (uint64_t)time(NULL), parted, &dropped);
	for (size_t i = 0; i < im->n_old; i++)
		if (parted && strcmp(im->old[i].digest, parted) == 0 &&
		    keep_old(s, ref, parted, before->server, e) < 0)
			return -1;
	for (size_t i = 0; i < dropped.n; i++)
		if (keep_old(s, ref, dropped.v[i], NULL, e) < 0)
			return -1;
	return 0;
}

static int pull(struct sync *s, struct store_site_image *im, const struct fetch_ref *ref,
		const struct store_import_options *o, struct hr_err *e)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record before = { 0 };
	struct store_import_status status = { 0 };
	struct store_import_result result;
	struct hr_err none = { 0 };
	char new[FETCH_DIGEST_TEXT];
	bool known = store_ref_read(s->st, ref, &before, &none) == 0, moved;
	int r = store_import_pull(o, &status, &result, e);

	store_import_status_release(&status);
	if (r < 0)
		return -1;
	moved = known && !fetch_digest_equal(&before.manifest, &result.manifest);
	if (settle(s, im, ref, moved ? &before : NULL, e) < 0)
		return -1;
	tell(s, im,
	     result.unchanged ? UNCHANGED
	     : moved	      ? MOVED
			      : PULLED,
	     result.stored, result.unchanged ? NULL : fetch_digest_text(&result.manifest, new));
	return 0;
}

static int look(struct sync *s, const struct store_site_image *im, const struct fetch_ref *ref,
		const struct store_import_options *o, struct hr_err *e)
{
	HR_CLEANUP(store_import_prospect_release) struct store_import_prospect p = { 0 };
	HR_CLEANUP(store_import_status_release) struct store_import_status status = { 0 };
	HR_CLEANUP(store_ref_record_release) struct store_ref_record now = { 0 };
	struct hr_err none = { 0 };
	char text[FETCH_DIGEST_TEXT];
	size_t layers;
	bool here;

	if (store_import_plan(o, &status, &p, e) < 0 || check_quota(s, &status, e) < 0)
		return -1;
	here = p.here && store_ref_read(s->st, ref, &now, &none) == 0 &&
	       fetch_digest_equal(&now.manifest, &p.manifest);
	tell(s, im, here ? UNCHANGED : WOULD_PULL, store_import_missing(&status, &layers),
	     here ? NULL : fetch_digest_text(&p.manifest, text));
	return 0;
}

static int sync_image(struct sync *s, struct store_site_image *im, struct hr_err *e)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	struct store_import_registry registry = { s->client, &ref };
	struct store_import_source from;
	struct store_import_options o;

	if (fetch_ref_parse(im->name, &ref, e) < 0)
		return -1;
	from = store_import_registry_source(&registry);
	set_options(s, &from, &ref, &o);
	return s->a->dry ? look(s, im, &ref, &o, e) : pull(s, im, &ref, &o, e);
}

/* ---- all ---- */

static int take_names(struct sync *s, int argc, char **argv, struct hr_err *e)
{
	for (int i = 0; i < argc; i++) {
		char *name = store_site_name(argv[i], e);

		if (!name)
			return -1;
		hr_strv_take(&s->wanted, name);
		if (!store_site_lists(&s->site, name))
			return hr_fail(e, HR_NOTFOUND, 0, "'%s' is not on the list of store '%s'",
				       argv[i], s->st->path);
	}
	return 0;
}

static bool is_wanted(const struct sync *s, const struct store_site_image *im)
{
	if (!im->listed)
		return false;
	if (s->wanted.n > 0)
		return hr_strv_has(&s->wanted, im->name);
	return s->a->now || store_site_due(&s->site, im) <= (uint64_t)time(NULL);
}

/* What moved away is freed at once, as far as the grace lets it; that it cannot be is no failure.
 */
static void collect(const struct sync *s)
{
	struct hr_err e = { 0 };

	if (store_admin_collect(s->st, false, s->stop, &e) < 0)
		hr_warn("%s; the next 'hpcrun store sync' or 'hpcrun store gc' does", e.text);
}

static int sync_all(struct sync *s, struct hr_err *e)
{
	for (size_t i = 0; i < s->site.n && !*s->stop; i++) {
		struct store_site_image *im = &s->site.images[i];
		struct hr_err failure = { 0 };

		if (!is_wanted(s, im) || sync_image(s, im, &failure) == 0)
			continue;
		/* a failed layer sets the flag to end its own pull, and only that */
		if (failure.sys != EINTR)
			*s->stop = false;
		else
			break;
		store_site_failed(im, (uint64_t)time(NULL), failure.text);
		tell(s, im, FAILED, 0, im->reason.v[0]);
		if (failure.hint[0])
			hr_info("%s: %s", im->name, failure.hint);
		s->failed++;
	}
	if (s->a->dry)
		return 0;
	if (store_site_save(s->st, &s->site, e) < 0)
		return -1;
	if (*s->stop)
		return hr_fail(e, HR_SYS, 0, "interrupted");
	if (s->dropped)
		collect(s);
	return 0;
}

static int run(struct sync *s, int argc, char **argv, struct hr_err *e)
{
	struct store_lease *lease = NULL;
	int r;

	if (store_admin_open(&s->a->common, &s->conf, &s->st, e) < 0)
		return -1;
	if (!s->a->dry && store_lease_try(s->st, STORE_LEASE_SYNC, NULL, s->stop, &lease, e) < 0)
		return -1;
	/* read when nobody else writes the state */
	r = store_site_load(s->st, &s->site, e) < 0 || take_names(s, argc, argv, e) < 0 ||
			    store_cmd_client(&s->conf, s->stop, &s->client, e) < 0 ||
			    sync_all(s, e) < 0
		    ? -1
		    : 0;
	store_lease_release(lease);
	return r;
}

static int sync_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(sync_release)
	struct sync s = { .a = args, .stop = store_interrupt_catch() };

	if (run(&s, argc, argv, e) < 0)
		return hr_wrap(e, "cannot bring the store up to date");
	return s.failed ? EXIT_FAILED : 0;
}

const struct hr_cmd store_cmd_store_sync = {
	.name = "store sync",
	.operands = "[IMAGE]...",
	.summary = "fetch the listed images that are due or new",
	.opts = sync_opts,
	.common = store_admin_common_opts,
	.args_size = sizeof(struct sync_args),
	.max_operands = -1,
	.main = sync_main,
};
