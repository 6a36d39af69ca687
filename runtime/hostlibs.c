/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/hostlibs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/gpu_libs.h"
#include "runtime/mpi_report.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

int rt_hostlibs_load(struct rt_hostlibs_job *job, const struct rt_session_args *args,
		     const struct hr_conf *conf, const struct rt_gpu *gpu, struct hr_err *e)
{
	static const enum rt_mpi_mode site[] = { [HR_MPI_AUTO] = RT_MPI_AUTO,
						 [HR_MPI_IMAGE] = RT_MPI_IMAGE,
						 [HR_MPI_OFF] = RT_MPI_OFF };

	memset(job, 0, sizeof(*job));
	if (args->mpi != RT_MPI_SITE &&
	    hr_conf_check_override(conf, "mpi", "--mpi or HPCRUN_MPI", e) < 0)
		return -1;
	job->image = args->image;
	job->gpu = gpu;
	job->check = (enum rt_mpi_check)args->mpi_check;
	job->mode = args->mpi == RT_MPI_SITE ? site[conf->mpi] : (enum rt_mpi_mode)args->mpi;
	if (job->mode == RT_MPI_OFF && job->check == RT_MPI_CHECK_NONE)
		return 0;
	job->stacks = hr_xmalloc((conf->mpi_stacks.n + 1) * sizeof(*job->stacks));
	for (size_t i = 0; i < conf->mpi_stacks.n; i++)
		if (rt_stack_load(conf->mpi_stacks.v[i], &job->stacks[job->n++], e) < 0)
			return -1;
	return 0;
}

void rt_hostlibs_job_release(struct rt_hostlibs_job *job)
{
	for (size_t i = 0; i < job->n; i++)
		rt_stack_release(&job->stacks[i]);
	free(job->stacks);
	memset(job, 0, sizeof(*job));
}

static void add_target(const char *dst, bool file, struct hr_buf *out)
{
	hr_buf_str(out, file ? "f" : "d");
	hr_buf_add(out, dst, strlen(dst) + 1);
}

/* Sources that exist, of one definition. */
static void add_binds(const struct rt_stack *s, struct rt_binds *l)
{
	struct stat st;

	for (size_t i = 0; i < s->binds.n; i++) {
		const struct rt_bind *b = &s->binds.v[i];

		if (stat(b->src, &st) < 0)
			continue;
		rt_binds_add(l, b->src, b->dst, b->ro, true);
		l->v[l->n - 1].file = !S_ISDIR(st.st_mode);
	}
	for (size_t i = 0; i < s->plugins.n; i++)
		if (stat(s->plugins.v[i], &st) == 0 && S_ISDIR(st.st_mode))
			rt_binds_add(l, s->plugins.v[i], s->plugins.v[i], true, true);
}

void rt_hostlibs_targets(const struct rt_hostlibs_job *job, struct hr_buf *out)
{
	struct rt_binds all = { 0 };

	if (job->n == 0 && job->gpu->n_libs == 0)
		return;
	for (size_t i = 0; i < job->n; i++)
		add_binds(&job->stacks[i], &all);
	add_target(RT_INJECT_DIR, false, out);
	for (size_t i = 0; i < all.n; i++)
		add_target(all.v[i].dst, all.v[i].file, out);
	rt_binds_release(&all);
}

static const char *library_path(const struct hr_buf *env)
{
	static const char name[] = "LD_LIBRARY_PATH=";

	for (size_t at = 0; at < env->len; at += strlen((const char *)env->p + at) + 1)
		if (strncmp((const char *)env->p + at, name, sizeof(name) - 1) == 0)
			return (const char *)env->p + at + sizeof(name) - 1;
	return NULL;
}

static int print_report(const struct rt_hostlibs_job *job, const struct rt_mpi *m, int host_root,
			int image_root, const char *path, struct hr_buf *b, struct hr_err *e)
{
	HR_CLEANUP(rt_gpu_verdict_release) struct rt_gpu_verdict gpu = { 0 };

	if (rt_gpu_libs_judge(job->gpu, &job->no_gpu, host_root, image_root, path, &gpu, e) < 0)
		return -1;
	hr_buf_str(b, m->chosen ? "0" : "1");
	if (job->check == RT_MPI_CHECK_JSON)
		rt_mpi_report_json(m, job->image, job->mode, job->gpu, &gpu, b);
	else
		rt_mpi_report_text(m, job->image, job->mode, job->gpu, &gpu, b);
	return 0;
}

