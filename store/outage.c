/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/outage.h"

#include "store/image.h"
#include "store/job.h"
#include "util/mem.h"
#include "util/poison.h"

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

void store_outage_release(struct store_outage *o)
{
	hr_buf_release(&o->why);
}
