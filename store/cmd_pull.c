/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fetch/fetch.h"
#include "store/bundle.h"
#include "store/cache_place.h"
#include "store/cmd.h"
#include "store/image.h"
#include "store/import.h"
#include "store/interrupt.h"
#include "store/progress.h"
#include "store/size.h"
#include "store/url_file.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/source.h"
#include "util/poison.h"

#define DOWNLOADS_DEFAULT 3

struct pull_args {
	struct store_cmd_common common;
	bool quiet, json, force, if_changed;
	bool dry_run;
	uint64_t downloads, threads;
};

/* The first is none of import's. */
static const struct hr_opt pull_opts[] = {
	HR_OPT_FLAG('n', "dry-run", struct pull_args, dry_run,
		    "only tell what would be done, as 'hpcrun plan' does"),
	HR_OPT_FLAG('q', "quiet", struct pull_args, quiet, "print nothing but the digest"),
	HR_OPT_FLAG(0, "json", struct pull_args, json, "print one JSON object for each event"),
	HR_OPT_FLAG('f', "force", struct pull_args, force,
		    "fetch and store everything again, whatever is here"),
	HR_OPT_FLAG(0, "if-changed", struct pull_args, if_changed,
		    "print nothing when all is here already"),
	HR_OPT_U64('j', "downloads", "N", struct pull_args, downloads, 1, 32,
		   "work on N layers at once (default 3)"),
	HR_OPT_U64('t', "threads", "N", struct pull_args, threads, 1, 64,
		   "compress with N threads (default: one for each CPU)"),
	HR_OPT_END
};

static enum progress_style style_of(const struct pull_args *a)
{
	if (a->quiet)
		return PROGRESS_QUIET;
	if (a->json)
		return PROGRESS_JSON;
	return isatty(STDERR_FILENO) && isatty(STDOUT_FILENO) ? PROGRESS_BARS : PROGRESS_LINES;
}

/* What a pull needs, open. */
struct pull_env {
	struct hr_conf conf;
	struct store_paths paths;
	struct fetch_ref ref;
	struct store *st;
	struct fetch_client *client; /* or, of an import, */
	struct store_cache *cache;
	struct store_bundle *bundle;
	struct store_tmp file; /* of a URL */
	atomic_bool *stop;
};

static void env_release(struct pull_env *env)
{
	fetch_client_free(env->client);
	store_bundle_close(env->bundle);
	store_tmp_discard(&env->file);
	store_cache_close(env->cache);
	store_close(env->st);
	fetch_ref_release(&env->ref);
	store_paths_release(&env->paths);
	hr_conf_release(&env->conf);
}

static int pull(const struct pull_args *a, const struct pull_env *env,
		const struct store_import_source *source, struct hr_err *e)
{
	struct store_import_options o = {
		.st = env->st,
		.source = source,
		.ref = &env->ref,
		.downloads = a->downloads ? (unsigned int)a->downloads : DOWNLOADS_DEFAULT,
		.workers = store_cmd_threads(a->threads),
		.level = (int)env->conf.compress_level,
		.max_bytes = env->conf.import_max_bytes,
		.force = a->force,
		.if_changed = a->if_changed,
		.stop = env->stop,
	};
	struct store_import_status status = { 0 };
	struct store_import_result result;
	struct progress *p = progress_start(&status, &env->ref, style_of(a), env->bundle);
	int r = store_import_pull(&o, &status, &result, e);

	progress_end(p, r == 0 && !(a->if_changed && result.unchanged) ? &result : NULL);
	store_import_status_release(&status);
	return r;
}

static int prepare(const struct pull_args *a, struct pull_env *env, const char *name,
		   struct hr_err *e)
{
	if (a->quiet && a->json)
		return hr_fail(e, HR_USAGE, 0, "--quiet and --json exclude each other");
	return fetch_ref_parse(name, &env->ref, e) < 0
		       ? -1
		       : store_cmd_paths(&a->common, &env->conf, &env->paths, e);
}

/* Open the store if it is there; env->st stays NULL otherwise. */
static int find_store(struct pull_env *env, struct hr_err *e)
{
	if (env->st ||
	    store_open(env->paths.v[0], STORE_READ, &env->paths.trusted, &env->st, e) == 0)
		return 0;
	if (e->kind != HR_NOTFOUND)
		return -1;
	hr_err_clear(e);
	return 0;
}

