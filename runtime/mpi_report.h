/* SPDX-License-Identifier: BSD-3-Clause */
/* What mpi-check prints: all that was found out of an image's MPI and the host's definitions. */
#ifndef RT_MPI_REPORT_H
#define RT_MPI_REPORT_H

#include "runtime/mpi.h"
#include "util/buf.h"

/* Append the report on M, all of whose definitions were tried, and which was chosen by MODE. */
void rt_mpi_report_text(const struct rt_mpi *m, const char *image, enum rt_mpi_mode mode,
			struct hr_buf *b);
void rt_mpi_report_json(const struct rt_mpi *m, const char *image, enum rt_mpi_mode mode,
			struct hr_buf *b);

#endif
