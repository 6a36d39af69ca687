/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/site.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define RETRY_S	    3600 /* a failure is tried again after an hour at the latest */
#define EVERY_MAX_S (3650 * 86400ull)
#define QUOTA_MAX   (UINT64_C(1) << 60)

void store_site_release(struct store_site *site)
{
	for (size_t i = 0; i < site->n; i++) {
		free(site->images[i].name);
		for (size_t k = 0; k < site->images[i].n_old; k++)
			free(site->images[i].old[k].digest);
		free(site->images[i].old);
		hr_strv_release(&site->images[i].reason);
	}
	free(site->images);
	memset(site, 0, sizeof(*site));
}

/* ---- words ---- */

/* The words of one line, separated by blanks; a copy. */
static void split(const char *line, size_t n, struct hr_strv *out)
{
	const char *end = line + n;

	for (;;) {
		size_t len = 0;

		while (line < end && (*line == ' ' || *line == '\t' || *line == '\r'))
			line++;
		while (line + len < end && line[len] != ' ' && line[len] != '\t' &&
		       line[len] != '\r')
			len++;
		if (len == 0)
			return;
		hr_strv_take(out, hr_xstrndup(line, len));
		line += len;
	}
}

/* The words of a line, without its comment. */
static void line_words(const char *line, size_t n, struct hr_strv *out)
{
	const char *comment = memchr(line, '#', n);

	split(line, comment ? (size_t)(comment - line) : n, out);
}

int store_site_duration(const char *text, const char *what, uint64_t *out, struct hr_err *e)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 } };
	size_t n = strlen(text);
	struct hr_err bad = { 0 };

	for (size_t i = 0; n > 1 && i < HR_COUNT(units); i++) {
		hr_autofree char *number = hr_xstrndup(text, n - 1);
		uint64_t v;

		if (text[n - 1] == units[i].unit &&
		    hr_parse_u64(number, what, 1, EVERY_MAX_S / units[i].seconds, &v, &bad) == 0) {
			*out = v * units[i].seconds;
			return 0;
		}
	}
	return hr_fail(e, HR_USAGE, 0, "%s: '%s' is no duration such as 90m, 12h, 1d, 2w", what,
		       text);
}

static void add_duration(const char *word, uint64_t s, struct hr_buf *out)
{
	if (s == 0)
		return;
	hr_buf_str(out, word);
	if (s % 86400 == 0)
		hr_buf_printf(out, "%" PRIu64 "d", s / 86400);
	else if (s % 3600 == 0)
		hr_buf_printf(out, "%" PRIu64 "h", s / 3600);
	else
		hr_buf_printf(out, "%" PRIu64 "m", s / 60);
}

/* ---- the list ---- */

static struct store_site_image *find(const struct store_site *site, const char *name)
{
	for (size_t i = 0; i < site->n; i++)
		if (strcmp(site->images[i].name, name) == 0)
			return &site->images[i];
	return NULL;
}

bool store_site_lists(const struct store_site *site, const char *name)
{
	const struct store_site_image *im = find(site, name);

	return im && im->listed;
}

static struct store_site_image *add(struct store_site *site, const char *name)
{
	struct store_site_image *im;

	site->images = hr_xrealloc(site->images, (site->n + 1) * sizeof(*site->images));
	im = &site->images[site->n++];
	memset(im, 0, sizeof(*im));
	im->name = hr_xstrdup(name);
	return im;
}

char *store_site_name(const char *word, struct hr_err *e)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };

	if (fetch_ref_parse(word, &ref, e) < 0)
		return NULL;
	if (ref.has_digest) {
		hr_fail(e, HR_USAGE, 0, "'%s' has a digest: there is nothing to follow", word);
		hr_hint(e, "'hpcrun pull' brings such an image once and for all");
		return NULL;
	}
	return fetch_ref_text(&ref);
}

/* A setting of all images or, QUOTA NULL, of one. */
static int parse_setting(const char *word, const char *value, uint64_t *every, uint64_t *keep,
			 uint64_t *keep_for, uint64_t *quota, struct hr_err *e)
{
	if (!value)
		return hr_fail(e, HR_USAGE, 0, "'%s' without a value", word);
	if (strcmp(word, "every") == 0)
		return store_site_duration(value, "every", every, e);
	if (strcmp(word, "keep") == 0)
		return hr_parse_u64(value, "keep", 1, STORE_SITE_KEEP_MAX, keep, e);
	if (strcmp(word, "keep-for") == 0)
		return store_site_duration(value, "keep-for", keep_for, e);
	if (quota && strcmp(word, "quota") == 0)
		return hr_parse_size(value, "quota", 1, QUOTA_MAX, quota, e);
	return hr_fail(e, HR_USAGE, 0, "unknown word '%s'", word);
}

