/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/gpu_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/libtree.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define VERSION_FILE_MAX 65536
#define GROUPS_MAX	 65536

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static struct rt_gpu_lib *add_lib(struct rt_gpu *out, const char *path)
{
	for (size_t i = 0; i < out->n_libs; i++)
		if (strcmp(out->libs[i].path, path) == 0)
			return &out->libs[i];
	out->libs = hr_xrealloc(out->libs, (out->n_libs + 1) * sizeof(*out->libs));
	out->libs[out->n_libs] = (struct rt_gpu_lib) { .path = hr_xstrdup(path) };
	return &out->libs[out->n_libs++];
}

static void add_name(struct rt_gpu_lib *lib, const char *name)
{
	if (!hr_strv_has(&lib->names, name))
		hr_strv_add(&lib->names, name);
}

/* The library at PATH if programs of this machine can load it; false: it is none. */
static bool read_lib(const char *path, const struct rt_elf *like, struct rt_elf *out)
{
	hr_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct hr_err ignored = { 0 }; /* a program, a firmware, a socket: nothing for a loader */

	if (fd >= 0 && rt_elf_read(fd, path, out, &ignored) == 0 &&
	    (!like || rt_elf_same_machine(like, out)))
		return true;
	rt_elf_release(out);
	return false;
}

/* What libraries must be like: as this program is. */
static int read_self(struct rt_elf *out, struct hr_err *e)
{
	static const char self[] = "/proc/self/exe";
	hr_autofd int fd = open(self, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open '%s'", self);
	return rt_elf_read(fd, self, out, e);
}

struct nodes_seen {
	size_t all, denied; /* denied: by the cgroup, to this process; another rank may have it */
};

static int check_node(const struct rt_cdi_node *node, struct nodes_seen *seen, struct rt_gpu *out,
		      struct hr_err *e)
{
	struct stat st;

	if (stat(node->host, &st) < 0) {
		hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
			"cannot look at GPU device '%s'", node->host);
		hr_hint(e, "is the driver loaded? After a change of devices the CDI file has to be "
			   "generated anew");
		return -1;
	}
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return hr_fail(e, HR_CORRUPT, 0, "'%s' is not a device", node->host);
	seen->all++;
	if (access(node->host, R_OK | W_OK) == 0)
		return 0;
	if (errno == EPERM)
		seen->denied++;
	else
		hr_strv_take(&out->warnings,
			     hr_xasprintf("GPU device '%s' cannot be used by you: %s (mode %04o, "
					  "group %u)",
					  node->host, strerror(errno),
					  (unsigned int)st.st_mode & 07777,
					  (unsigned int)st.st_gid));
	return 0;
}

/* Where /dev is the host's, what is in it is there already, unless it has another name inside. */
static void add_device(const char *host, const char *path, bool ro, struct rt_gpu *out)
{
	bool there = strcmp(path, host) == 0 && rt_path_within(path, "/dev");

	rt_binds_add(there ? &out->nodes : &out->binds, host, path, ro, false);
}

static int apply_nodes(const struct rt_cdi_edits *x, struct rt_gpu *out, struct hr_err *e)
{
	struct nodes_seen seen = { 0 };

	for (size_t i = 0; i < x->n_nodes; i++) {
		const struct rt_cdi_node *node = &x->nodes[i];

		if (check_node(node, &seen, out, e) < 0)
			return -1;
		add_device(node->host, node->path, false, out);
	}
	if (seen.all > 0 && seen.denied == seen.all)
		hr_strv_add(&out->warnings, "the job's cgroup allows no GPU device: was one asked "
					    "for, with --gpus or --gres?");
	return 0;
}

static int apply_mounts(const struct rt_cdi_edits *x, struct rt_gpu *out, struct hr_err *e)
{
	for (size_t i = 0; i < x->n_mounts; i++) {
		const struct rt_cdi_mount *m = &x->mounts[i];

		if (access(m->src, F_OK) < 0) {
			hr_fail(e, HR_CORRUPT, errno, "'%s', which the CDI file names", m->src);
			hr_hint(e, "after an update of the driver the CDI file has to be generated "
				   "anew");
			return -1;
		}
		add_device(m->src, m->dst, m->ro, out);
	}
	return 0;
}

/* The path that TARGET of a link at PATH means, or NULL. */
static char *link_target(const struct rt_cdi_link *link)
{
	size_t dir = (size_t)(last_part(link->path) - link->path);
	hr_autofree char *joined = hr_xasprintf("%.*s%s", (int)dir, link->path, link->target);

	return rt_path_normal(link->target[0] == '/' ? link->target : joined);
}

/* What is bound at PATH, itself or, for a library, under its soname: a file of the host. */
static const char *source_of(const struct rt_gpu *out, const char *path)
{
	size_t dir = (size_t)(last_part(path) - path);

	for (size_t i = 0; i < out->binds.n; i++)
		if (strcmp(out->binds.v[i].dst, path) == 0)
			return out->binds.v[i].src;
	for (size_t i = 0; i < out->binds.n; i++) {
		const struct rt_bind *b = &out->binds.v[i];
		bool same_dir = strncmp(b->dst, path, dir) == 0 && !strchr(b->dst + dir, '/');
		struct rt_elf elf = { 0 };
		bool found = same_dir && read_lib(b->src, NULL, &elf) && elf.soname &&
			     strcmp(elf.soname, path + dir) == 0;

		rt_elf_release(&elf);
		if (found)
			return b->src;
	}
	return NULL;
}

