/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/mpi_report.h"

#include <jansson.h>
#include <string.h>

#include "runtime/plan.h"
#include "util/cleanup.h"
#include "util/poison.h"

static const char *const provider_words[] = {
	[RT_LIB_UNUSED] = "unused", [RT_LIB_IMAGE] = "image", [RT_LIB_HOST] = "host"
};

static const char *const gpu_words[] = { [RT_GPU_NONE] = "none",
					 [RT_GPU_REFUSED] = "refused",
					 [RT_GPU_MISFIT] = "misfit",
					 [RT_GPU_FITS] = "fits" };

/* Names and paths are the image's to choose; the terminal is the user's. */
static void add_untrusted(struct hr_buf *b, const char *s)
{
	hr_buf_untrusted(b, s, strlen(s));
}

static void add_found(struct hr_buf *b, const char *what, enum rt_mpi_kind kind,
		      const struct rt_lib *lib)
{
	hr_autofree char *version = rt_mpi_version_text(lib);
	hr_autofree char *machine = rt_elf_machine_text(&lib->elf);

	hr_buf_printf(b, "  %-8s %s: ", what, rt_mpi_kind_text(kind));
	add_untrusted(b, lib->path);
	hr_buf_str(b, " (");
	add_untrusted(b, version);
	hr_buf_printf(b, "; %s)\n", machine);
}

/* The highest version that libraries of the host want of L, by the order of strverscmp; or NULL. */
static const char *wanted_version(const struct rt_closure *c, const struct rt_closure_lib *l)
{
	const char *best = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct rt_elf *from = &c->v[i].lib.elf;

		for (size_t j = 0; c->v[i].verdict == RT_LIB_HOST && j < from->n_needs; j++) {
			const struct rt_elf_need *need = &from->needs[j];

			for (size_t k = 0; k < l->names.n; k++)
				if (strcmp(need->file, l->names.v[k]) == 0 &&
				    (!best || strverscmp(best, need->version) < 0))
					best = need->version;
		}
	}
	return best;
}

static void add_library(struct hr_buf *b, const struct rt_closure *c,
			const struct rt_closure_lib *l)
{
	const char *version = wanted_version(c, l);

	hr_buf_printf(b, "  %-8s %s: %s", provider_words[l->verdict], l->names.v[0], l->why);
	if (version)
		hr_buf_printf(b, "; needed: %s", version);
	if (l->verdict == RT_LIB_HOST)
		hr_buf_printf(b, "; %s", l->lib.path);
	for (size_t i = 0; i < l->covers.n; i++) {
		hr_buf_str(b, i == 0 ? " over " : ", ");
		add_untrusted(b, l->covers.v[i]);
	}
	hr_buf_str(b, "\n");
}

static void add_try(struct hr_buf *b, const struct rt_mpi_try *t)
{
	size_t modules = 0;

	hr_buf_printf(b, "\nhost definition '%s': %s\n", t->stack->name,
		      rt_mpi_fits(t)	 ? "fits"
		      : t->misfits.n > 0 ? "does not fit"
					 : "the image has none of its libraries");
	if (t->on_host)
		add_found(b, "host", t->kind, &t->host);
	if (t->in_image)
		add_found(b, "image", t->image_kind, &t->image);
	for (size_t i = 0; i < t->misfits.n; i++) {
		hr_buf_str(b, "  misfit   ");
		add_untrusted(b, t->misfits.v[i]);
		hr_buf_str(b, "\n");
	}
	for (size_t i = 0; t->in_image && i < t->closure.n; i++) {
		const struct rt_closure_lib *l = &t->closure.v[i];

		modules += l->bound;
		if (l->why && l->verdict != RT_LIB_UNUSED && !l->bound)
			add_library(b, &t->closure, l);
	}
	if (modules > 0)
		hr_buf_printf(b, "  host     %zu module%s in directories that are bound\n", modules,
			      HR_PLURAL(modules));
	for (size_t i = 0; i < t->stack->env.n; i++)
		hr_buf_printf(b, "  sets     %s\n", t->stack->env.v[i]);
	for (size_t i = 0; i < t->stack->binds.n; i++)
		hr_buf_printf(b, "  binds    %s at %s\n", t->stack->binds.v[i].src,
			      t->stack->binds.v[i].dst);
	for (size_t i = 0; i < t->stack->plugins.n; i++)
		hr_buf_printf(b, "  binds    %s\n", t->stack->plugins.v[i]);
}