/* In place of a choice. */
static int make_report(const struct rt_hostlibs_job *job, int host_root, int image_root,
		       const char *path, struct rt_hostlibs *out, struct hr_err *e)
{
	struct hr_err refused = { 0 }; /* is part of the report */
	struct rt_mpi m = { 0 };
	int r = rt_mpi_look(job->stacks, job->n, job->mode, true, host_root, image_root, path, NULL,
			    &m, e);

	if (r == 0)
		r = rt_mpi_survey(&m, image_root, path, e);
	if (r == 0 && job->mode != RT_MPI_OFF && rt_mpi_choose(&m, job->mode, &refused) < 0)
		hr_debug("%s", refused.text);
	if (r == 0)
		r = print_report(job, &m, host_root, image_root, path, &out->report, e);
	out->notice = hr_steal(&m.notice);
	out->notice_matters = m.notice_matters;
	rt_mpi_release(&m);
	return r;
}

/* What goes with the libraries of a definition. */
static void take_chosen(const struct rt_stack *s, struct rt_hostlibs *out)
{
	out->chosen = s;
	add_binds(s, &out->binds);
	for (size_t i = 0; i < s->env.n; i++)
		hr_strv_add(&out->env, s->env.v[i]);
}

/*
 * The choice as an answer: the number of the definition, each file with the names and the paths of
 * the image that follow it, what there is to say.
 */
enum tag {
	TAG_CHOSEN = 's',
	TAG_FILE = 'f',
	TAG_NAME = 'n',
	TAG_COVER = 'c',
	TAG_NOTE = 'i',	   /* the notice */
	TAG_MATTERS = 'm', /* likewise, when it matters */
	TAG_WARNING = 'w'
};

static void put_list(struct rt_memo *m, enum tag tag, const struct hr_strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		rt_memo_answer(m, (char)tag, l->v[i]);
}

static void put_answer(const struct rt_hostlibs_job *job, const struct rt_hostlibs *h,
		       struct rt_memo *m)
{
	if (h->chosen) {
		hr_autofree char *number = hr_xasprintf("%td", h->chosen - job->stacks);

		rt_memo_answer(m, TAG_CHOSEN, number);
	}
	for (size_t i = 0; i < h->inject.n; i++) {
		rt_memo_answer(m, TAG_FILE, h->inject.v[i].src);
		put_list(m, TAG_NAME, &h->inject.v[i].names);
		put_list(m, TAG_COVER, &h->inject.v[i].covers);
	}
	if (h->notice)
		rt_memo_answer(m, h->notice_matters ? TAG_MATTERS : TAG_NOTE, h->notice);
	put_list(m, TAG_WARNING, &h->warnings);
}

static int take_answer(const struct rt_hostlibs_job *job, const char *s, struct rt_hostlibs *out,
		       struct hr_err *e)
{
	struct rt_inject_item *item = out->inject.n ? &out->inject.v[out->inject.n - 1] : NULL;
	const char *text = s + 1;
	uint64_t number;

	switch (s[0]) {
	case TAG_CHOSEN:
		if (out->chosen || job->n == 0 ||
		    hr_parse_u64(text, "definition", 0, job->n - 1, &number, e) < 0)
			break;
		take_chosen(&job->stacks[number], out);
		return 0;
	case TAG_FILE:
		if (text[0] != '/')
			break;
		rt_inject_file(&out->inject, text);
		return 0;
	case TAG_NAME:
		if (!item || text[0] == '\0' || text[0] == '.' || strchr(text, '/'))
			break;
		hr_strv_add(&item->names, text);
		return 0;
	case TAG_COVER:
		if (!item || text[0] != '/')
			break;
		hr_strv_add(&item->covers, text);
		return 0;
	case TAG_NOTE:
	case TAG_MATTERS:
		if (out->notice)
			break;
		out->notice = hr_xstrdup(text);
		out->notice_matters = s[0] == TAG_MATTERS;
		return 0;
	case TAG_WARNING:
		hr_strv_add(&out->warnings, text);
		return 0;
	}
	hr_err_clear(e);
	return hr_fail(e, HR_CORRUPT, 0, "no part of an answer: '%s'", s);
}

