/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/url_file.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/source.h"
#include "util/poison.h"

#define PART_BYTES (8u << 20)
#define TRIES	   5
#define PAUSE_MS   500 /* twice as long each time */

static bool stopped(const struct store_url_file_options *o)
{
	return o->stop && atomic_load(o->stop);
}

static void rest(unsigned int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL); /* a signal ends it early, which is right */
}

static int get_part(const struct store_url_file_options *o, uint64_t off, size_t n, void *buf,
		    struct fetch_version *v, struct hr_err *e)
{
	const struct fetch_web_part part = {
		.url = o->url, .off = off, .len = n, .buf = buf, .version = v
	};

	for (unsigned int tried = 1;; tried++) {
		if (stopped(o))
			return hr_fail(e, HR_SYS, EINTR, "download stopped");
		if (fetch_web_range(o->client, &part, e) == 0)
			return 0;
		if (e->kind != HR_NET || tried == TRIES)
			return -1;
		hr_debug("%s", e->text);
		hr_err_clear(e);
		rest(PAUSE_MS << (tried - 1));
	}
}

int store_url_file_ask(const struct store_url_file_options *o, struct hr_err *e)
{
	struct fetch_version v = { .bytes = 0 };
	uint8_t first;

	return get_part(o, 0, 1, &first, &v, e);
}

int store_url_file_get(const struct store_url_file_options *o, struct store_tmp *out,
		       struct hr_err *e)
{
	hr_autofree uint8_t *part = hr_xmalloc(PART_BYTES);
	struct fetch_version v = { .bytes = 0 };

	/* one byte, to learn how many there are */
	if (get_part(o, 0, 1, part, &v, e) < 0 || store_tmp_open(o->st, out, e) < 0)
		return -1;
	for (uint64_t off = 0; off < v.bytes;) {
		size_t n = v.bytes - off < PART_BYTES ? (size_t)(v.bytes - off) : PART_BYTES;

		if (o->tick)
			o->tick(o->arg, off, v.bytes);
		if (get_part(o, off, n, part, &v, e) < 0 ||
		    hr_pwrite_all(out->fd, part, n, off, out->name, e) < 0) {
			store_tmp_discard(out);
			return -1;
		}
		off += n;
	}
	if (o->tick)
		o->tick(o->arg, v.bytes, v.bytes);
	return 0;
}

bool store_url_file_is_named(const char *name)
{
	hr_autofree char *path = hr_xstrndup(name, strcspn(name, "?#"));

	return hr_source_of(name) == HR_SOURCE_URL &&
	       hr_source_of(strrchr(path, '/') + 1) == HR_SOURCE_FILE;
}