static int make_store(struct pull_env *env, struct hr_err *e)
{
	return env->st ? 0
		       : store_open(env->paths.v[0], STORE_WRITE, &env->paths.trusted, &env->st, e);
}

/* A source that was asked already what the name of the image means, and is not asked again. */
struct asked {
	const struct store_import_source *from;
	struct hr_buf document;
	struct fetch_digest digest;
};

static int asked_document(void *arg, const struct fetch_digest *which, struct hr_buf *doc,
			  struct fetch_digest *digest, struct hr_err *e)
{
	const struct asked *k = arg;

	if (which)
		return k->from->document(k->from->arg, which, doc, digest, e);
	hr_buf_add(doc, k->document.p, k->document.len);
	*digest = k->digest;
	return 0;
}

static int asked_blob(void *arg, const struct fetch_descriptor *d, fetch_sink *sink, void *sink_arg,
		      struct hr_err *e)
{
	const struct asked *k = arg;

	return k->from->blob(k->from->arg, d, sink, sink_arg, e);
}

/* Pull from SOURCE. Who mistypes a name gets no store: one is made for what is there. */
static int pull_from(const struct pull_args *a, struct pull_env *env,
		     const struct store_import_source *source, struct hr_err *e)
{
	struct asked k = { .from = source };
	const struct store_import_source again = { asked_document, asked_blob, &k, source->name };
	int r = -1;

	if (find_store(env, e) < 0)
		return -1;
	if (env->st)
		return pull(a, env, source, e);
	if (source->document(source->arg, NULL, &k.document, &k.digest, e) == 0 &&
	    make_store(env, e) == 0)
		r = pull(a, env, &again, e);
	hr_buf_release(&k.document);
	return r;
}

/* Whatever call noticed that the user stopped us, the user did it. */
static int failed(const struct pull_env *env, const char *verb, const char *what, struct hr_err *e)
{
	if (*env->stop && e->sys == EINTR) {
		hr_err_clear(e);
		return hr_fail(e, HR_SYS, 0, "interrupted");
	}
	return hr_wrap(e, "cannot %s '%s'", verb, what);
}

struct shown {
	enum progress_style style;
	const char *url;
};

static void show_download(void *arg, uint64_t there, uint64_t total)
{
	char a[STORE_SIZE_TEXT], b[STORE_SIZE_TEXT];
	const struct shown *s = arg;

	store_size_text(there, a);
	store_size_text(total, b);
	if (s->style == PROGRESS_BARS && there < total)
		fprintf(stderr, PROGRESS_CLEAR "downloading: %s of %s", a, b);
	else if (s->style == PROGRESS_BARS)
		fprintf(stderr, PROGRESS_CLEAR);
	else if (s->style == PROGRESS_LINES && there == 0)
		fprintf(stderr, "downloading '%s', %s\n", s->url, b);
}

/* What is behind a URL becomes a file at *PATH, which env_release removes. */
static int download(const struct pull_args *a, struct pull_env *env, const char *url, char **path,
		    struct hr_err *e)
{
	struct shown shown = { style_of(a), url };
	struct store_url_file_options o = {
		.url = url, .stop = env->stop, .tick = show_download, .arg = &shown
	};

	if (store_cmd_client(&env->conf, env->stop, &env->client, e) < 0)
		return -1;
	o.client = env->client;
	if (find_store(env, e) < 0 || (!env->st && store_url_file_ask(&o, e) < 0) ||
	    make_store(env, e) < 0)
		return -1;
	o.st = env->st;
	if (store_url_file_get(&o, &env->file, e) < 0)
		return -1;
	*path = hr_xasprintf("%s/%s", env->st->path, env->file.name);
	return 0;
}

/* The name of an image from WHAT, without what is behind the path of a URL. */
static char *default_name(const char *what)
{
	bool url = hr_source_of(what) == HR_SOURCE_URL;
	hr_autofree char *path = hr_xstrndup(what, url ? strcspn(what, "?#") : strlen(what));

	return store_bundle_default_name(path);
}

