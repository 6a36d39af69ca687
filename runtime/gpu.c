/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/gpu.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/gpu_apply.h"
#include "runtime/gpu_cdi.h"
#include "runtime/gpu_list.h"
#include "runtime/memo.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

/* What a node has, and what was chosen of it. */
struct choice {
	struct rt_cdi_files cdi;
	struct rt_gpu_lists lists;
	struct rt_cdi_edits edits;
	struct hr_strv names; /* "nvidia.com/gpu=0" */
	bool *used;	      /* by list */
};

static void release(struct choice *c)
{
	rt_cdi_files_release(&c->cdi);
	rt_gpu_lists_release(&c->lists);
	rt_cdi_edits_release(&c->edits);
	hr_strv_release(&c->names);
	free(c->used);
}

static bool is_present(const struct rt_gpu_list *list)
{
	bool found = false;

	for (size_t i = 0; i < list->devices.n && !found; i++) {
		glob_t g = { 0 };

		found = glob(list->devices.v[i], GLOB_NOSORT, NULL, &g) == 0;
		globfree(&g);
	}
	return found;
}

/* The list counts: there is such a GPU, and no CDI file for it. */
static bool is_usable(const struct choice *c, size_t i)
{
	return !rt_cdi_has_gpu(&c->cdi, c->lists.v[i].vendor) && is_present(&c->lists.v[i]);
}

static int nothing(const struct choice *c, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };

	if (c->cdi.broken.kind != HR_OK) {
		*e = c->cdi.broken;
		return -1;
	}
	for (size_t i = 0; i < c->lists.n; i++)
		for (size_t k = 0; k < c->lists.v[i].devices.n; k++)
			hr_buf_printf(&b, "%s%s", b.len > 0 ? ", " : "",
				      c->lists.v[i].devices.v[k]);
	hr_fail(e, HR_NOTFOUND, 0,
		"there is no GPU on this node: no CDI file describes one, and none of %s is there",
		b.len > 0 ? (const char *)b.p : "the lists' devices");
	hr_hint(e, "ask for a node with GPUs, or leave out --gpu; hpcrun.conf(5) says where CDI "
		   "files are looked for");
	return -1;
}

static int choose_all(struct choice *c, struct hr_err *e)
{
	bool found = false;

	if (rt_cdi_choose_all(&c->cdi, &c->edits, &c->names, e) < 0)
		return -1;
	for (size_t i = 0; i < c->lists.n; i++) {
		c->used[i] = is_usable(c, i);
		if (c->used[i])
			hr_strv_take(&c->names, hr_xasprintf("%s/gpu=all", c->lists.v[i].vendor));
		found = found || c->used[i];
	}
	return c->names.n > 0 ? 0 : nothing(c, e);
}

static int no_device(const struct choice *c, const char *word, struct hr_err *e)
{
	hr_autofree char *known = rt_cdi_list(&c->cdi);

	if (c->cdi.broken.kind != HR_OK) {
		*e = c->cdi.broken;
		return -1;
	}
	if (!known)
		return nothing(c, e);
	hr_fail(e, HR_NOTFOUND, 0, "this node has no GPU '%s'", word);
	hr_hint(e, "it has %s", known);
	return -1;
}

static int which(const char *word, const char *hint, struct hr_err *e)
{
	hr_fail(e, HR_USAGE, 0, "which GPU is '%s'?", word);
	hr_hint(e, "%s", hint);
	return -1;
}

/* A device of the one vendor that has only a list: its variable does the choosing. */
static int choose_of_list(struct choice *c, const char *word, struct hr_err *e)
{
	size_t n = 0, one = 0;

	for (size_t i = 0; i < c->lists.n; i++) {
		if (!is_usable(c, i))
			continue;
		one = i;
		n++;
	}
	if (n == 0)
		return no_device(c, word, e);
	if (n > 1 || !c->lists.v[one].visible)
		return which(word,
			     "the node has GPUs of several vendors, or of one whose devices cannot "
			     "be chosen; CDI files give them names",
			     e);
	if (!rt_cdi_is_id(word))
		return which(word,
			     "no CDI file names them: choose by number, or by UUID (GPU-..., "
			     "MIG-...)",
			     e);
	c->used[one] = true;
	hr_strv_take(&c->names, hr_xasprintf("%s/gpu=%s", c->lists.v[one].vendor, word));
	return 0;
}