int rt_hostlibs_recall(const struct rt_hostlibs_job *job, const struct rt_memo *memo,
		       struct rt_hostlibs *out, struct hr_err *e)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < memo->answer.n; i++)
		if (take_answer(job, memo->answer.v[i], out, e) < 0)
			return -1;
	return 0;
}

static int choose_mpi(const struct rt_hostlibs_job *job, int host_root, int image_root,
		      const char *path, struct rt_memo *memo, struct rt_hostlibs *out,
		      struct hr_err *e)
{
	struct rt_mpi m = { 0 };
	int r;

	if (job->n == 0 && job->mode != RT_MPI_HOST)
		return 0;
	r = rt_mpi_look(job->stacks, job->n, job->mode, false, host_root, image_root, path, memo,
			&m, e);
	if (r == 0)
		r = rt_mpi_choose(&m, job->mode, e);
	if (r == 0 && m.chosen) {
		take_chosen(m.chosen->stack, out);
		rt_inject_add(&out->inject, &m.chosen->closure);
	}
	out->notice = hr_steal(&m.notice);
	out->notice_matters = m.notice_matters;
	rt_mpi_release(&m);
	return r;
}

int rt_hostlibs_choose(const struct rt_hostlibs_job *job, int host_root, int image_root,
		       const struct hr_buf *env, struct rt_memo *memo, struct rt_hostlibs *out,
		       struct hr_err *e)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv left_out = { 0 };
	const char *path = library_path(env);

	memset(out, 0, sizeof(*out));
	if (job->check != RT_MPI_CHECK_NONE)
		return make_report(job, host_root, image_root, path, out, e);
	if (choose_mpi(job, host_root, image_root, path, memo, out, e) < 0 ||
	    rt_gpu_libs_add(job->gpu, host_root, image_root, path, memo, &out->inject,
			    &out->warnings, &left_out, e) < 0)
		return -1;
	for (size_t i = 0; i < left_out.n; i++)
		hr_debug("%s", left_out.v[i]);
	put_answer(job, out, memo);
	return 0;
}

static void key_gpu(const struct rt_gpu *gpu, struct rt_memo *memo)
{
	rt_memo_key(memo, "gpu", gpu->label ? gpu->label : "");
	rt_memo_key(memo, "wanted", gpu->wanted ? "yes" : "no");
	for (size_t i = 0; i < gpu->n_libs; i++) {
		const struct rt_gpu_lib *lib = &gpu->libs[i];

		rt_memo_key(memo, lib->must ? "must" : "may", lib->path);
		for (size_t j = 0; j < lib->names.n; j++)
			rt_memo_key(memo, "name", lib->names.v[j]);
	}
}

bool rt_hostlibs_key(const struct rt_hostlibs_job *job, const struct hr_buf *targets,
		     struct rt_memo *memo)
{
	const char *t = (const char *)targets->p;

	if ((job->n == 0 && job->gpu->n_libs == 0) || job->check != RT_MPI_CHECK_NONE)
		return false;
	rt_memo_begin(memo, "libraries of an image");
	rt_memo_key(memo, "mpi", rt_mpi_words[job->mode]);
	for (size_t i = 0; i < job->n; i++) {
		rt_memo_key(memo, job->stacks[i].name, job->stacks[i].text);
		for (size_t j = 0; j < job->stacks[i].devices.n; j++)
			rt_memo_key(memo, job->stacks[i].devices.v[j],
				    rt_mpi_device(job->stacks[i].devices.v[j]) ? "yes" : "no");
	}
	key_gpu(job->gpu, memo);
	/* the server shows them, empty, in the place of what the image has there */
	for (size_t at = 0; at < targets->len; at += strlen(t + at) + 1)
		if (strstr(t + at, ".so"))
			rt_memo_key(memo, "target", t + at);
	return true;
}

void rt_hostlibs_key_image(const char *manifest, const struct hr_buf *env, struct rt_memo *memo)
{
	const char *path = library_path(env);

	rt_memo_key(memo, "image", manifest);
	rt_memo_key(memo, "path", path ? path : "");
}

void rt_hostlibs_release(struct rt_hostlibs *h)
{
	rt_inject_release(&h->inject);
	rt_binds_release(&h->binds);
	hr_strv_release(&h->env);
	hr_strv_release(&h->warnings);
	hr_buf_release(&h->report);
	free(h->notice);
	memset(h, 0, sizeof(*h));
}
