/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun store: what whoever keeps a store does with it. */
#include "config.h"

#include "store/cmd_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/gc.h"
#include "store/json_out.h"
#include "store/site.h"
#include "util/cleanup.h"
#include "util/poison.h"

const struct hr_opt store_admin_common_opts[] = {
	HR_OPT_LIST(0, "store", "PATH", struct store_admin_common, stores, "the store to work on"),
	HR_OPT_END
};

/* The first of the stores that are named or configured. */
static int choose(const struct store_admin_common *c, const struct hr_conf *conf, char **path,
		  struct hr_err *e)
{
	HR_CLEANUP(store_paths_release) struct store_paths all = { 0 };

	if (c->stores.n > 1)
		return hr_fail(e, HR_USAGE, 0, "one store at a time");
	if (store_list(&c->stores, c->stores.n > 0 ? NULL : conf, &all, e) < 0)
		return -1;
	if (store_is_url(all.v[0]))
		return hr_fail(e, HR_USAGE, 0, "the store '%s' is a URL, not a directory",
			       all.v[0]);
	*path = hr_xstrdup(all.v[0]);
	return 0;
}

int store_admin_open(const struct store_admin_common *c, struct hr_conf *conf, struct store **out,
		     struct hr_err *e)
{
	struct store_owners trusted = { .n = 0 };
	hr_autofree char *path = NULL;

	if (hr_conf_load(conf, e) < 0 || store_trust(conf, &trusted, e) < 0 ||
	    choose(c, conf, &path, e) < 0)
		return -1;
	if (store_open(path, STORE_READ, &trusted, out, e) == 0)
		return 0;
	if (e->kind == HR_NOTFOUND)
		hr_hint(e, "'hpcrun store init %s' makes one", path);
	return -1;
}

int store_admin_collect(struct store *st, bool wait, const atomic_bool *cancel, struct hr_err *e)
{
	struct store_gc_options o = { .wait = wait, .cancel = cancel };
	struct store_gc_result r;

	return store_cmd_grace(st, NULL, &o, e) < 0 ? -1 : store_gc(st, &o, &r, e);
}

/* ---- init ---- */

enum readers { READERS_ALL, READERS_GROUP, READERS_ME };
static const char *const readers_words[] = { "all", "group", "me", NULL };
static const mode_t readers_modes[] = { 0755, 02750, 0700 };

struct init_args {
	int readers;
	bool json;
};

static const struct hr_opt init_opts[] = {
	HR_OPT_ENUM('r', "readers", "all|group|me", struct init_args, readers, readers_words,
		    "who may read it (default all)"),
	HR_OPT_FLAG(0, "json", struct init_args, json, "print a JSON object"), HR_OPT_END
};

static void print_init(const char *where)
{
	hr_autobuf struct hr_buf path = { 0 };

	hr_buf_untrusted(&path, where, strlen(where));
	printf("'%s' is a store; add images with 'hpcrun store add', then run 'hpcrun store sync'\n"
	       "in hpcrun.conf of the nodes: store = %s\n",
	       (const char *)path.p, (const char *)path.p);
	if (geteuid() != 0)
		printf("                             store_owner = %u\n", (unsigned int)geteuid());
}

static void print_init_json(const char *where, const char *readers)
{
	json_t *o = json_object();

	store_json_set(o, "store", json_string(where));
	store_json_set(o, "owner", store_json_u64(geteuid()));
	store_json_set(o, "readers", json_string(readers));
	store_json_print(o);
}

static int init_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(store_closep) struct store *st = NULL;
	const struct init_args *a = args;
	hr_autofree char *where = NULL;

	(void)argc;
	if (store_is_url(argv[0]))
		return hr_fail(e, HR_USAGE, 0, "'%s' is a URL, not a directory", argv[0]);
	if (store_open(argv[0], STORE_WRITE, NULL, &st, e) < 0 || store_site_create(st, e) < 0)
		return -1;
	/* who gets in is decided here alone: all below can be read by everyone */
	if (fchmod(st->fd, readers_modes[a->readers]) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot change the mode of '%s'", st->path);
	/* hpcrun.conf takes absolute paths alone */
	where = realpath(argv[0], NULL);
	if (!where)
		return hr_fail(e, HR_SYS, errno, "cannot find the way to '%s'", argv[0]);
	if (a->json)
		print_init_json(where, readers_words[a->readers]);
	else
		print_init(where);
	return 0;
}

const struct hr_cmd store_cmd_store_init = {
	.name = "store init",
	.operands = "DIR",
	.summary = "make a store that others can read",
	.opts = init_opts,
	.args_size = sizeof(struct init_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = init_main,
};

static const struct hr_cmd *const verbs[] = {
	&store_cmd_store_init, &store_cmd_store_add,	 &store_cmd_store_drop,
	&store_cmd_store_sync, &store_cmd_store_status,	 &store_cmd_store_fsck,
	&store_cmd_store_gc,   &store_cmd_store_compact, NULL,
};

const struct hr_cmd store_cmd_store = {
	.name = "store",
	.summary = "look after a store that others use",
	.group = verbs,
};