static void add_gpu(struct hr_buf *b, const struct rt_gpu *gpu, const struct rt_gpu_verdict *v)
{
	hr_buf_str(b, "\nwith --gpu=all: ");
	if (v->state == RT_GPU_FITS) {
		hr_buf_printf(b, "the libraries of '%s' are used\n", gpu->label);
	} else {
		hr_buf_str(b, "nothing is run: ");
		add_untrusted(b, v->why.text);
		hr_buf_str(b, "\n");
	}
	for (size_t i = 0; i < v->left_out.n; i++) {
		hr_buf_str(b, "  misfit   ");
		add_untrusted(b, v->left_out.v[i]);
		hr_buf_str(b, "\n");
	}
	for (size_t i = 0; i < gpu->warnings.n; i++)
		hr_buf_printf(b, "  warning  %s\n", gpu->warnings.v[i]);
}

void rt_mpi_report_text(const struct rt_mpi *m, const char *image, enum rt_mpi_mode mode,
			const struct rt_gpu *gpu, const struct rt_gpu_verdict *verdict,
			struct hr_buf *b)
{
	hr_buf_str(b, "image '");
	add_untrusted(b, image);
	hr_buf_str(b, m->n_found > 0 ? "':\n" : "': no MPI library found\n");
	for (size_t i = 0; i < m->n_found; i++)
		add_found(b, "image", m->found[i].kind, &m->found[i].lib);
	if (m->n == 0)
		hr_buf_str(b, "\nhpcrun.conf defines no MPI of the host (mpi_stack)\n");
	for (size_t i = 0; i < m->n; i++)
		add_try(b, &m->tries[i]);
	hr_buf_printf(b, "\nwith --mpi=%s: ", rt_mpi_words[mode]);
	if (m->chosen)
		hr_buf_printf(b, "'%s' of the host is used\n", m->chosen->stack->name);
	else if (mode == RT_MPI_HOST)
		hr_buf_str(b, "nothing is run\n");
	else
		hr_buf_str(b, "the image is used as it is\n");
	add_gpu(b, gpu, verdict);
}

static json_t *strings(const struct hr_strv *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, json_string(l->v[i]));
	return list;
}

static json_t *library(enum rt_mpi_kind kind, const struct rt_lib *lib)
{
	hr_autofree char *machine = rt_elf_machine_text(&lib->elf);

	return json_pack("{s:s, s:s?, s:s?, s:s}", "kind", rt_mpi_kind_text(kind), "path",
			 lib->path, "file", lib->file, "machine", machine);
}

static json_t *closure(const struct rt_closure *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n; i++) {
		const struct rt_closure_lib *l = &c->v[i];

		if (l->why)
			json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:o}",
							      "name", l->names.v[0], "provider",
							      provider_words[l->verdict], "why",
							      l->why, "path", l->lib.path, "needed",
							      wanted_version(c, l), "covers",
							      strings(&l->covers)));
	}
	return list;
}

static json_t *definition(const struct rt_mpi_try *t)
{
	json_t *o = json_pack("{s:s, s:b, s:o, s:o, s:o}", "name", t->stack->name, "fits",
			      rt_mpi_fits(t), "misfits", strings(&t->misfits), "libraries",
			      closure(&t->closure), "env", strings(&t->stack->env));

	if (t->on_host)
		json_object_set_new(o, "host", library(t->kind, &t->host));
	if (t->in_image)
		json_object_set_new(o, "image", library(t->image_kind, &t->image));
	return o;
}

static json_t *gpu_verdict(const struct rt_gpu *gpu, const struct rt_gpu_verdict *v)
{
	return json_pack("{s:s, s:s?, s:s?, s:o, s:o}", "state", gpu_words[v->state], "devices",
			 gpu->label, "why", v->state == RT_GPU_FITS ? NULL : v->why.text,
			 "left_out", strings(&v->left_out), "warnings", strings(&gpu->warnings));
}

void rt_mpi_report_json(const struct rt_mpi *m, const char *image, enum rt_mpi_mode mode,
			const struct rt_gpu *gpu, const struct rt_gpu_verdict *verdict,
			struct hr_buf *b)
{
	json_t *found = json_array(), *tries = json_array(), *root;
	hr_autofree char *text = NULL;

	for (size_t i = 0; i < m->n_found; i++)
		json_array_append_new(found, library(m->found[i].kind, &m->found[i].lib));
	for (size_t i = 0; i < m->n; i++)
		json_array_append_new(tries, definition(&m->tries[i]));
	root = json_pack("{s:s, s:s, s:s?, s:o, s:o, s:o}", "image", image, "mode",
			 rt_mpi_words[mode], "chosen", m->chosen ? m->chosen->stack->name : NULL,
			 "image_mpi", found, "definitions", tries, "gpu",
			 gpu_verdict(gpu, verdict));
	text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
	json_decref(root);
	hr_buf_printf(b, "%s\n", text ? text : "null"); /* null: a name that is not UTF-8 */
}
