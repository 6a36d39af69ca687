/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/match.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

int store_match_parse(const char *text, struct store_match *out, struct hr_err *e)
{
	const char *slash, *colon;
	size_t n = strcspn(text, "@");

	memset(out, 0, sizeof(*out));
	if (fetch_ref_parse(text, &out->ref, e) < 0)
		return -1;
	out->name = hr_xstrndup(text, n);
	slash = strrchr(out->name, '/');
	colon = strrchr(out->name, ':');
	/* a colon before the last slash belongs to a port */
	out->any_tag = !colon || (slash && colon < slash);
	if (!out->any_tag)
		out->name[colon - out->name] = '\0';
	return 0;
}

void store_match_release(struct store_match *m)
{
	fetch_ref_release(&m->ref);
	free(m->name);
	memset(m, 0, sizeof(*m));
}

/* Is NAME the last whole parts of the repository of REF? */
static bool ends_with(const struct fetch_ref *ref, const char *name)
{
	hr_autofree char *full = hr_xasprintf("/%s/%s", ref->registry, ref->repo);
	size_t n = strlen(name), have = strlen(full);

	return n < have && full[have - n - 1] == '/' && strcmp(full + have - n, name) == 0;
}

bool store_match_fits(const struct store_match *m, const struct fetch_ref *ref,
		      const struct store_ref_record *r)
{
	bool same =
		strcmp(m->ref.registry, ref->registry) == 0 && strcmp(m->ref.repo, ref->repo) == 0;

	if (!same && !ends_with(ref, m->name))
		return false;
	if (!m->any_tag && (!ref->tag || strcmp(m->ref.tag, ref->tag) != 0))
		return false;
	return !m->ref.has_digest || fetch_digest_equal(&m->ref.digest, &r->manifest) ||
	       fetch_digest_equal(&m->ref.digest, &r->document);
}
