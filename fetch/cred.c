/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/cred.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fetch/auth.h"
#include "fetch/helper.h"
#include "fetch/json.h"
#include "fetch/url.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

#define FILE_MAX	  (1u << 20)
#define HELPER_TIMEOUT_MS 30000

/* The name under which docker keeps Docker Hub, and all others share it. */
#define HUB_KEY "https://index.docker.io/v1/"

static void secret_buf_release(struct hr_buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	hr_buf_release(b);
}

void fetch_cred_release(struct fetch_cred *c)
{
	fetch_secret_free(c->user);
	fetch_secret_free(c->password);
	fetch_secret_free(c->identity);
	memset(c, 0, sizeof(*c));
}

/* ---- the file ---- */

static char *file_path(struct hr_err *e)
{
	const char *file = getenv("REGISTRY_AUTH_FILE"), *dir = getenv("DOCKER_CONFIG");
	const char *home = getenv("HOME");
	hr_autofree char *path = NULL;
	char *real;

	if (file && *file)
		path = hr_xstrdup(file);
	else if (dir && *dir)
		path = hr_xasprintf("%s/config.json", dir);
	else if (home && *home == '/')
		path = hr_xasprintf("%s/.docker/config.json", home);
	if (!path) {
		hr_fail(e, HR_USAGE, 0, "HOME is not set, so there is no place for credentials");
		return NULL;
	}
	/* a link to a file elsewhere is the user's wish, and stays a link when it is rewritten */
	real = realpath(path, NULL);
	return real ? real : hr_steal(&path);
}

static void warn_if_open(const char *path, atomic_bool *warned)
{
	struct stat st;

	if (stat(path, &st) < 0 || (st.st_mode & 077) == 0)
		return;
	if (!atomic_exchange(warned, true))
		hr_warn("other users may be able to read your credentials: '%s' has mode %04o; run "
			"'chmod 600' on it",
			path, (unsigned int)(st.st_mode & 07777));
}

/* The file's content; an empty object when there is no file. */
static int load(const char *path, json_t **out, struct hr_err *e)
{
	HR_CLEANUP(secret_buf_release) struct hr_buf b = { 0 };
	struct hr_err read = { 0 };

	if (hr_file_read(AT_FDCWD, path, FILE_MAX, &b, &read) < 0) {
		if (read.kind != HR_NOTFOUND) {
			*e = read;
			return hr_wrap(e, "cannot read the credentials");
		}
		*out = json_object();
		return 0;
	}
	if (fetch_json_parse(b.p, b.len, path, out, e) < 0)
		return hr_wrap(e, "cannot read the credentials");
	return 0;
}

/* Write the file anew. The directory is made for us alone when it is missing. */
static int save(const char *path, const json_t *root, struct hr_err *e)
{
	const char *slash = strrchr(path, '/');
	HR_CLEANUP(fetch_secret_freep) char *text = json_dumps(root, JSON_INDENT(4));

	if (!text)
		return hr_fail(e, HR_SYS, ENOMEM, "cannot write '%s'", path);
	if (slash && slash > path) {
		hr_autofree char *dir = hr_xstrndup(path, (size_t)(slash - path));

		if (hr_mkdir_all(AT_FDCWD, dir, 0700, e) < 0)
			return hr_wrap(e, "cannot keep the credentials");
	}
	if (hr_file_replace(AT_FDCWD, path, text, strlen(text), 0600, e) < 0)
		return hr_wrap(e, "cannot keep the credentials");
	return 0;
}

/* Is KEY of "auths" or "credHelpers" a way to write REGISTRY? Only what names the whole host. */
static bool key_names(const char *key, const char *registry)
{
	static const char *const tails[] = { "", "/", "/v1", "/v1/", "/v2", "/v2/" };
	hr_autofree char *host = NULL, *canonical = NULL;
	struct hr_err ignored = { 0 }; /* a key that is no host is another program's business */
	const char *tail;
	size_t n;

	if (strncmp(key, "https://", 8) == 0)
		key += 8;
	else if (strncmp(key, "http://", 7) == 0)
		key += 7;
	n = strcspn(key, "/");
	host = hr_xstrndup(key, n);
	if (strcmp(host, "registry-1.docker.io") == 0)
		canonical = hr_xstrdup("docker.io");
	else if (fetch_registry_parse(host, &canonical, &ignored) < 0)
		return false;
	tail = key + n;
	for (size_t i = 0; i < HR_COUNT(tails); i++)
		if (strcmp(tail, tails[i]) == 0)
			return strcmp(canonical, registry) == 0;
	return false;
}