static int parse_image(const struct hr_strv *w, struct store_site *out, struct hr_err *e)
{
	hr_autofree char *name = NULL;
	struct store_site_image *im;

	if (w->n < 2)
		return hr_fail(e, HR_USAGE, 0, "'image' without a reference");
	name = store_site_name(w->v[1], e);
	if (!name)
		return -1;
	if (find(out, name))
		return hr_fail(e, HR_USAGE, 0, "the image '%s' is there twice", name);
	im = add(out, name);
	im->listed = true;
	for (size_t i = 2; i < w->n; i += 2)
		if (parse_setting(w->v[i], w->v[i + 1], &im->every_s, &im->keep, &im->keep_for_s,
				  NULL, e) < 0)
			return -1;
	return 0;
}

static int parse_line(const struct hr_strv *w, struct store_site *out, struct hr_err *e)
{
	if (w->n == 0)
		return 0;
	if (strcmp(w->v[0], "image") == 0)
		return parse_image(w, out, e);
	if (w->n > 2)
		return hr_fail(e, HR_USAGE, 0, "surplus word '%s'", w->v[2]);
	return parse_setting(w->v[0], w->v[1], &out->every_s, &out->keep, &out->keep_for_s,
			     &out->quota, e);
}

int store_site_parse(const char *text, const char *name, struct store_site *out, struct hr_err *e)
{
	out->every_s = STORE_SITE_EVERY_S;
	out->keep = 1;
	for (unsigned int line = 1; *text; line++) {
		HR_CLEANUP(hr_strv_release) struct hr_strv words = { 0 };
		size_t n = strcspn(text, "\n");

		line_words(text, n, &words);
		if (parse_line(&words, out, e) < 0)
			return hr_wrap(e, "%s, line %u", name, line);
		text += n + (text[n] == '\n');
	}
	return 0;
}

void store_site_line(const struct store_site_image *im, struct hr_buf *out)
{
	hr_buf_printf(out, "image %s", im->name);
	add_duration(" every ", im->every_s, out);
	if (im->keep)
		hr_buf_printf(out, " keep %" PRIu64, im->keep);
	add_duration(" keep-for ", im->keep_for_s, out);
	hr_buf_str(out, "\n");
}

static bool is_line_of(const char *text, size_t n, const char *name)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv words = { 0 };
	hr_autofree char *full = NULL;
	struct hr_err bad = { 0 };

	line_words(text, n, &words);
	if (words.n < 2 || strcmp(words.v[0], "image") != 0)
		return false;
	full = store_site_name(words.v[1], &bad);
	return full && strcmp(full, name) == 0;
}

bool store_site_edit(const char *text, const char *name, const char *line, struct hr_buf *out)
{
	bool done = false;
	const char *p = text;

	while (*p) {
		size_t n = strcspn(p, "\n");

		if (!is_line_of(p, n, name)) {
			hr_buf_add(out, p, n);
			hr_buf_str(out, "\n");
		} else if (line && !done) {
			hr_buf_str(out, line);
			done = true;
		}
		p += n + (p[n] == '\n');
	}
	if (line && !done)
		hr_buf_str(out, line);
	return out->len != strlen(text) || (out->len && memcmp(out->p, text, out->len) != 0);
}

/* ---- what became of them ---- */

/* Put a manifest at place I of those that are kept; DIGEST is taken. */
static void insert_old(struct store_site_image *im, size_t i, char *digest, uint64_t parted_s)
{
	im->old = hr_xrealloc(im->old, (im->n_old + 1) * sizeof(*im->old));
	memmove(im->old + i + 1, im->old + i, (im->n_old - i) * sizeof(*im->old));
	im->old[i] = (struct store_site_old) { digest, parted_s };
	im->n_old++;
}

/* Take it out; the digest is the caller's. */
static char *remove_old(struct store_site_image *im, size_t i)
{
	char *digest = im->old[i].digest;

	im->n_old--;
	memmove(im->old + i, im->old + i + 1, (im->n_old - i) * sizeof(*im->old));
	return digest;
}

/* "old DIGEST [SECONDS]" */
static int parse_old(const struct hr_strv *w, struct store_site_image *im, struct hr_err *e)
{
	struct fetch_digest d;
	uint64_t parted = 0;

	if (fetch_digest_parse(w->v[1], &d, e) < 0 ||
	    (w->n > 2 && hr_parse_u64(w->v[2], "old", 0, INT64_MAX, &parted, e) < 0))
		return -1;
	insert_old(im, im->n_old, hr_xstrdup(w->v[1]), parted);
	return 0;
}

