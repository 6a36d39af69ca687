/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hpcrun-store refill: find chunks that a store has lost in the layers of their image. Not for
 * users; upstream.h is the contract with the server that starts it.
 */
#include "config.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/cmd.h"
#include "store/refill.h"
#include "store/upstream.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

struct refill_args {
	const char *cache, *advisor;
};

static const struct hr_opt refill_opts[] = {
	HR_OPT_STR(0, "cache", "DIR", struct refill_args, cache, "keep what is found here"),
	HR_OPT_STR(0, "advisor", "STORE", struct refill_args, advisor,
		   "the store that may know what is in which layer"),
	HR_OPT_END
};

/* What the server gave us, open. */
struct given {
	struct store_index *ix;
	struct store_loc loc;
	struct hr_buf numbers;
	struct fetch_ref ref;
	struct hr_conf conf;
	struct store_owners trusted;
	struct fetch_client *client;
	struct store_cache *cache;
};

static int open_loc(struct given *g, struct hr_err *e)
{
	struct stat st;
	void *map;

	if (fstat(STORE_UPSTREAM_LOC_FD, &st) < 0 || st.st_size <= 0)
		return hr_fail(e, HR_USAGE, 0, "no location file was given");
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, STORE_UPSTREAM_LOC_FD, 0);
	if (map == MAP_FAILED)
		return hr_fail(e, HR_SYS, errno, "cannot map the location file");
	return store_loc_parse(map, (size_t)st.st_size, store_index_chunks(g->ix), &g->loc, e);
}

/* Of what nobody has a server may wait no longer than for a store that is out of reach. */
static int make_client(struct given *g, struct hr_err *e)
{
	const struct fetch_options o = { .insecure_registries = &g->conf.insecure_registries,
					 .ca_file = g->conf.ca_file,
					 .proxy = g->conf.http_proxy,
					 .retry_s = g->conf.outage_s > 0
							    ? (unsigned int)g->conf.outage_s
							    : 1 };

	return fetch_client_new(&o, &g->client, e);
}

static int open_given(struct given *g, const struct refill_args *a, const char *repo,
		      struct hr_err *e)
{
	struct hr_err no_cache = { 0 };

	if (store_index_open(STORE_UPSTREAM_INDEX_FD, &g->ix, e) < 0 || open_loc(g, e) < 0 ||
	    hr_fd_read(STDIN_FILENO, (uint64_t)store_index_chunks(g->ix) * sizeof(uint32_t),
		       "the list of chunks", &g->numbers, e) < 0 ||
	    fetch_ref_parse(repo, &g->ref, e) < 0 || hr_conf_load(&g->conf, e) < 0 ||
	    store_trust(&g->conf, &g->trusted, e) < 0 || make_client(g, e) < 0)
		return -1;
	g->ref.has_digest = true;
	store_index_manifest(g->ix, &g->ref.digest);
	if (a->cache && store_cache_open(a->cache, &g->cache, &no_cache) < 0)
		hr_debug("no cache: %s", no_cache.text);
	return 0;
}

static void given_release(struct given *g)
{
	store_cache_close(g->cache);
	fetch_client_free(g->client);
	hr_conf_release(&g->conf);
	fetch_ref_release(&g->ref);
	hr_buf_release(&g->numbers);
	store_index_free(g->ix);
}

static int reply(uint32_t chunk, const void *p, uint32_t bytes, struct hr_err *e)
{
	static const char what[] = "the server";
	struct store_upstream_reply head = { chunk, bytes };

	return hr_write_all(STDOUT_FILENO, &head, sizeof(head), what, e) < 0
		       ? -1
		       : hr_write_all(STDOUT_FILENO, p, bytes, what, e);
}

static int on_found(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes, struct hr_err *e)
{
	(void)arg;
	return reply(chunk, p, bytes, e);
}

static int refill(struct given *g, const struct refill_args *a, struct hr_err *e)
{
	const struct store_refill r = { .client = g->client,
					.ref = &g->ref,
					.ix = g->ix,
					.loc = &g->loc,
					.cache = g->cache,
					.advisor = a->advisor,
					.trusted = &g->trusted,
					.max_bytes = g->conf.import_max_bytes,
					.found = on_found };

	return store_refill_run(&r, (const uint32_t *)(const void *)g->numbers.p,
				g->numbers.len / sizeof(uint32_t), e);
}

static int refill_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(given_release) struct given g = { 0 };
	struct hr_err failure = { 0 };

	(void)argc;
	/* nobody wants the rest when the server is gone */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot tie this process to the server");
	if (open_given(&g, args, argv[0], &failure) == 0 && refill(&g, args, &failure) == 0)
		return 0;
	/* for the server to tell, not for us */
	return reply(STORE_UPSTREAM_FAILED, &failure, sizeof(failure), e) < 0 ? -1 : HR_EXIT_FAILED;
}

const struct hr_cmd store_cmd_refill = {
	.name = "refill",
	.operands = "REPOSITORY",
	.summary = "find lost chunks in a registry; started by hpcrun-serve",
	.opts = refill_opts,
	.args_size = sizeof(struct refill_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = refill_main,
};
