/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun store: what whoever keeps a store does with it. */
#include "config.h"

#include "store/cmd_store.h"

#include <unistd.h>

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
	HR_CLEANUP(hr_strv_release) struct hr_strv all = { 0 };

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
	hr_autofree char *path = NULL;

	if (hr_conf_load(conf, e) < 0 || choose(c, conf, &path, e) < 0)
		return -1;
	if (store_open(path, STORE_READ, out, e) == 0)
		return 0;
	if (e->kind == HR_NOTFOUND)
		hr_hint(e, "'hpcrun store init %s' makes one", path);
	return -1;
}

unsigned int store_admin_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 16 ? 16 : (unsigned int)n;
}

static const struct hr_cmd *const verbs[] = {
	&store_cmd_store_fsck,
	NULL,
};

const struct hr_cmd store_cmd_store = {
	.name = "store",
	.summary = "look after a store: see that it is sound",
	.group = verbs,
};