/* "0,1" or "vendor.com/class=name,..."; "all" among them counts for itself. */
static int choose_words(struct choice *c, const char *request, struct hr_err *e)
{
	char *next;

	while ((next = hr_next_word(&request, ","))) {
		hr_autofree char *word = next;
		int r;

		if (strcmp(word, "all") == 0) {
			if (choose_all(c, e) < 0)
				return -1;
		} else {
			r = rt_cdi_choose(&c->cdi, word, &c->edits, &c->names, e);
			if (r < 0 || (r == 0 && choose_of_list(c, word, e) < 0))
				return -1;
		}
	}
	if (c->names.n > 0)
		return 0;
	return hr_fail(e, HR_USAGE, 0, "--gpu: no device is named");
}

/*
 * /dev shows all devices of the node, chosen or not. Those that were chosen by name are named to
 * the vendor's library, too, if it can be told; a rank that has the variable keeps its own.
 */
static void set_visible(const struct choice *c, const struct rt_gpu_list *list, struct rt_gpu *out)
{
	hr_autofree char *prefix = hr_xasprintf("%s/gpu=", list->vendor);
	hr_autobuf struct hr_buf b = { 0 };

	for (size_t i = 0; i < c->names.n; i++) {
		const char *full = c->names.v[i], *known;

		if (strncmp(full, prefix, strlen(prefix)) != 0)
			continue;
		if (strcmp(full + strlen(prefix), "all") == 0)
			return;
		known = rt_cdi_known_as(&c->cdi, full);
		if (!known && list->visible)
			hr_strv_take(&out->notes,
				     hr_xasprintf("programs may see others than '%s': there is no "
						  "number or UUID of it for %s",
						  full, list->visible));
		if (!known)
			return;
		hr_buf_printf(&b, "%s%s", b.len > 0 ? "," : "", known);
	}
	if (b.len == 0 || !list->visible)
		return;
	hr_strv_take(&out->env, hr_xasprintf("%s=%s", list->visible, (const char *)b.p));
	for (size_t i = 0; i < list->with_ids.n; i++)
		hr_strv_add(&out->env, list->with_ids.v[i]);
}

static void set_label(const struct choice *c, struct rt_gpu *out)
{
	hr_autobuf struct hr_buf b = { 0 };

	for (size_t i = 0; i < c->names.n; i++)
		hr_buf_printf(&b, "%s%s", i > 0 ? "," : "", c->names.v[i]);
	out->label = hr_xstrdup((const char *)b.p);
}

/* What decides which libraries it is, besides files of the host. */
static void key_libraries(const struct choice *c, const struct rt_gpu *out, struct rt_memo *m)
{
	rt_memo_begin(m, "libraries of a GPU");
	for (size_t i = 0; i < c->edits.folders.n; i++)
		rt_memo_key(m, "folder", c->edits.folders.v[i]);
	for (size_t i = 0; i < out->binds.n && c->edits.folders.n > 0; i++) {
		rt_memo_key(m, "source", out->binds.v[i].src);
		rt_memo_key(m, "target", out->binds.v[i].dst);
	}
	for (size_t i = 0; i < c->lists.n; i++) {
		const struct rt_gpu_list *l = &c->lists.v[i];

		rt_memo_key(m, c->used[i] ? "used" : "list", l->vendor);
		for (size_t j = 0; j < l->require.n; j++)
			rt_memo_key(m, "require", l->require.v[j]);
		for (size_t j = 0; j < l->library.n && c->used[i]; j++)
			rt_memo_key(m, "library", l->library.v[j]);
	}
}