/* The member of OBJECT whose key names REGISTRY, or NULL; *key is borrowed. */
static json_t *find_member(json_t *object, const char *registry, const char **key)
{
	const char *k;
	json_t *v;

	json_object_foreach(object, k, v)
	{
		if (key_names(k, registry)) {
			*key = k;
			return v;
		}
	}
	return NULL;
}

static const char *key_of(const char *registry)
{
	return strcmp(registry, "docker.io") == 0 ? HUB_KEY : registry;
}

/* ---- helpers ---- */

/* Which helper is responsible, borrowed from ROOT, or NULL. *own: it is set for this registry. */
static const char *helper_for(json_t *root, const char *registry, bool *own)
{
	const char *key;
	const char *name = json_string_value(
		find_member(json_object_get(root, "credHelpers"), registry, &key));

	*own = name && *name;
	if (!*own)
		name = json_string_value(json_object_get(root, "credsStore"));
	return name && *name ? name : NULL;
}

static int parse_helper_answer(const struct hr_buf *answer, const char *name,
			       struct fetch_cred *out, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	const char *user, *secret;
	struct hr_err parse = { 0 };

	/* what the parser says could quote the answer, and that is a secret */
	if (fetch_json_parse(answer->p, answer->len, "answer", &root, &parse) < 0 ||
	    fetch_json_string(root, "Username", &user, &parse) < 0 ||
	    fetch_json_string(root, "Secret", &secret, &parse) < 0)
		return hr_fail(
			e, HR_DENIED, 0,
			"credential helper 'docker-credential-%s' gives an answer that is not "
			"understood",
			name);
	if (strcmp(user, "<token>") == 0) {
		out->identity = hr_xstrdup(secret);
	} else {
		out->user = hr_xstrdup(user);
		out->password = hr_xstrdup(secret);
	}
	return 0;
}

static int helper_failed(const char *name, const char *verb, struct hr_err *e)
{
	hr_fail(e, HR_DENIED, 0, "credential helper 'docker-credential-%s %s' failed", name, verb);
	hr_hint(e, "run it by hand to see why, or remove it from the credential file");
	return -1;
}

static int ask_helper(const char *name, bool own, const char *registry, struct fetch_cred *out,
		      bool *found, struct hr_err *e)
{
	HR_CLEANUP(secret_buf_release) struct hr_buf answer = { 0 };
	struct hr_err run = { 0 };
	bool ok = false;

	if (fetch_helper_run(name, "get", key_of(registry), HELPER_TIMEOUT_MS, &answer, &ok, &run) <
	    0) {
		if (run.kind == HR_NOTFOUND && !own) {
			/* a file copied from a desktop names its key ring */
			hr_warn("%s; going on without it", run.text);
			return 0;
		}
		*e = run;
		return -1;
	}
	if (!ok && answer.p && strstr((const char *)answer.p, "credentials not found"))
		return 0;
	if (!ok)
		return helper_failed(name, "get", e);
	if (parse_helper_answer(&answer, name, out, e) < 0)
		return -1;
	*found = true;
	return 0;
}

/* ---- looking up ---- */

/* "auth" is base64 of user:password; the parts may also be written apart. */
static int parse_entry(const json_t *entry, const char *path, struct fetch_cred *out, bool *found,
		       struct hr_err *e)
{
	const char *auth = json_string_value(json_object_get(entry, "auth"));
	const char *identity = json_string_value(json_object_get(entry, "identitytoken"));
	const char *user = json_string_value(json_object_get(entry, "username"));
	const char *password = json_string_value(json_object_get(entry, "password"));
	HR_CLEANUP(fetch_secret_freep) char *plain = NULL;
	char *colon;

	if (identity && *identity) {
		out->identity = hr_xstrdup(identity);
		*found = true;
		return 0;
	}
	if (auth && *auth) {
		plain = fetch_base64_decode(auth);
		colon = plain ? strchr(plain, ':') : NULL;
		if (!colon)
			return hr_fail(e, HR_CORRUPT, 0,
				       "an 'auth' in '%s' is not base64 of USER:PASSWORD", path);
		*colon = '\0';
		user = plain;
		password = colon + 1;
	}
	if (!user || !password)
		return 0; /* {} is what docker leaves beside a helper */
	out->user = hr_xstrdup(user);
	out->password = hr_xstrdup(password);
	*found = true;
	return 0;
}

