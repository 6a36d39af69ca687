/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fetch from the command line, for tests/cli/fetch.bats: the client as import sees it.
 *
 *   fetch_tool manifest REF              the document on stdout, its digest on stderr
 *   fetch_tool blob REF DIGEST SIZE      the blob on stdout
 *   fetch_tool blobs N REF DIGEST SIZE   the blob N times at once, to nowhere
 *   fetch_tool login REGISTRY USER       password from stdin
 *   fetch_tool logout REGISTRY
 *   fetch_tool read URL                  an object of a plain web server on stdout, 1 MiB at most
 *   fetch_tool range URL OFFSET LENGTH   a part of it
 *
 * HPCRUN_CONF and the other places of hpcrun.conf are read as by hpcrun. FETCH_STALL_S and
 * FETCH_RETRY_S shorten the patience; SIGINT and SIGTERM cancel.
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fetch/fetch.h"
#include "util/cleanup.h"
#include "util/conf.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

static atomic_bool cancelled;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&cancelled, true);
}

static int get_manifest(struct fetch_client *c, char **argv, struct hr_err *e)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	hr_autobuf struct hr_buf doc = { 0 };
	char text[FETCH_DIGEST_TEXT];
	struct fetch_digest digest;

	if (fetch_ref_parse(argv[0], &ref, e) < 0 ||
	    fetch_manifest_get(c, &ref, &doc, &digest, e) < 0)
		return -1;
	fprintf(stderr, "%s\n", fetch_digest_text(&digest, text));
	return hr_write_all(STDOUT_FILENO, doc.p, doc.len, "stdout", e);
}

static int to_stdout(void *arg, const void *p, size_t n, struct hr_err *e)
{
	(void)arg;
	return hr_write_all(STDOUT_FILENO, p, n, "stdout", e);
}

static int to_nowhere(void *arg, const void *p, size_t n, struct hr_err *e)
{
	(void)arg;
	(void)p;
	(void)n;
	(void)e;
	return 0;
}

struct blob_job {
	struct fetch_client *client;
	struct fetch_ref ref;
	struct fetch_descriptor d;
	struct hr_err e;
};

static int parse_blob(struct blob_job *j, char **argv, struct hr_err *e)
{
	if (fetch_ref_parse(argv[0], &j->ref, e) < 0 ||
	    fetch_digest_parse(argv[1], &j->d.digest, e) < 0)
		return -1;
	return hr_parse_u64(argv[2], "SIZE", 0, INT64_MAX, &j->d.size, e);
}

static int get_blob(struct fetch_client *c, char **argv, struct hr_err *e)
{
	struct blob_job j = { .client = c };
	int r = parse_blob(&j, argv, e);

	if (r == 0)
		r = fetch_blob_get(c, &j.ref, &j.d, to_stdout, NULL, e);
	fetch_ref_release(&j.ref);
	return r;
}

static void *blob_thread(void *arg)
{
	struct blob_job *j = arg;

	if (fetch_blob_get(j->client, &j->ref, &j->d, to_nowhere, NULL, &j->e) < 0)
		return j;
	return NULL;
}

static int get_blobs(struct fetch_client *c, char **argv, struct hr_err *e)
{
	enum { THREADS_MAX = 64 };
	struct blob_job jobs[THREADS_MAX] = { 0 };
	pthread_t threads[THREADS_MAX];
	uint64_t n = 0;

	if (hr_parse_u64(argv[0], "N", 1, THREADS_MAX, &n, e) < 0)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		jobs[i].client = c;
		if (parse_blob(&jobs[i], argv + 1, e) < 0)
			return -1;
	}
	for (uint64_t i = 0; i < n; i++)
		HR_BUG_ON(pthread_create(&threads[i], NULL, blob_thread, &jobs[i]) != 0);
	for (uint64_t i = 0; i < n; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		if (failed && e->kind == HR_OK)
			*e = jobs[i].e;
		fetch_ref_release(&jobs[i].ref);
	}
	return e->kind == HR_OK ? 0 : -1;
}

static int login(struct fetch_client *c, char **argv, struct hr_err *e)
{
	hr_autobuf struct hr_buf password = { 0 };

	if (hr_fd_read(STDIN_FILENO, 4096, "stdin", &password, e) < 0)
		return -1;
	return fetch_login(c, argv[0], argv[1], (const char *)password.p, e);
}

static int logout(struct fetch_client *c, char **argv, struct hr_err *e)
{
	return fetch_logout(c, argv[0], e);
}

static int read_url(struct fetch_client *c, char **argv, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };

	if (fetch_web_read(c, argv[0], 1 << 20, &b, e) < 0)
		return -1;
	return hr_write_all(STDOUT_FILENO, b.p, b.len, "stdout", e);
}

static int read_range(struct fetch_client *c, char **argv, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	uint64_t off = 0, len = 0;

	if (hr_parse_u64(argv[1], "OFFSET", 0, INT64_MAX, &off, e) < 0 ||
	    hr_parse_u64(argv[2], "LENGTH", 0, 64 << 20, &len, e) < 0)
		return -1;
	hr_buf_reserve(&b, len);
	if (fetch_web_range(
		    c,
		    &(struct fetch_web_part) { .url = argv[0], .off = off, .len = len, .buf = b.p },
		    e) < 0)
		return -1;
	return hr_write_all(STDOUT_FILENO, b.p, len, "stdout", e);
}

static const struct verb {
	const char *name;
	int operands;
	int (*run)(struct fetch_client *c, char **argv, struct hr_err *e);
} verbs[] = {
	{ "manifest", 1, get_manifest }, { "blob", 3, get_blob }, { "blobs", 4, get_blobs },
	{ "login", 2, login },		 { "logout", 1, logout }, { "read", 1, read_url },
	{ "range", 3, read_range },
};

static const struct verb *find_verb(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < HR_COUNT(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0 && argc == 2 + verbs[i].operands)
			return &verbs[i];
	return NULL;
}

static unsigned int seconds(const char *name)
{
	struct hr_err ignored = { 0 };
	uint64_t v = 0;

	if (getenv(name) && hr_parse_u64(getenv(name), name, 0, 3600, &v, &ignored) < 0)
		return 0;
	return (unsigned int)v;
}

static int run(const struct verb *v, char **argv, struct hr_err *e)
{
	struct hr_conf conf;
	struct fetch_client *c = NULL;
	int r = hr_conf_load(&conf, e);
	const struct fetch_options o = {
		.insecure_registries = &conf.insecure_registries,
		.ca_file = conf.ca_file,
		.proxy = conf.http_proxy,
		.cancel = &cancelled,
		.stall_s = seconds("FETCH_STALL_S"),
		.retry_s = seconds("FETCH_RETRY_S"),
	};

	if (r == 0)
		r = fetch_client_new(&o, &c, e);
	if (r == 0)
		r = v->run(c, argv, e);
	fetch_client_free(c);
	hr_conf_release(&conf);
	return r;
}

int main(int argc, char **argv)
{
	const struct verb *v = find_verb(argc, argv);
	struct sigaction action = { .sa_handler = on_signal };
	struct hr_err e = { 0 };

	if (!v) {
		fprintf(stderr, "usage: fetch_tool manifest|blob|blobs|login|logout ...\n");
		return HR_EXIT_FAILED;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	hr_log_setup("fetch_tool", getenv("FETCH_VERBOSE") ? HR_LOG_DEBUG : HR_LOG_WARN);
	if (run(v, argv + 2, &e) < 0) {
		hr_err_print(&e);
		return HR_EXIT_FAILED;
	}
	return 0;
}
