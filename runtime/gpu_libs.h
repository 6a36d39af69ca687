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

/*
 * Add to IN the libraries of GPU, and what they need of the host, as far as the image's C library
 * and its others have the symbol versions that they want. IMAGE_PATH is the image's
 * LD_LIBRARY_PATH, or NULL; MEMO as of rt_libtree_open. What does not fit is left out, and added to
 * WARNINGS if it matters.
 *
 * Errors:  HR_USAGE when a library does not fit that the GPU is of no use without, and the GPU was
 *          asked for; HR_SYS.
 */
int rt_gpu_libs_add(const struct rt_gpu *gpu, int host_root, int image_root, const char *image_path,
		    struct rt_memo *memo, struct rt_inject *in, struct hr_strv *warnings,
		    struct hr_err *e) HR_MUST_USE;

#endif
