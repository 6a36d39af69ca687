/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/gc.h"
#include "store/url_file.h"
#include "util/cleanup.h"
#include "util/source.h"
#include "util/poison.h"

const struct hr_opt store_cmd_common_opts[] = {
	HR_OPT_LIST(0, "store", "PATH", struct store_cmd_common, stores,
		    "use this store, and no other unless repeated"),
	HR_OPT_END
};

/* The directories among ALL; a URL can be read by hpcrun-serve alone. */
static int keep_directories(const struct store_paths *all, bool given, struct hr_strv *out,
			    struct hr_err *e)
{
	for (size_t i = 0; i < all->n; i++) {
		if (!store_is_url(all->v[i])) {
			hr_strv_add(out, all->v[i]);
		} else if (given) {
			hr_fail(e, HR_USAGE, 0, "the store '%s' is a URL, not a directory",
				all->v[i]);
			hr_hint(e, "stores behind URLs are for 'run' and 'prefetch' alone");
			return -1;
		}
	}
	if (out->n > 0)
		return 0;
	hr_hint(e, "stores behind URLs are for 'run' and 'prefetch' alone; name a directory with "
		   "--store");
	return hr_fail(e, HR_USAGE, 0, "all stores are URLs, none is a directory");
}

int store_cmd_paths(const struct store_cmd_common *c, struct hr_conf *conf,
		    struct store_paths *paths, struct hr_err *e)
{
	HR_CLEANUP(store_paths_release) struct store_paths all = { 0 };
	struct hr_strv kept = { 0 };
	int r;

	if (hr_conf_load(conf, e) < 0 || store_list(&c->stores, conf, &all, e) < 0)
		return -1;
	r = keep_directories(&all, c->stores.n > 0, &kept, e);
	*paths = (struct store_paths) { kept.v, kept.n, all.trusted, all.n - kept.n };
	return r;
}

int store_cmd_open(const struct store_cmd_common *c, struct store_cmd_chain *out, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_paths_release) struct store_paths paths = { 0 };

	memset(out, 0, sizeof(*out));
	if (store_cmd_paths(c, &conf, &paths, e) < 0)
		return -1;
	out->v = hr_xmalloc(paths.n * sizeof(struct store *));
	for (size_t i = 0; i < paths.n; i++) {
		if (store_open(paths.v[i], STORE_READ, &paths.trusted, &out->v[out->n], e) == 0) {
			if (i == 0)
				out->first = out->v[0];
			out->n++;
		} else if (e->kind != HR_NOTFOUND || c->stores.n > 0) {
			return -1;
		} else {
			hr_err_clear(e);
		}
	}
	return 0;
}

void store_cmd_chain_release(struct store_cmd_chain *chain)
{
	for (size_t i = 0; i < chain->n; i++)
		store_close(chain->v[i]);
	free(chain->v);
	memset(chain, 0, sizeof(*chain));
}

int store_cmd_grace(const struct store *st, const char *given, struct store_gc_options *o,
		    struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };

	if (hr_conf_load(&conf, e) < 0 ||
	    (given && hr_conf_check_override(&conf, "gc_grace", "--grace", e) < 0) ||
	    (given &&
	     hr_parse_u64(given, "--grace", 0, HR_CONF_GRACE_MAX_H, &conf.gc_grace_h, e) < 0))
		return -1;
	o->grace_s = conf.gc_grace_h == HR_CONF_GRACE_BY_FS ? store_gc_default_grace_s(st)
							    : conf.gc_grace_h * 3600;
	o->replaced_s = given ? o->grace_s : store_gc_replaced_s(o->grace_s);
	return 0;
}

unsigned int store_cmd_threads(uint64_t given)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (given > 0)
		return (unsigned int)given;
	return n < 1 ? 1 : n > 16 ? 16 : (unsigned int)n;
}

int store_cmd_client(const struct hr_conf *conf, const atomic_bool *cancel,
		     struct fetch_client **out, struct hr_err *e)
{
	const struct fetch_options o = { .insecure_registries = &conf->insecure_registries,
					 .ca_file = conf->ca_file,
					 .proxy = conf->http_proxy,
					 .cancel = cancel };

	return fetch_client_new(&o, out, e);
}

int store_cmd_refuse_file(const char *name, struct hr_err *e)
{
	bool url = store_url_file_is_named(name);

	if (!url && hr_source_of(name) != HR_SOURCE_FILE)
		return 0;
	hr_hint(e, "'hpcrun import %s NAME' makes it one", name);
	return hr_fail(e, HR_USAGE, 0, "'%s' is a file%s, not an image of a store", name,
		       url ? " behind a URL" : "");
}