static int parse_state_line(const struct hr_strv *w, const char *rest, struct store_site *site,
			    struct store_site_image **im, struct hr_err *e)
{
	struct hr_err bad = { 0 };

	if (w->n == 0)
		return 0;
	if (strcmp(w->v[0], "image") == 0 && w->n == 2) {
		*im = find(site, w->v[1]);
		if (!*im)
			*im = add(site, w->v[1]);
		return 0;
	}
	if (!*im || w->n < 2)
		return hr_fail(e, HR_CORRUPT, 0, "'%s' where none belongs", w->v[0]);
	if (strcmp(w->v[0], "reason") == 0) {
		hr_strv_release(&(*im)->reason);
		hr_strv_add(&(*im)->reason, rest);
		return 0;
	}
	if (w->n > 2 + (size_t)(strcmp(w->v[0], "old") == 0))
		return hr_fail(e, HR_CORRUPT, 0, "surplus word '%s'", w->v[w->n - 1]);
	if ((strcmp(w->v[0], "tried") == 0 &&
	     hr_parse_u64(w->v[1], "tried", 0, INT64_MAX, &(*im)->tried_s, &bad) == 0) ||
	    (strcmp(w->v[0], "synced") == 0 &&
	     hr_parse_u64(w->v[1], "synced", 0, INT64_MAX, &(*im)->synced_s, &bad) == 0) ||
	    (strcmp(w->v[0], "old") == 0 && parse_old(w, *im, &bad) == 0))
		return 0;
	return hr_fail(e, HR_CORRUPT, 0, "'%s %s'", w->v[0], w->v[1]);
}

int store_site_parse_state(const char *text, struct store_site *site, struct hr_err *e)
{
	struct store_site_image *im = NULL;

	for (unsigned int line = 1; *text; line++) {
		HR_CLEANUP(hr_strv_release) struct hr_strv words = { 0 };
		size_t n = strcspn(text, "\n");
		hr_autofree char *copy = hr_xstrndup(text, n);
		const char *blank = strchr(copy, ' ');

		split(copy, n, &words);
		if (parse_state_line(&words, blank ? blank + 1 : "", site, &im, e) < 0)
			return hr_wrap(e, "line %u", line);
		text += n + (text[n] == '\n');
	}
	return 0;
}

void store_site_write_state(const struct store_site *site, struct hr_buf *out)
{
	for (size_t i = 0; i < site->n; i++) {
		const struct store_site_image *im = &site->images[i];

		/* one that went off the list is known until what it kept is given up */
		if (im->tried_s == 0 || (!im->listed && im->n_old == 0))
			continue;
		hr_buf_printf(out, "image %s\ntried %" PRIu64 "\nsynced %" PRIu64 "\n", im->name,
			      im->tried_s, im->synced_s);
		for (size_t k = 0; k < im->n_old; k++)
			hr_buf_printf(out, "old %s %" PRIu64 "\n", im->old[k].digest,
				      im->old[k].parted_s);
		if (im->reason.n)
			hr_buf_printf(out, "reason %s\n", im->reason.v[0]);
	}
}

/* ---- when, and what stays ---- */

uint64_t store_site_due(const struct store_site *site, const struct store_site_image *im)
{
	uint64_t every = im->every_s ? im->every_s : site->every_s;

	if (im->tried_s == 0)
		return 0;
	if (im->reason.n && every > RETRY_S)
		every = RETRY_S;
	return im->tried_s + every;
}

void store_site_synced(const struct store_site *site, struct store_site_image *im, uint64_t now,
		       const char *parted, struct hr_strv *dropped)
{
	uint64_t keep = im->keep ? im->keep : site->keep;
	uint64_t keep_for = im->keep_for_s ? im->keep_for_s : site->keep_for_s;

	im->tried_s = im->synced_s = now;
	hr_strv_release(&im->reason);
	for (size_t i = im->n_old; parted && i-- > 0;)
		if (strcmp(im->old[i].digest, parted) == 0)
			free(remove_old(im, i));
	if (parted)
		insert_old(im, 0, hr_xstrdup(parted), now);
	/* those that parted before this, and the one of the tag itself, take the places */
	for (size_t i = im->n_old; i-- > 0 && i + 2 > keep;)
		if (keep_for == 0 || im->old[i].parted_s + keep_for <= now)
			hr_strv_take(dropped, remove_old(im, i));
}

void store_site_failed(struct store_site_image *im, uint64_t now, const char *reason)
{
	hr_autobuf struct hr_buf text = { 0 };

	hr_buf_untrusted(&text, reason, strlen(reason));
	im->tried_s = now;
	hr_strv_release(&im->reason);
	hr_strv_add(&im->reason, text.len ? (const char *)text.p : "-");
}