/* Bring what lies in files into the store; NAME NULL: named after them. */
static int import(const struct pull_args *a, const char *what, const char *name, struct hr_err *e)
{
	HR_CLEANUP(env_release)
	struct pull_env env = { .stop = store_interrupt_catch(), .file = STORE_TMP_EMPTY };
	hr_autofree char *own = name ? hr_xstrdup(name) : default_name(what);
	hr_autofree char *place = NULL, *path = NULL;
	struct store_import_source source;
	struct hr_err uncached = { 0 }; /* then an index is made in memory */

	if (!own)
		return hr_fail(e, HR_USAGE, 0, "cannot make a name of '%s'; give one", what);
	if (prepare(a, &env, own, e) < 0)
		return failed(&env, "import", what, e);
	if (hr_source_of(what) == HR_SOURCE_URL && download(a, &env, what, &path, e) < 0)
		return failed(&env, "import", what, e);
	place = store_cache_place(NULL, &env.conf);
	/* the index of a file that goes away at once is not worth to be kept */
	if (!path && store_cache_open(place, &env.cache, &uncached) < 0)
		hr_debug("no cache: %s", uncached.text);
	if (store_bundle_open(path ? path : what, env.cache, &env.bundle, e) < 0)
		return failed(&env, "import", what, e);
	source = store_bundle_source(env.bundle);
	return pull_from(a, &env, &source, e) < 0 ? failed(&env, "import", what, e) : 0;
}

static int import_main(void *args, int argc, char **argv, struct hr_err *e)
{
	return import(args, argv[0], argc > 1 ? argv[1] : NULL, e);
}

/*
 * A tag that is here says more than that the registry does not know the other one; and is a way out
 * when it does not answer.
 */
static void hint_near(const struct pull_env *env, const char *name, struct hr_err *e)
{
	hr_autofree char *near = store_image_near_tag(&env->paths, name);
	hr_autofree char *other = hr_xstrdup(e->kind == HR_NET ? e->hint : "");

	if (!near)
		return;
	e->hint[0] = '\0';
	hr_hint(e, "did you mean tag '%s', which is here?%s%s", near, other[0] ? " else: " : "",
		other);
}

static int pull_main(void *args, int argc, char **argv, struct hr_err *e)
{
	const struct pull_args *a = args;
	HR_CLEANUP(env_release)
	struct pull_env env = { .stop = store_interrupt_catch(), .file = STORE_TMP_EMPTY };
	struct store_import_registry registry;
	struct store_import_source source;

	(void)argc;
	if (a->dry_run)
		return store_cmd_plan_print(&a->common, a->json, argv[0], e);
	if (store_bundle_is_named(argv[0]) || store_url_file_is_named(argv[0]) ||
	    hr_source_of(argv[0]) == HR_SOURCE_FILE)
		return import(a, argv[0], NULL, e);
	if (prepare(a, &env, argv[0], e) < 0 ||
	    store_cmd_client(&env.conf, env.stop, &env.client, e) < 0)
		return failed(&env, "pull", argv[0], e);
	registry = (struct store_import_registry) { env.client, &env.ref };
	source = store_import_registry_source(&registry);
	if (pull_from(a, &env, &source, e) == 0)
		return 0;
	if (e->kind == HR_NOTFOUND || e->kind == HR_NET)
		hint_near(&env, argv[0], e);
	return failed(&env, "pull", argv[0], e);
}

const struct hr_cmd store_cmd_pull = {
	.name = "pull",
	.operands = "IMAGE",
	.summary = "bring an image from a registry into the store",
	.opts = pull_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct pull_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = pull_main,
};

const struct hr_cmd store_cmd_import = {
	.name = "import",
	.operands = "FILE|URL [NAME[:TAG]]",
	.summary = "bring an image that lies in files into the store",
	.more = "FILE is a squashfs or SIF file, an archive of docker save, docker export or an\n"
		"OCI layout, such a layout, or a directory; or KIND:PATH[:TAG]. A URL is that\n"
		"of such a file.",
	.opts = &pull_opts[1],
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct pull_args),
	.min_operands = 1,
	.max_operands = 2,
	.main = import_main,
};
