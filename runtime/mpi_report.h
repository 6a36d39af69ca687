/* SPDX-License-Identifier: BSD-3-Clause */
/* What mpi-check prints: all that was found out of an image's MPI and the host's definitions, and
 * whether the libraries of the host's GPUs fit. */
#ifndef RT_MPI_REPORT_H
#define RT_MPI_REPORT_H

#include "runtime/gpu_libs.h"
#include "runtime/mpi.h"
#include "util/buf.h"

/* Append the report on M, all of whose definitions were tried, and which was chosen by MODE; and
 * the VERDICT on GPU. */
void rt_mpi_report_text(const struct rt_mpi *m, const char *image, enum rt_mpi_mode mode,
			const struct rt_gpu *gpu, const struct rt_gpu_verdict *verdict,
			struct hr_buf *b);
void rt_mpi_report_json(const struct rt_mpi *m, const char *image, enum rt_mpi_mode mode,
			const struct rt_gpu *gpu, const struct rt_gpu_verdict *verdict,
			struct hr_buf *b);

#endif
