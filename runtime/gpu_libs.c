/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/gpu_libs.h"

#include "runtime/closure.h"
#include "runtime/libtree.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

struct trees {
	struct rt_libtree *host, *image;
	bool no_glibc; /* the image has not the C library that drivers are built for */
	struct hr_strv *warnings, *left_out;
};

static int add(struct rt_closure *c, const struct trees *t, const struct rt_gpu_lib *lib,
	       struct hr_err *e)
{
	/* the list of names ends with a NULL */
	return rt_closure_add(c, t->host, lib->path, (const char *const *)lib->names.v,
			      RT_CLOSURE_FORCED, e);
}

/*
 * Whether LIB alone fits: 1, or 0 with the reason in *WHY.
 *
 * Errors:  HR_SYS.
 */
static int fits_alone(const struct trees *t, const struct rt_gpu_lib *lib, char **why,
		      struct hr_err *e)
{
	struct rt_closure c = { 0 };
	struct hr_err missing = { 0 };
	int r = 1;

	if (add(&c, t, lib, &missing) < 0) {
		*why = hr_xstrdup(missing.text);
		r = 0;
	} else if (rt_closure_check(&c, t->host, t->image, e) < 0) {
		r = -1;
	} else if (c.misfits.n > 0) {
		*why = hr_xstrdup(c.misfits.v[0]);
		r = 0;
	}
	rt_closure_release(&c);
	return r;
}

/* LIB is left out, for the reason WHY. */
static int leave_out(const struct rt_gpu *gpu, const struct trees *t, const struct rt_gpu_lib *lib,
		     const char *why, struct hr_err *e)
{
	/* an image that no driver is made for, and nobody asked for one */
	if (!lib->must || (!gpu->wanted && t->no_glibc)) {
		hr_strv_take(t->left_out, hr_xasprintf("'%s' is left out: %s", lib->path, why));
		return 0;
	}
	if (!gpu->wanted) {
		hr_strv_take(t->warnings,
			     hr_xasprintf("programs will not find the GPU (%s): '%s' does not fit "
					  "the image: %s",
					  gpu->label, lib->path, why));
		return 0;
	}
	hr_fail(e, HR_USAGE, 0, "the GPU driver's '%s' does not fit the image: %s", lib->path, why);
	hr_hint(e, "it takes an image with a newer C library, or --gpu=none");
	return -1;
}

/* Those that fit each for itself, together. */
static int choose(const struct rt_gpu *gpu, const struct trees *t, struct rt_closure *c,
		  struct hr_err *e)
{
	for (size_t i = 0; i < gpu->n_libs; i++) {
		hr_autofree char *why = NULL;
		int r = fits_alone(t, &gpu->libs[i], &why, e);

		if (r > 0)
			r = add(c, t, &gpu->libs[i], e);
		else if (r == 0)
			r = leave_out(gpu, t, &gpu->libs[i], why, e);
		if (r < 0)
			return -1;
	}
	return rt_closure_check(c, t->host, t->image, e);
}

/* All of them, which is what is to be expected; 0: some do not fit. */
static int choose_all(const struct rt_gpu *gpu, const struct trees *t, struct rt_closure *c,
		      struct hr_err *e)
{
	for (size_t i = 0; i < gpu->n_libs; i++) {
		struct hr_err missing = { 0 };

		if (add(c, t, &gpu->libs[i], &missing) < 0)
			return 0;
	}
	if (rt_closure_check(c, t->host, t->image, e) < 0)
		return -1;
	return c->misfits.n == 0;
}

int rt_gpu_libs_add(const struct rt_gpu *gpu, int host_root, int image_root, const char *image_path,
		    struct rt_memo *memo, struct rt_inject *in, struct hr_strv *warnings,
		    struct hr_strv *left_out, struct hr_err *e)
{
	HR_CLEANUP(rt_libtree_closep) struct rt_libtree *host = NULL, *image = NULL;
	struct rt_closure c = { 0 };
	struct rt_lib libc = { 0 };
	struct trees t;
	int r;

	if (gpu->n_libs == 0)
		return 0;
	if (rt_libtree_open(host_root, "the host", NULL, NULL, memo, &host, e) < 0 ||
	    rt_libtree_open(image_root, "the image", image_path, NULL, NULL, &image, e) < 0)
		return -1;
	r = rt_libtree_find(image, "libc.so.6", NULL, &libc, e);
	rt_lib_release(&libc);
	if (r < 0)
		return -1;
	t = (struct trees) { host, image, r == 0, warnings, left_out };
	r = choose_all(gpu, &t, &c, e);
	if (r == 0) {
		rt_closure_release(&c);
		c = (struct rt_closure) { 0 };
		r = choose(gpu, &t, &c, e);
	}
	if (r >= 0)
		rt_inject_add(in, &c);
	rt_closure_release(&c);
	return r < 0 ? -1 : 0;
}

int rt_gpu_libs_judge(const struct rt_gpu *gpu, const struct hr_err *none, int host_root,
		      int image_root, const char *image_path, struct rt_gpu_verdict *out,
		      struct hr_err *e)
{
	HR_CLEANUP(hr_strv_release) struct hr_strv no_warnings = { 0 }; /* it was asked for */
	HR_CLEANUP(rt_inject_release) struct rt_inject unused = { 0 };

	*out = (struct rt_gpu_verdict) { .state = RT_GPU_FITS };
	if (none->kind != HR_OK) {
		out->state = none->kind == HR_NOTFOUND ? RT_GPU_NONE : RT_GPU_REFUSED;
		out->why = *none;
		return 0;
	}
	if (rt_gpu_libs_add(gpu, host_root, image_root, image_path, NULL, &unused, &no_warnings,
			    &out->left_out, e) == 0)
		return 0;
	if (e->kind != HR_USAGE)
		return -1;
	out->state = RT_GPU_MISFIT;
	out->why = *e;
	hr_err_clear(e);
	return 0;
}

void rt_gpu_verdict_release(struct rt_gpu_verdict *v)
{
	hr_strv_release(&v->left_out);
}
