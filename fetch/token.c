/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/token.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/poison.h"

void fetch_secret_free(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}

void fetch_secret_freep(char **s)
{
	fetch_secret_free(*s);
}

char *fetch_token_get(struct fetch_client *c, const char *registry, const char *repo,
		      uint64_t *generation)
{
	(void)c;
	(void)registry;
	(void)repo;
	*generation = 0;
	return NULL;
}

int fetch_token_renew(struct fetch_client *c, const struct fetch_url *home, const char *registry,
		      const char *repo, uint64_t generation, const struct hr_strv *challenges,
		      struct fetch_failure *f, struct hr_err *e)
{
	(void)c;
	(void)home;
	(void)repo;
	(void)generation;
	(void)challenges;
	(void)f;
	return hr_fail(e, HR_DENIED, 0, "registry '%s' asks for a login", registry);
}
