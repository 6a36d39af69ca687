/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/image.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

#define JOBS_DIR  "jobs"
#define DIR_MODE  0755
#define LIFE_S	  86400
#define NAME_SIZE 200

/* A word of the environment that can stand in a file name; NULL: it is not set, or cannot. */
static const char *word(const char *name)
{
	const char *s = getenv(name);
	size_t n = s ? strlen(s) : 0;

	if (n == 0 || n > 40 || s[0] == '.' ||
	    strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != n)
		return NULL;
	return s;
}

/* "jobs/CLUSTER-JOB.STEP.RESTART-CRC64", of a step of several nodes; false: there is none. */
static bool record_name(const char *image, char out[NAME_SIZE])
{
	const char *job = word("SLURM_JOB_ID"), *step = word("SLURM_STEP_ID");
	const char *nodes = word("SLURM_STEP_NUM_NODES"), *cluster = word("SLURM_CLUSTER_NAME");
	const char *restart = word("SLURM_RESTART_COUNT");
	HR_CLEANUP(store_name_release) struct store_name name = { 0 };
	struct hr_err e = { 0 };
	hr_autofree char *ref = NULL;

	if (!job || !step || !nodes || strcmp(nodes, "1") == 0 ||
	    store_name_parse(image, &name, &e) < 0 || name.by_digest || name.ref.has_digest)
		return false;
	ref = fetch_ref_text(&name.ref);
	snprintf(out, NAME_SIZE, JOBS_DIR "/%s-%s.%s.%s-%016" PRIx64, cluster ? cluster : "", job,
		 step, restart ? restart : "0", store_crc64(ref, strlen(ref)));
	return true;
}

/* The first directory of the chain: the same one on all nodes. */
static struct store *open_first(const struct store_paths *stores, struct hr_err *e)
{
	struct store *st = NULL;
	size_t i = 0;

	while (i < stores->n && store_is_url(stores->v[i]))
		i++;
	if (i == stores->n || store_open(stores->v[i], STORE_READ, &stores->trusted, &st, e) < 0)
		return NULL;
	return st;
}

static bool read_record(const struct store *st, const char *name, struct fetch_digest *out)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err e = { 0 }; /* mostly that it is not there */
	time_t now = time(NULL);

	if (hr_file_read(st->fd, name, STORE_RECORD_LIMIT, &text, &e) < 0 ||
	    store_ref_record_parse(text.p, text.len, &r, &e) < 0 ||
	    r.pulled + LIFE_S < (uint64_t)now)
		return false;
	*out = r.manifest;
	return true;
}

bool store_job_find(const struct store_paths *stores, const char *image, struct fetch_digest *out)
{
	HR_CLEANUP(store_closep) struct store *st = NULL;
	struct hr_err e = { 0 };
	char name[NAME_SIZE];

	if (!record_name(image, name))
		return false;
	st = open_first(stores, &e);
	return st && read_record(st, name, out);
}

/* Those of jobs of the day before yesterday. */
static void remove_old(const struct store *st)
{
	int fd = openat(st->fd, JOBS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat sb;

	while (d && (entry = readdir(d)))
		if (fstatat(fd, entry->d_name, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(sb.st_mode) && sb.st_mtime + LIFE_S < time(NULL))
			(void)unlinkat(fd, entry->d_name, 0); /* the next one tries again */
}

/* The first who gives the record its name wins. */
static int write_record(const struct store *st, const char *name, const struct fetch_digest *m,
			struct hr_err *e)
{
	char nobody[] = STORE_SERVER_UNKNOWN;
	struct store_ref_record r = {
		.manifest = *m, .document = *m, .pulled = (uint64_t)time(NULL), .server = nobody
	};
	struct store_tmp t = STORE_TMP_EMPTY;
	hr_autobuf struct hr_buf text = { 0 };
	int failed;

	store_ref_record_write(&r, &text);
	if (hr_mkdir_all(st->fd, JOBS_DIR, DIR_MODE, e) < 0 || store_tmp_open(st, &t, e) < 0)
		return -1;
	remove_old(st);
	failed = hr_write_all(t.fd, text.p, text.len, name, e) < 0 || store_tmp_sync(&t, e) < 0;
	if (!failed && hr_file_publish(st->fd, t.name, name) < 0 && errno != EEXIST)
		failed = hr_fail(e, HR_SYS, errno, "cannot make '%s/%s'", st->path, name);
	store_tmp_discard(&t);
	return failed ? -1 : 0;
}

bool store_job_settle(const struct store_paths *stores, const char *image, struct fetch_digest *m)
{
	HR_CLEANUP(store_closep) struct store *st = NULL;
	struct hr_err e = { 0 };
	char name[NAME_SIZE];
	bool settled;

	if (!record_name(image, name))
		return true;
	st = open_first(stores, &e);
	settled = st && write_record(st, name, m, &e) == 0 && read_record(st, name, m);
	if (e.kind != HR_OK) /* of a site, say, which the user may not write to */
		hr_debug("what the tag means is not recorded for the job: %s", e.text);
	return settled;
}
