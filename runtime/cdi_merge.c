/* SPDX-License-Identifier: BSD-3-Clause */
/* Several devices at once: their edits in one, without contradictions. */
#include "config.h"

#include <string.h>

#include "runtime/cdi.h"
#include "util/poison.h"

static int conflict(const char *what, const char *one, const char *other, struct hr_err *e)
{
	hr_fail(e, HR_USAGE, 0, "the devices contradict each other: %s is '%s' and '%s'", what, one,
		other);
	hr_hint(e, "choose other devices with --gpu, or generate their CDI files anew");
	return -1;
}

static void add_once(struct hr_strv *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return;
	hr_strv_add(l, s);
}

static int merge_env(struct rt_cdi_edits *to, const char *entry, struct hr_err *e)
{
	size_t len = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < to->env.n; i++)
		if (strncmp(to->env.v[i], entry, len) == 0 && strcmp(to->env.v[i], entry) != 0)
			return conflict("a variable", to->env.v[i], entry, e);
	add_once(&to->env, entry);
	return 0;
}

static int merge_node(struct rt_cdi_edits *to, const struct rt_cdi_node *node, struct hr_err *e)
{
	for (size_t i = 0; i < to->n_nodes; i++) {
		if (strcmp(to->nodes[i].path, node->path) != 0)
			continue;
		if (strcmp(to->nodes[i].host, node->host) != 0)
			return conflict(node->path, to->nodes[i].host, node->host, e);
		return 0;
	}
	to->nodes = hr_xrealloc(to->nodes, (to->n_nodes + 1) * sizeof(*to->nodes));
	to->nodes[to->n_nodes++] = (struct rt_cdi_node) { .path = hr_xstrdup(node->path),
							  .host = hr_xstrdup(node->host) };
	return 0;
}

static int merge_mount(struct rt_cdi_edits *to, const struct rt_cdi_mount *m, struct hr_err *e)
{
	for (size_t i = 0; i < to->n_mounts; i++) {
		if (strcmp(to->mounts[i].dst, m->dst) != 0)
			continue;
		if (strcmp(to->mounts[i].src, m->src) != 0)
			return conflict(m->dst, to->mounts[i].src, m->src, e);
		to->mounts[i].ro = to->mounts[i].ro && m->ro;
		return 0;
	}
	to->mounts = hr_xrealloc(to->mounts, (to->n_mounts + 1) * sizeof(*to->mounts));
	to->mounts[to->n_mounts++] = (struct rt_cdi_mount) { .src = hr_xstrdup(m->src),
							     .dst = hr_xstrdup(m->dst),
							     .ro = m->ro };
	return 0;
}

static int merge_link(struct rt_cdi_edits *to, const struct rt_cdi_link *link, struct hr_err *e)
{
	for (size_t i = 0; i < to->n_links; i++) {
		if (strcmp(to->links[i].path, link->path) != 0)
			continue;
		if (strcmp(to->links[i].target, link->target) != 0)
			return conflict(link->path, to->links[i].target, link->target, e);
		return 0;
	}
	to->links = hr_xrealloc(to->links, (to->n_links + 1) * sizeof(*to->links));
	to->links[to->n_links++] = (struct rt_cdi_link) { .target = hr_xstrdup(link->target),
							  .path = hr_xstrdup(link->path) };
	return 0;
}

static void merge_gid(struct rt_cdi_edits *to, uint64_t gid)
{
	for (size_t i = 0; i < to->n_gids; i++)
		if (to->gids[i] == gid)
			return;
	to->gids = hr_xrealloc(to->gids, (to->n_gids + 1) * sizeof(*to->gids));
	to->gids[to->n_gids++] = gid;
}

int rt_cdi_merge(struct rt_cdi_edits *to, const struct rt_cdi_edits *from, struct hr_err *e)
{
	for (size_t i = 0; i < from->env.n; i++)
		if (merge_env(to, from->env.v[i], e) < 0)
			return -1;
	for (size_t i = 0; i < from->n_nodes; i++)
		if (merge_node(to, &from->nodes[i], e) < 0)
			return -1;
	for (size_t i = 0; i < from->n_mounts; i++)
		if (merge_mount(to, &from->mounts[i], e) < 0)
			return -1;
	for (size_t i = 0; i < from->n_links; i++)
		if (merge_link(to, &from->links[i], e) < 0)
			return -1;
	for (size_t i = 0; i < from->folders.n; i++)
		add_once(&to->folders, from->folders.v[i]);
	for (size_t i = 0; i < from->skipped.n; i++)
		add_once(&to->skipped, from->skipped.v[i]);
	for (size_t i = 0; i < from->n_gids; i++)
		merge_gid(to, from->gids[i]);
	return 0;
}