/* In the cache of this node they are as they were found before. */
static int find_libraries(const struct choice *c, int dirfd, struct rt_gpu *out, struct hr_err *e)
{
	struct rt_memo m = { 0 };
	int r;

	key_libraries(c, out, &m);
	if (rt_memo_recall(&m, dirfd) && rt_gpu_recall_libs(&m, out)) {
		out->recalled = true;
		rt_memo_release(&m);
		return 0;
	}
	hr_strv_release(&m.seen);
	hr_strv_release(&m.answer);
	r = rt_gpu_find_folders(&c->edits, &c->lists, &m, out, e);
	for (size_t i = 0; i < c->lists.n && r == 0; i++)
		if (c->used[i])
			r = rt_gpu_find_list(&c->lists.v[i], &m, out, e);
	if (r == 0 && out->n_libs > 0) {
		rt_gpu_answer_libs(out, &m);
		rt_memo_keep(&m, dirfd);
	}
	rt_memo_release(&m);
	return r;
}

static int apply(const struct choice *c, int dirfd, struct rt_gpu *out, struct hr_err *e)
{
	if (rt_gpu_apply_cdi(&c->edits, out, e) < 0 || find_libraries(c, dirfd, out, e) < 0)
		return -1;
	for (size_t i = 0; i < c->lists.n; i++)
		if (c->used[i])
			rt_gpu_apply_list(&c->lists.v[i], out);
	for (size_t i = 0; i < c->lists.n; i++) {
		set_visible(c, &c->lists.v[i], out);
		rt_gpu_compare_versions(&c->lists.v[i], out);
	}
	if (c->cdi.broken.kind != HR_OK)
		hr_strv_take(&out->warnings,
			     hr_xasprintf("%s; it is passed over", c->cdi.broken.text));
	set_label(c, out);
	return 0;
}

static int find(const char *request, const struct hr_conf *conf, int dirfd, struct rt_gpu *out,
		struct hr_err *e)
{
	const char *dir = conf->gpu_lists ? conf->gpu_lists : HPCRUN_DATADIR "/gpu";
	struct choice c = { 0 };
	int r = rt_gpu_lists_load(dir, &c.lists, e);

	if (r == 0) {
		rt_cdi_files_load(&conf->cdi_dirs, &c.cdi);
		c.used = hr_xmalloc((c.lists.n + 1) * sizeof(*c.used));
		r = choose_words(&c, request, e);
	}
	if (r == 0)
		r = apply(&c, dirfd, out, e);
	release(&c);
	return r;
}

int rt_gpu_find(const char *request, const struct hr_conf *conf, int dirfd, struct rt_gpu *out,
		struct hr_err *e)
{
	struct hr_err why = { 0 };

	memset(out, 0, sizeof(*out));
	out->wanted = request || conf->gpu == HR_GPU_ALL;
	if ((request && strcmp(request, "none") == 0) || (!request && conf->gpu == HR_GPU_NONE))
		return 0;
	if (find(request ? request : "all", conf, dirfd, out, &why) == 0)
		return 0;
	rt_gpu_release(out);
	if (request || conf->gpu == HR_GPU_ALL) {
		*e = why;
		return -1;
	}
	if (why.kind == HR_NOTFOUND)
		hr_debug("no GPU: %s", why.text);
	else
		hr_strv_take(&out->warnings,
			     hr_xasprintf("going on without the GPU: %s", why.text));
	return 0;
}

void rt_gpu_release(struct rt_gpu *g)
{
	free(g->label);
	rt_binds_release(&g->binds);
	rt_binds_release(&g->nodes);
	hr_strv_release(&g->env);
	for (size_t i = 0; i < g->n_libs; i++) {
		free(g->libs[i].path);
		hr_strv_release(&g->libs[i].names);
	}
	free(g->libs);
	hr_strv_release(&g->warnings);
	hr_strv_release(&g->notes);
	memset(g, 0, sizeof(*g));
}
