/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun inspect of a squashfs or SIF file. */
#ifndef STORE_CMD_INSPECT_H
#define STORE_CMD_INSPECT_H

#include "util/err.h"

/* Print what the file says of itself, whether or not it can be run. Errors: of file_image.h. */
int store_cmd_inspect_file(const char *path, struct hr_err *e) HR_MUST_USE;

#endif
