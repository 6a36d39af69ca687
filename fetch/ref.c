/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/fetch.h"

#include <string.h>

#include "fetch/url.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

/* Limits of the distribution specification 1.1, "Pulling manifests"; 1024 holds all parts. */
#define REF_MAX	 1024
#define REPO_MAX 255
#define TAG_MAX	 128

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_word(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Length of the separator at P: one '.', one or two '_', any number of '-'; 0 when it is none. */
static size_t separator_len(const char *p)
{
	if (*p == '.')
		return 1;
	if (*p == '_')
		return p[1] == '_' ? 2 : 1;
	return strspn(p, "-");
}

/* One path part: runs of lower-case letters and digits with single separators between them. */
static int check_part(const char *part, struct hr_err *e)
{
	const char *p = part;

	if (*p == '\0')
		return hr_fail(e, HR_USAGE, 0, "repository has an empty part");
	for (;;) {
		size_t run = 0, sep;

		while (is_lower_alnum(p[run]))
			run++;
		if (p[run] >= 'A' && p[run] <= 'Z')
			return hr_fail(e, HR_USAGE, 0,
				       "repository part '%s' has an upper-case letter", part);
		if (run == 0)
			return hr_fail(
				e, HR_USAGE, 0,
				"repository part '%s': a letter a-z or a digit must stand at "
				"the start, the end and between separators",
				part);
		p += run;
		if (*p == '\0')
			return 0;
		sep = separator_len(p);
		if (sep == 0)
			return hr_fail(
				e, HR_USAGE, 0,
				"repository part '%s' has a character other than a-z 0-9 . _ -",
				part);
		p += sep;
	}
}

static int check_repo(const char *repo, struct hr_err *e)
{
	const char *p = repo;

	if (strlen(repo) > REPO_MAX)
		return hr_fail(e, HR_USAGE, 0,
			       "repository has %zu characters, at most %d are allowed",
			       strlen(repo), REPO_MAX);
	for (;;) {
		size_t n = strcspn(p, "/");
		hr_autofree char *part = hr_xstrndup(p, n);

		if (check_part(part, e) < 0)
			return -1;
		if (p[n] == '\0')
			return 0;
		p += n + 1;
	}
}

static int check_tag(const char *tag, struct hr_err *e)
{
	size_t n = strlen(tag);

	if (n == 0)
		return hr_fail(e, HR_USAGE, 0, "tag is empty");
	if (n > TAG_MAX)
		return hr_fail(e, HR_USAGE, 0, "tag has %zu characters, at most %d are allowed", n,
			       TAG_MAX);
	if (!is_word(tag[0]))
		return hr_fail(e, HR_USAGE, 0, "tag '%s' must start with a letter, a digit or '_'",
			       tag);
	for (size_t i = 1; i < n; i++)
		if (!is_word(tag[i]) && tag[i] != '.' && tag[i] != '-')
			return hr_fail(e, HR_USAGE, 0,
				       "tag '%s' has a character other than a-z A-Z 0-9 _ . -",
				       tag);
	return 0;
}

/* The first part is a host when it looks like one; "lab/app" is a repository of docker.io. */
static bool looks_like_host(const char *part)
{
	return strpbrk(part, ".:[") || strcasecmp(part, "localhost") == 0;
}

/* Take "registry/" off the front of NAME, or fill in the default; the rest is the repository. */
static int take_registry(struct fetch_ref *r, const char *name, const char **rest, struct hr_err *e)
{
	const char *slash = strchr(name, '/');
	hr_autofree char *first = slash ? hr_xstrndup(name, (size_t)(slash - name)) : NULL;

	if (!first || !looks_like_host(first)) {
		r->registry = hr_xstrdup("docker.io");
		*rest = name;
		return 0;
	}
	if (fetch_registry_parse(first, &r->registry, e) < 0)
		return -1;
	*rest = slash + 1;
	return 0;
}

/* Cut "@digest" and ":tag" off the end of NAME. A colon before the last slash is a port. */
static int take_suffixes(struct fetch_ref *r, char *name, struct hr_err *e)
{
	char *at = strchr(name, '@'), *slash, *colon;

	if (at) {
		*at = '\0';
		if (fetch_digest_parse(at + 1, &r->digest, e) < 0) {
			e->kind = HR_USAGE;
			return -1;
		}
		r->has_digest = true;
	}
	slash = strrchr(name, '/');
	colon = strchr(slash ? slash : name, ':');
	if (colon) {
		*colon = '\0';
		if (check_tag(colon + 1, e) < 0)
			return -1;
		r->tag = hr_xstrdup(colon + 1);
	} else if (!r->has_digest) {
		r->tag = hr_xstrdup("latest");
	}
	return 0;
}

/* "sha256:HEX": by its grammar a repository with a tag, which nobody means who writes it. */
static int check_no_digest(const char *name, struct hr_err *e)
{
	struct fetch_digest d;

	if (strncmp(name, "sha256:", 7) != 0 && strncmp(name, "sha512:", 7) != 0)
		return 0;
	if (strchr(name, '/'))
		return 0;
	if (fetch_digest_parse(name, &d, e) == 0)
		return hr_fail(e, HR_USAGE, 0, "is a digest without a repository");
	e->kind = HR_USAGE;
	return -1;
}

static int parse_parts(struct fetch_ref *r, char *name, struct hr_err *e)
{
	const char *repo;

	if (strstr(name, "://"))
		return hr_fail(e, HR_USAGE, 0, "is a URL; leave out all up to '://'");
	if (check_no_digest(name, e) < 0)
		return -1;
	if (take_suffixes(r, name, e) < 0 || take_registry(r, name, &repo, e) < 0)
		return -1;
	if (*repo == '\0')
		return hr_fail(e, HR_USAGE, 0, "repository is missing");
	if (strcmp(r->registry, "docker.io") == 0 && !strchr(repo, '/'))
		r->repo = hr_xasprintf("library/%s", repo);
	else
		r->repo = hr_xstrdup(repo);
	return check_repo(r->repo, e);
}

int fetch_ref_parse(const char *s, struct fetch_ref *out, struct hr_err *e)
{
	static const char scheme[] = "docker://";
	HR_CLEANUP(fetch_ref_release) struct fetch_ref r = { 0 };
	hr_autofree char *name = NULL;

	if (strlen(s) > REF_MAX)
		return hr_fail(
			e, HR_USAGE, 0,
			"image reference '%.40s...' has %zu characters, at most %d are allowed", s,
			strlen(s), REF_MAX);
	name = hr_xstrdup(strncmp(s, scheme, sizeof(scheme) - 1) == 0 ? s + sizeof(scheme) - 1 : s);
	if (*name == '\0')
		return hr_fail(e, HR_USAGE, 0, "image reference is empty");
	if (parse_parts(&r, name, e) < 0) {
		hr_wrap(e, "image reference '%s'", s);
		hr_hint(e, "references are written [HOST[:PORT]/]REPOSITORY[:TAG][@sha256:...]");
		return -1;
	}
	*out = r;
	memset(&r, 0, sizeof(r));
	return 0;
}

void fetch_ref_release(struct fetch_ref *r)
{
	free(r->registry);
	free(r->repo);
	free(r->tag);
	memset(r, 0, sizeof(*r));
}

char *fetch_ref_text(const struct fetch_ref *r)
{
	char digest[FETCH_DIGEST_TEXT] = "";

	if (r->has_digest)
		fetch_digest_text(&r->digest, digest);
	return hr_xasprintf("%s/%s%s%s%s%s", r->registry, r->repo, r->tag ? ":" : "",
			    r->tag ? r->tag : "", r->has_digest ? "@" : "", digest);
}
