/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The GPU driver's libraries and the image: which of them can be loaded there. In the builder,
 * which sees both.
 */
#ifndef RT_GPU_LIBS_H
#define RT_GPU_LIBS_H

#include "runtime/gpu.h"
#include "runtime/inject.h"
#include "runtime/memo.h"
#include "util/err.h"
#include "util/mem.h"

/*
 * Add to IN the libraries of GPU, and what they need of the host, as far as the image's C library
 * and its others have the symbol versions that they want. IMAGE_PATH is the image's
 * LD_LIBRARY_PATH, or NULL; MEMO as of rt_libtree_open. What does not fit is left out, and added to
 * WARNINGS if it matters, else to LEFT_OUT.
 *
 * Errors:  HR_USAGE when a library does not fit that the GPU is of no use without, and the GPU was
 *          asked for; HR_SYS.
 */
int rt_gpu_libs_add(const struct rt_gpu *gpu, int host_root, int image_root, const char *image_path,
		    struct rt_memo *memo, struct rt_inject *in, struct hr_strv *warnings,
		    struct hr_strv *left_out, struct hr_err *e) HR_MUST_USE;

/* What a run with --gpu=all would do. */
struct rt_gpu_verdict {
	enum {
		RT_GPU_NONE,	/* there is none on this node */
		RT_GPU_REFUSED, /* it cannot be used here with any image */
		RT_GPU_MISFIT,	/* with this one */
		RT_GPU_FITS
	} state;
	struct hr_err why;	 /* unless it fits */
	struct hr_strv left_out; /* of what fits: libraries that do not, and why */
};

/*
 * Judge GPU, which rt_gpu_find has found for "all", or failed with NONE. The rest is as of
 * rt_gpu_libs_add.
 *
 * Owns:    *OUT; rt_gpu_verdict_release, also after an error.
 * Errors:  HR_SYS.
 */
int rt_gpu_libs_judge(const struct rt_gpu *gpu, const struct hr_err *none, int host_root,
		      int image_root, const char *image_path, struct rt_gpu_verdict *out,
		      struct hr_err *e) HR_MUST_USE;
void rt_gpu_verdict_release(struct rt_gpu_verdict *v);

#endif
