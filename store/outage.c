/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/outage.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/image.h"
#include "store/job.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/le.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define NOTE_NAME  "silent"
#define NOTE_MAGIC "hpcrOUT1"
/* Job steps follow each other within seconds, and each that meets the silence renews the note. Not
 * longer, for a server that is merely slow to connect would be passed by without need. */
#define NOTE_LIFE_S 60
/* A connection that is refused costs the next one nothing. */
#define NOTE_LEAST_MS 1000

enum { NOTE_TIME = 8, NOTE_BYTES = 16 };

bool store_outage_pass(struct store_outage *o, struct hr_err *e)
{
	if (e->kind != HR_NOTFOUND && e->kind != HR_NET)
		return false;
	if (e->kind == HR_NET) {
		if (o->n == 0)
			o->first = *e;
		hr_buf_printf(&o->why, "%s%s", o->n++ > 0 ? "; " : "", e->text);
	}
	hr_err_clear(e);
	return true;
}

static const char *why(const struct store_outage *o)
{
	return (const char *)o->why.p;
}

char *store_outage_line(const struct store_outage *o, const char *name, const char *where)
{
	return o->n == 0 ? NULL
			 : hr_xasprintf("%s; image '%s' is taken from '%s'", why(o), name, where);
}

int store_outage_missing(const struct store_outage *o, const struct store_paths *stores,
			 const char *name, struct hr_err *e)
{
	if (o->n == 0)
		return store_image_missing(stores, name, e);
	if (o->n < stores->n)
		(void)hr_fail(e, HR_NET, 0, "%s; image '%s' is in no store that answers", why(o),
			      name);
	else
		(void)hr_fail(e, HR_NET, 0, "cannot look for image '%s': %s", name, why(o));
	if (o->first.hint[0])
		hr_hint(e, "%s", o->first.hint);
	return -1;
}

int store_outage_settle(const struct store_outage *o, const struct store_paths *stores,
			const char *name, struct fetch_digest *m, struct hr_err *e)
{
	if (store_job_settle(stores, name, m) || o->n == 0)
		return 0;
	hr_hint(e, "a digest in place of the tag means the same everywhere; or let a directory "
		   "that you may write to be the first store, where the nodes of a job agree");
	return hr_fail(e, HR_USAGE, 0,
		       "%s; other nodes of the job may find another image '%s' there", why(o),
		       name);
}

bool store_outage_again(struct store_outage *o)
{
	if (o->hurried == 0)
		return false;
	store_outage_release(o);
	*o = (struct store_outage) { .patient = true };
	return true;
}

/* Of the clock that goes on while the node is down: the cache may outlast that. */
static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

bool store_outage_lately(const struct store *copy)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err none = { 0 }; /* mostly that it is not there */
	uint64_t at;

	if (hr_file_read(copy->fd, NOTE_NAME, NOTE_BYTES, &b, &none) < 0 || b.len != NOTE_BYTES ||
	    memcmp(b.p, NOTE_MAGIC, NOTE_TIME) != 0)
		return false;
	at = hr_le64(b.p + NOTE_TIME);
	return at <= now_s() && now_s() - at < NOTE_LIFE_S; /* a clock that was set back: no */
}

void store_outage_note(const struct store *copy, const struct hr_err *failure, uint64_t begun)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 }; /* the next session waits as long, that is all */

	if (!failure || failure->kind != HR_NET) {
		(void)unlinkat(copy->fd, NOTE_NAME, 0); /* mostly it is not there */
		return;
	}
	if (hr_now_ms() - begun < NOTE_LEAST_MS)
		return;
	hr_buf_str(&b, NOTE_MAGIC);
	hr_buf_le(&b, now_s(), 8);
	if (hr_file_replace(copy->fd, NOTE_NAME, b.p, b.len, 0600, &e) < 0)
		hr_debug("%s", e.text);
}

void store_outage_release(struct store_outage *o)
{
	hr_buf_release(&o->why);
}