/* The image's tree cannot get a link; the file that it would lead to does as well. A link to a link
 * finds what stands before it. */
static void apply_links(const struct rt_cdi_edits *x, struct rt_gpu *out)
{
	for (size_t i = 0; i < x->n_links; i++) {
		const struct rt_cdi_link *link = &x->links[i];
		hr_autofree char *target = link_target(link);
		const char *source = target ? source_of(out, target) : NULL;
		hr_autofree char *src = source ? hr_xstrdup(source) : NULL;

		if (src && strcmp(target, link->path) != 0)
			rt_binds_add(&out->binds, src, link->path, true, false);
		else
			hr_strv_take(&out->notes, hr_xasprintf("link '%s' to '%s' is left out: "
							       "nothing is mounted there",
							       link->path, link->target));
	}
}

static bool in_folder(const struct rt_cdi_edits *x, const char *path)
{
	for (size_t i = 0; i < x->folders.n; i++) {
		size_t n = strlen(x->folders.v[i]);

		if (strncmp(path, x->folders.v[i], n) == 0 && path[n] == '/' &&
		    !strchr(path + n + 1, '/'))
			return true;
	}
	return false;
}

static bool is_required(const struct rt_gpu_lists *lists, const char *soname)
{
	for (size_t i = 0; i < lists->n; i++)
		if (hr_strv_has(&lists->v[i].require, soname))
			return true;
	return false;
}

int rt_gpu_find_folders(const struct rt_cdi_edits *x, const struct rt_gpu_lists *lists,
			struct rt_memo *memo, struct rt_gpu *out, struct hr_err *e)
{
	struct rt_elf self = { 0 };

	if (x->folders.n == 0)
		return 0;
	if (read_self(&self, e) < 0)
		return -1;
	for (size_t i = 0; i < out->binds.n; i++) {
		const struct rt_bind *b = &out->binds.v[i];
		struct rt_elf elf = { 0 };
		struct rt_gpu_lib *lib;

		if (!in_folder(x, b->dst))
			continue;
		rt_memo_saw(memo, b->src);
		if (!read_lib(b->src, &self, &elf))
			continue;
		lib = add_lib(out, b->src);
		if (elf.soname)
			add_name(lib, elf.soname);
		add_name(lib, last_part(b->dst));
		lib->must = lib->must || (elf.soname && is_required(lists, elf.soname));
		rt_elf_release(&elf);
	}
	rt_elf_release(&self);
	return 0;
}

static void apply_gids(const struct rt_cdi_edits *x, struct rt_gpu *out)
{
	hr_autofree gid_t *groups = hr_xmalloc(GROUPS_MAX * sizeof(*groups));
	int n = getgroups(GROUPS_MAX, groups);

	for (size_t i = 0; i < x->n_gids; i++) {
		bool member = x->gids[i] == getegid();

		for (int k = 0; k < n && !member; k++)
			member = groups[k] == x->gids[i];
		if (!member)
			hr_strv_take(&out->notes,
				     hr_xasprintf("the CDI file gives group %" PRIu64
						  ", which you are not in: it cannot be had",
						  x->gids[i]));
	}
}

int rt_gpu_apply_cdi(const struct rt_cdi_edits *x, struct rt_gpu *out, struct hr_err *e)
{
	if (apply_nodes(x, out, e) < 0 || apply_mounts(x, out, e) < 0)
		return -1;
	apply_links(x, out);
	apply_gids(x, out);
	for (size_t i = 0; i < x->env.n; i++)
		hr_strv_add(&out->env, x->env.v[i]);
	for (size_t i = 0; i < x->skipped.n; i++)
		hr_strv_take(&out->notes, hr_xasprintf("hook left out: %s", x->skipped.v[i]));
	return 0;
}

/* One library by soname or path; 0: the host does not have it. */
static int find_lib(struct rt_libtree *host, const char *name, const struct rt_elf *like,
		    struct rt_gpu *out, struct rt_gpu_lib **lib, struct hr_err *e)
{
	struct rt_lib found = { 0 };
	int r = name[0] == '/' ? rt_libtree_at(host, name, like, &found, e)
			       : rt_libtree_find(host, name, like, &found, e);

	if (r <= 0)
		return r;
	*lib = add_lib(out, found.path);
	add_name(*lib, found.elf.soname ? found.elf.soname : last_part(found.path));
	rt_lib_release(&found);
	return 1;
}

