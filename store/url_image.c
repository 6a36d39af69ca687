/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/url_image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/outage.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/le.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define HEAD_BYTES 128u	       /* of whatever it is; the first request tells the version */
#define PART_MAX   (4u << 20)  /* of one request: what is lost when a connection breaks */
#define KEPT_MAX   (64u << 10) /* of a part that is kept */
#define TRIES	   3

struct store_url_image {
	struct fetch_client *client;
	const char *url;
	const struct store *copy;
	struct fetch_version version;
	bool offline;	    /* the server was not reached: VERSION is the last one */
	struct hr_buf kept; /* small parts: offset (8), length (4), bytes */
	struct store_file *file;
	struct store_pager_object object;
};

/* ---- what is kept of the last start, for one without a network ---- */

#define KEPT_NAME	"object"
#define KEPT_MAGIC	"hpcrURL1"
#define KEPT_FILE_LIMIT (1u << 20)

enum {
	KEPT_BYTES = 8,
	KEPT_ETAG = 16,
	KEPT_MODIFIED = KEPT_ETAG + sizeof(((struct fetch_version *)0)->etag),
	KEPT_PARTS = KEPT_MODIFIED + sizeof(((struct fetch_version *)0)->modified),
	PART_HEADER = 12
};

/* The bytes of a part that is kept, or NULL. */
static const uint8_t *find_part(const struct hr_buf *kept, uint64_t off, uint64_t len)
{
	for (size_t i = 0; kept->len - i >= PART_HEADER;) {
		const uint8_t *p = kept->p + i;
		uint32_t n = hr_le32(p + 8);

		if (n > kept->len - i - PART_HEADER)
			return NULL;
		if (hr_le64(p) == off && n == len)
			return p + PART_HEADER;
		i += PART_HEADER + n;
	}
	return NULL;
}

/* Read what was kept of U->url; nothing when there is none. */
static void load_kept(const struct store_url_image *u, struct fetch_version *v,
		      struct hr_buf *parts)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 }; /* then nothing was kept */

	if (hr_file_read(u->copy->fd, KEPT_NAME, KEPT_FILE_LIMIT, &b, &e) < 0 ||
	    b.len < KEPT_PARTS || memcmp(b.p, KEPT_MAGIC, KEPT_BYTES) != 0) {
		hr_debug("nothing is kept of '%s': %s", u->url, e.text);
		return;
	}
	v->bytes = hr_le64(b.p + KEPT_BYTES);
	memcpy(v->etag, b.p + KEPT_ETAG, sizeof(v->etag) - 1);
	memcpy(v->modified, b.p + KEPT_MODIFIED, sizeof(v->modified) - 1);
	hr_buf_add(parts, b.p + KEPT_PARTS, b.len - KEPT_PARTS);
}

static void save_kept(const struct store_url_image *u)
{
	const struct fetch_version *v = &u->version;
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 }; /* a start without a network will fail, that is all */

	hr_buf_str(&b, KEPT_MAGIC);
	hr_buf_le(&b, v->bytes, 8);
	hr_buf_add(&b, v->etag, sizeof(v->etag));
	hr_buf_add(&b, v->modified, sizeof(v->modified));
	hr_buf_add(&b, u->kept.p, u->kept.len);
	if (hr_file_replace(u->copy->fd, KEPT_NAME, b.p, b.len, 0600, &e) < 0)
		hr_debug("%s", e.text);
}

/* ---- fetching ---- */

static int get_part(struct store_url_image *u, uint64_t off, size_t n, void *buf,
		    unsigned int tries, struct hr_err *e)
{
	const struct fetch_web_part part = {
		.url = u->url, .off = off, .len = n, .buf = buf, .version = &u->version
	};

	for (unsigned int tried = 1;; tried++) {
		int r = fetch_web_range(u->client, &part, e);

		if (r == 0 || e->kind != HR_NET || tried == tries)
			return r;
		hr_debug("%s", e->text);
		hr_err_clear(e);
	}
}

