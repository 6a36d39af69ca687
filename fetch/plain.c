/* SPDX-License-Identifier: BSD-3-Clause */
/* Which registries may be spoken to without TLS, and which are known to speak none. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fetch/client.h"
#include "util/cleanup.h"
#include "util/poison.h"

int fetch_client_allow_plain(struct fetch_client *c, const struct hr_strv *l, struct hr_err *e)
{
	for (size_t i = 0; l && i < l->n; i++) {
		char *registry;

		if (fetch_registry_parse(l->v[i], &registry, e) < 0)
			return hr_wrap(e, "insecure_registry");
		hr_strv_take(&c->insecure, registry);
	}
	return 0;
}

bool fetch_client_allows_plain(const struct fetch_client *c, const char *registry)
{
	HR_CLEANUP(fetch_url_release) struct fetch_url u = { 0 };
	struct hr_err ignored = { 0 }; /* what is no host is not allowed anything */

	if (fetch_registry_url(registry, true, "/", &u, &ignored) < 0)
		return false;
	if (fetch_host_is_loopback(u.host))
		return true;
	for (size_t i = 0; i < c->insecure.n; i++)
		if (strcmp(c->insecure.v[i], registry) == 0 ||
		    strcmp(c->insecure.v[i], u.host) == 0)
			return true;
	return false;
}

/* The lock is held. */
static struct fetch_peer *find_peer(const struct fetch_client *c, const char *registry)
{
	for (struct fetch_peer *p = c->peers; p; p = p->next)
		if (strcmp(p->registry, registry) == 0)
			return p;
	return NULL;
}

bool fetch_client_is_plain(struct fetch_client *c, const char *registry)
{
	const struct fetch_peer *p;
	bool plain;

	pthread_mutex_lock(&c->lock);
	p = find_peer(c, registry);
	plain = p && p->plain;
	pthread_mutex_unlock(&c->lock);
	return plain;
}

void fetch_client_set_plain(struct fetch_client *c, const char *registry)
{
	struct fetch_peer *p;

	pthread_mutex_lock(&c->lock);
	p = find_peer(c, registry);
	if (!p) {
		p = hr_xmalloc(sizeof(*p));
		p->registry = hr_xstrdup(registry);
		p->next = c->peers;
		c->peers = p;
	}
	p->plain = true;
	pthread_mutex_unlock(&c->lock);
}

void fetch_client_forget_peers(struct fetch_client *c)
{
	while (c->peers) {
		struct fetch_peer *p = c->peers;

		c->peers = p->next;
		free(p->registry);
		free(p);
	}
	hr_strv_release(&c->insecure);
}
