/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The second half of hpcrun doctor: configuration, node cache, stores. hpcrun executes it when it
 * has looked at the machine; the user sees one verb.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/cache_place.h"
#include "store/cmd.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/finding.h"
#include "util/io.h"
#include "util/poison.h"

#define FORMAT_LIMIT   4096 /* bytes of a store's "format" */
#define ANSWER_MAX_S   10
#define CACHE_FREE_MIN (UINT64_C(1) << 30)

struct doctor_args {
	struct store_cmd_common common;
	bool json;
	uint64_t warned, failed;
};

static const struct hr_opt doctor_opts[] = {
	HR_OPT_FLAG(0, "json", struct doctor_args, json, "print one JSON object for each check"),
	HR_OPT_U64(0, "warned", "N", struct doctor_args, warned, 0, 1000, "warnings until now"),
	HR_OPT_U64(0, "failed", "N", struct doctor_args, failed, 0, 1000, "failures until now"),
	HR_OPT_END
};

/* ---- the node cache ---- */

static void check_cache(struct hr_findings *f, const struct hr_conf *conf)
{
	hr_autofree char *dir = store_cache_place(NULL, conf);
	hr_autofree char *there = hr_path_existing(dir);
	const char *misfit = store_cache_misfit(there);
	char size[STORE_SIZE_TEXT];
	struct hr_err e = { 0 };
	struct statvfs fs;
	uint64_t left;

	if (store_cache_place_check(NULL, conf, &e) < 0) {
		hr_finding_err(f, "node cache", HR_RESULT_FAIL, &e);
		return;
	}
	if (access(there, W_OK) < 0 || statvfs(there, &fs) < 0) {
		hr_finding(f, "node cache", HR_RESULT_WARN,
			   "name a directory of the node's disk with 'cache' in hpcrun.conf",
			   "'%s' cannot be written: %s; images are read from memory only", there,
			   strerror(errno));
		return;
	}
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	store_size_text(left, size);
	if (misfit)
		hr_finding(f, "node cache", HR_RESULT_WARN,
			   "name a local disk with 'cache' in hpcrun.conf", "'%s' is on %s", dir,
			   misfit);
	else if (left < CACHE_FREE_MIN)
		hr_finding(f, "node cache", HR_RESULT_WARN,
			   "make room, or name another disk with 'cache' in hpcrun.conf",
			   "'%s' has %s left", dir, size);
	else
		hr_finding(f, "node cache", HR_RESULT_OK, NULL, "'%s', %s free", dir, size);
}

/* ---- stores ---- */

static int count(void *arg, const struct fetch_digest *d, uint64_t bytes, struct hr_err *e)
{
	unsigned int *n = arg;

	(void)d;
	(void)bytes;
	(void)e;
	++*n;
	return 0;
}

static void check_path(struct hr_findings *f, const struct store_paths *stores, size_t i)
{
	const char *path = stores->v[i];
	bool first = i == 0;
	HR_CLEANUP(store_closep) struct store *st = NULL;
	hr_autofree char *above = NULL;
	unsigned int images = 0;
	struct hr_err e = { 0 };

	if (store_open(path, STORE_READ, &stores->trusted, &st, &e) == 0 &&
	    store_object_each(st, STORE_IMAGE, count, &images, &e) == 0) {
		hr_finding(f, "store", HR_RESULT_OK, NULL, "'%s', %u image%s", path, images,
			   HR_PLURAL(images));
		return;
	}
	above = hr_path_existing(path);
	if (e.kind != HR_NOTFOUND)
		hr_finding_err(f, "store", HR_RESULT_FAIL, &e);
	else if (first && access(above, W_OK) == 0)
		hr_finding(f, "store", HR_RESULT_OK, NULL,
			   "'%s' is not there yet; the first pull makes it", path);
	else
		hr_finding(
			f, "store", first ? HR_RESULT_FAIL : HR_RESULT_WARN,
			"is it mounted? 'store' in hpcrun.conf, HPCRUN_STORE or --store named it",
			"'%s' is not there", path);
}

static void check_url(struct hr_findings *f, struct fetch_client *c, const char *url)
{
	hr_autofree char *object = hr_xasprintf("%s/format", url);
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };
	bool ranges = false;
	uint64_t start = hr_now_ms(), took;

	if (fetch_web_read(c, object, FORMAT_LIMIT, &b, &e) < 0) {
		if (e.kind == HR_NOTFOUND)
			hr_hint(&e,
				"the URL must be that of the store's directory, where 'format' is");
		hr_finding_err(f, "store", HR_RESULT_FAIL, &e);
		return;
	}
	took = hr_now_ms() - start;
	if (fetch_web_has_ranges(c, object, &ranges, &e) < 0)
		hr_finding_err(f, "store", HR_RESULT_FAIL, &e);
	else if (!ranges)
		hr_finding(f, "store", HR_RESULT_WARN,
			   "let the web server answer Range requests; hpcrun-store(5) shows how",
			   "'%s' sends whole files when it is asked for parts", url);
	else
		hr_finding(f, "store", HR_RESULT_OK, NULL, "'%s' answers, in %u ms", url,
			   (unsigned int)took);
}

static int check_stores(struct hr_findings *f, const struct doctor_args *a,
			const struct hr_conf *conf, struct hr_err *e)
{
	HR_CLEANUP(store_paths_release) struct store_paths stores = { 0 };
	struct fetch_options o = { .insecure_registries = &conf->insecure_registries,
				   .ca_file = conf->ca_file,
				   .proxy = conf->http_proxy,
				   .stall_s = ANSWER_MAX_S,
				   .retry_s = 1 };
	struct fetch_client *client = NULL;

	if (store_list(&a->common.stores, conf, &stores, e) < 0 ||
	    fetch_client_new(&o, &client, e) < 0)
		return -1;
	for (size_t i = 0; i < stores.n; i++) {
		if (store_is_url(stores.v[i]))
			check_url(f, client, stores.v[i]);
		else
			check_path(f, &stores, i);
	}
	fetch_client_free(client);
	return 0;
}

/* ---- the verb ---- */

static int doctor_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	const struct doctor_args *a = args;
	struct hr_findings f = { .json = a->json,
				 .warned = (unsigned int)a->warned,
				 .failed = (unsigned int)a->failed };

	(void)argc;
	(void)argv;
	if (hr_conf_load(&conf, e) < 0) {
		hr_finding_err(&f, "configuration", HR_RESULT_FAIL, e);
		return 1;
	}
	hr_finding(&f, "configuration", HR_RESULT_OK, NULL, "read");
	check_cache(&f, &conf);
	if (check_stores(&f, a, &conf, e) < 0)
		hr_finding_err(&f, "store", HR_RESULT_FAIL, e);
	if (!a->json)
		printf("%u failed, %u warning%s\n", f.failed, f.warned, HR_PLURAL(f.warned));
	return f.failed > 0;
}

const struct hr_cmd store_cmd_doctor = {
	.name = "doctor-stores",
	.operands = "",
	.summary = "the second half of 'hpcrun doctor', which executes it",
	.opts = doctor_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct doctor_args),
	.main = doctor_main,
};