static void keep_part(struct store_url_image *u, uint64_t off, size_t n, const void *p)
{
	if (n > KEPT_MAX || u->kept.len + n > KEPT_FILE_LIMIT / 2)
		return;
	hr_buf_le(&u->kept, off, 8);
	hr_buf_le(&u->kept, n, 4);
	hr_buf_add(&u->kept, p, n);
}

static int bring(void *arg, int fd, uint64_t off, uint64_t len, struct hr_err *e)
{
	hr_autofree uint8_t *part = hr_xmalloc(len < PART_MAX ? len : PART_MAX);
	struct store_url_image *u = arg;

	while (len > 0) {
		size_t n = len < PART_MAX ? len : PART_MAX;
		const uint8_t *p = find_part(&u->kept, off, n);

		if (!p) {
			if (get_part(u, off, n, part, TRIES, e) < 0)
				return -1;
			keep_part(u, off, n, part);
			p = part;
		}
		if (hr_pwrite_all(fd, p, n, off, "a memory file", e) < 0)
			return -1;
		off += n;
		len -= n;
	}
	return 0;
}

/*
 * The first bytes, and of which version they are. Where no server answers, what was kept of the
 * last version will do, as long as nothing is wanted that this node does not have.
 */
static int find_version(struct store_url_image *u, const struct store_url_options *o,
			struct hr_err *e)
{
	hr_autobuf struct hr_buf parts = { 0 };
	hr_autofree char *line = NULL;
	struct fetch_version last = { 0 };
	uint8_t head[HEAD_BYTES];
	uint64_t begun = hr_now_ms();
	int r;

	load_kept(u, &last, &parts);
	fetch_client_hurry(u->client, last.bytes != 0 && store_outage_lately(u->copy));
	r = get_part(u, 0, sizeof(head), head, last.bytes == 0 ? TRIES : 1, e);
	fetch_client_hurry(u->client, false);
	store_outage_note(u->copy, r < 0 ? e : NULL, begun);
	if (r == 0) {
		if (memcmp(&last, &u->version, sizeof(last)) == 0)
			hr_buf_add(&u->kept, parts.p, parts.len);
		else
			keep_part(u, 0, sizeof(head), head);
		return 0;
	}
	if (e->kind != HR_NET || last.bytes == 0)
		return hr_wrap(e, "cannot open image '%s'", u->url);
	line = hr_xasprintf("%s; going on with what this node has of it", e->text);
	o->notice(o->notice_arg, line);
	hr_err_clear(e);
	u->version = last;
	u->offline = true;
	hr_buf_add(&u->kept, parts.p, parts.len);
	return 0;
}

/* What stands for the file as it is now. */
static void name_version(const struct store_url_image *u, struct fetch_digest *out)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_str(&b, KEPT_MAGIC);
	hr_buf_le(&b, u->version.bytes, 8);
	/* with their NULs */
	hr_buf_add(&b, u->url, strlen(u->url) + 1);
	hr_buf_add(&b, u->version.etag, strlen(u->version.etag) + 1);
	hr_buf_add(&b, u->version.modified, strlen(u->version.modified) + 1);
	fetch_digest_of(b.p, b.len, out);
}

int store_url_image_open(const struct store_url_options *o, struct store_url_image **out,
			 struct hr_err *e)
{
	struct store_url_image *u = hr_xmalloc(sizeof(*u));
	struct store_file_remote remote = { .name = o->url, .bring = bring, .arg = u };

	u->client = o->client;
	u->url = o->url;
	u->copy = o->copy;
	if (find_version(u, o, e) < 0)
		goto failed;
	remote.bytes = u->version.bytes;
	name_version(u, &remote.version);
	if (store_file_open_remote(&remote, o->cache, &u->file, e) < 0)
		goto failed;
	if (!u->offline)
		save_kept(u);
	hr_buf_release(&u->kept);
	u->object = (struct store_pager_object) { .url = u->url,
						  .version = u->version,
						  .blocks = store_file_source(u->file) };
	*out = u;
	return 0;
failed:
	hr_buf_release(&u->kept);
	free(u);
	return -1;
}

struct store_file *store_url_image_file(struct store_url_image *u)
{
	return u->file;
}

const struct store_pager_object *store_url_image_object(struct store_url_image *u)
{
	return &u->object;
}