static int find_libs(const struct rt_gpu_list *list, struct rt_libtree *host,
		     const struct rt_elf *like, struct rt_gpu *out, struct hr_err *e)
{
	struct rt_gpu_lib *lib;
	int r;

	for (size_t i = 0; i < list->require.n; i++) {
		r = find_lib(host, list->require.v[i], like, out, &lib, e);
		if (r < 0)
			return -1;
		if (r == 0) {
			hr_fail(e, HR_CORRUPT, 0,
				"the node has a GPU of %s, but no library '%s' for this machine",
				list->vendor, list->require.v[i]);
			hr_hint(e, "is the driver installed completely, and in the search path of "
				   "ldconfig? 'ldconfig -p' lists it then");
			return -1;
		}
		lib->must = true;
	}
	for (size_t i = 0; i < list->library.n; i++)
		if (find_lib(host, list->library.v[i], like, out, &lib, e) < 0)
			return -1;
	return 0;
}

/* A list names no nodes; these are the compute devices of the vendors there are lists for. */
static void add_nodes(struct rt_gpu *out)
{
	static const char *const patterns[] = { "/dev/nvidia*", "/dev/kfd", "/dev/dri" };

	for (size_t i = 0; i < HR_COUNT(patterns); i++) {
		glob_t g = { 0 };

		if (glob(patterns[i], 0, NULL, &g) == 0)
			for (size_t k = 0; k < g.gl_pathc; k++)
				rt_binds_add(&out->nodes, g.gl_pathv[k], g.gl_pathv[k], false,
					     true);
		globfree(&g);
	}
}

void rt_gpu_apply_list(const struct rt_gpu_list *list, struct rt_gpu *out)
{
	add_nodes(out);
	for (size_t i = 0; i < list->file.n; i++)
		rt_binds_add(&out->binds, list->file.v[i], list->file.v[i], true, true);
}

int rt_gpu_find_list(const struct rt_gpu_list *list, struct rt_memo *memo, struct rt_gpu *out,
		     struct hr_err *e)
{
	hr_autofd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	HR_CLEANUP(rt_libtree_closep) struct rt_libtree *host = NULL;
	struct rt_elf self = { 0 };
	int r = -1;

	if (root < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open the root directory");
	if (rt_libtree_open(root, "the host", NULL, NULL, memo, &host, e) == 0 &&
	    read_self(&self, e) == 0)
		r = find_libs(list, host, &self, out, e);
	rt_elf_release(&self);
	return r;
}

/* Each file, with its names behind it, and whether it must be there. */
enum tag { TAG_FILE = 'f', TAG_NAME = 'n', TAG_MUST = 'm' };

void rt_gpu_answer_libs(const struct rt_gpu *out, struct rt_memo *memo)
{
	for (size_t i = 0; i < out->n_libs; i++) {
		const struct rt_gpu_lib *lib = &out->libs[i];

		rt_memo_answer(memo, TAG_FILE, lib->path);
		for (size_t j = 0; j < lib->names.n; j++)
			rt_memo_answer(memo, TAG_NAME, lib->names.v[j]);
		if (lib->must)
			rt_memo_answer(memo, TAG_MUST, "");
	}
}

bool rt_gpu_recall_libs(const struct rt_memo *memo, struct rt_gpu *out)
{
	struct rt_gpu found = { 0 };
	struct rt_gpu_lib *lib = NULL;
	bool good = memo->answer.n > 0;

	for (size_t i = 0; i < memo->answer.n && good; i++) {
		const char *s = memo->answer.v[i];

		if (s[0] == TAG_FILE && s[1] == '/')
			lib = add_lib(&found, s + 1);
		else if (s[0] == TAG_NAME && lib && s[1] && !strchr(s, '/'))
			add_name(lib, s + 1);
		else if (s[0] == TAG_MUST && lib)
			lib->must = true;
		else
			good = false;
	}
	if (!good) {
		rt_gpu_release(&found);
		return false;
	}
	HR_BUG_ON(out->n_libs > 0);
	out->libs = found.libs;
	out->n_libs = found.n_libs;
	return true;
}

/* "535.104.05" of "/usr/lib/libcuda.so.535.104.05", through links; NULL: the name has none. */
static char *library_version(const char *path)
{
	hr_autofree char *real = realpath(path, NULL);
	const char *so = real ? strstr(last_part(real), ".so.") : NULL;

	return so ? rt_gpu_version(so + 4) : NULL;
}

void rt_gpu_compare_versions(const struct rt_gpu_list *list, struct rt_gpu *out)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err ignored = { 0 }; /* no such file: nothing to compare */
	hr_autofree char *module = NULL;

	if (!list->driver_version ||
	    hr_file_read(AT_FDCWD, list->driver_version, VERSION_FILE_MAX, &text, &ignored) < 0 ||
	    !text.p)
		return;
	module = rt_gpu_version((const char *)text.p);
	for (size_t i = 0; module && i < out->n_libs; i++) {
		hr_autofree char *version =
			out->libs[i].must ? library_version(out->libs[i].path) : NULL;

		if (version && strcmp(version, module) != 0)
			hr_strv_take(&out->warnings,
				     hr_xasprintf("the GPU driver's module is of version %s, its "
						  "library '%s' of %s: the node needs a restart",
						  module, out->libs[i].path, version));
	}
}