int fetch_cred_find(const char *registry, atomic_bool *warned, struct fetch_cred *out, bool *found,
		    struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	HR_CLEANUP(fetch_cred_release) struct fetch_cred c = { 0 };
	struct hr_err no_home = { 0 }; /* no HOME: no credentials */
	hr_autofree char *path = file_path(&no_home);
	const char *name, *key;
	bool own = false;
	json_t *entry;

	*found = false;
	if (!path)
		return 0;
	if (load(path, &root, e) < 0)
		return -1;
	warn_if_open(path, warned);
	name = helper_for(root, registry, &own);
	if (name && ask_helper(name, own, registry, &c, found, e) < 0)
		return hr_wrap(e, "cannot get the login for '%s'", registry);
	entry = find_member(json_object_get(root, "auths"), registry, &key);
	if (!*found && entry && parse_entry(entry, path, &c, found, e) < 0)
		return hr_wrap(e, "cannot get the login for '%s'", registry);
	*out = c;
	memset(&c, 0, sizeof(c));
	return 0;
}

/* ---- keeping and forgetting ---- */

static int store_in_helper(const char *name, const char *registry, const char *user,
			   const char *password, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *o = json_object();
	HR_CLEANUP(fetch_secret_freep) char *text = NULL;
	HR_CLEANUP(secret_buf_release) struct hr_buf answer = { 0 };
	bool ok = false;

	if (json_object_set_new(o, "ServerURL", json_string(key_of(registry))) < 0 ||
	    json_object_set_new(o, "Username", json_string(user)) < 0 ||
	    json_object_set_new(o, "Secret", json_string(password)) < 0 ||
	    !(text = json_dumps(o, JSON_COMPACT)))
		return hr_fail(e, HR_USAGE, 0, "user name or password is not valid UTF-8");
	if (fetch_helper_run(name, "store", text, HELPER_TIMEOUT_MS, &answer, &ok, e) < 0)
		return -1;
	return ok ? 0 : helper_failed(name, "store", e);
}

/* Put ENTRY (taken) under the registry's key, in place of whatever named it before. */
static int set_entry(json_t *root, const char *registry, json_t *entry, const char *path,
		     struct hr_err *e)
{
	json_t *auths = json_object_get(root, "auths");
	const char *key;

	if (!auths) {
		auths = json_object();
		json_object_set_new(root, "auths", auths);
	}
	if (!json_is_object(auths)) {
		json_decref(entry);
		return hr_fail(e, HR_CORRUPT, 0, "'auths' in '%s' is not an object", path);
	}
	while (find_member(auths, registry, &key)) {
		hr_autofree char *name = hr_xstrdup(key); /* del frees what KEY points to */

		json_object_del(auths, name);
	}
	json_object_set_new(auths, key_of(registry), entry);
	return 0;
}

int fetch_cred_store(const char *registry, const char *user, const char *password, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	hr_autofree char *path = file_path(e);
	HR_CLEANUP(fetch_secret_freep) char *plain = NULL;
	HR_CLEANUP(fetch_secret_freep) char *encoded = NULL;
	const char *name;
	json_t *entry;
	bool own;

	if (!path || load(path, &root, e) < 0)
		return -1;
	name = helper_for(root, registry, &own);
	if (name)
		return store_in_helper(name, registry, user, password, e);
	plain = hr_xasprintf("%s:%s", user, password);
	encoded = fetch_base64_encode(plain, strlen(plain));
	entry = json_object();
	json_object_set_new(entry, "auth", json_string(encoded));
	if (set_entry(root, registry, entry, path, e) < 0)
		return -1;
	return save(path, root, e);
}

int fetch_cred_erase(const char *registry, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	hr_autofree char *path = file_path(e);
	bool own, ok = false, changed = false;
	const char *name, *key;
	json_t *auths;

	if (!path || load(path, &root, e) < 0)
		return -1;
	name = helper_for(root, registry, &own);
	if (name) {
		HR_CLEANUP(secret_buf_release) struct hr_buf answer = { 0 };

		if (fetch_helper_run(name, "erase", key_of(registry), HELPER_TIMEOUT_MS, &answer,
				     &ok, e) < 0)
			return -1;
	}
	auths = json_object_get(root, "auths");
	while (find_member(auths, registry, &key)) {
		hr_autofree char *copy = hr_xstrdup(key);

		changed = true;
		json_object_del(auths, copy);
	}
	if (changed)
		return save(path, root, e);
	if (ok)
		return 0;
	return hr_fail(e, HR_NOTFOUND, 0, "there is no login for '%s' in '%s'", registry, path);
}
