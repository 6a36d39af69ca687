/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun mpi-check: which MPI an image would run with, and why. */
#ifndef RT_CMD_MPI_CHECK_H
#define RT_CMD_MPI_CHECK_H

#include "util/opt.h"

extern const struct hr_cmd rt_cmd_mpi_check;

#endif
