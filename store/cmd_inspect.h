/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun inspect of a squashfs or SIF file, or of one behind a URL. */
#ifndef STORE_CMD_INSPECT_H
#define STORE_CMD_INSPECT_H

#include "util/conf.h"
#include "util/err.h"

/* Print what the file says of itself, whether or not it can be run. Errors: of file_image.h. */
int store_cmd_inspect_file(const char *path, struct hr_err *e) HR_MUST_USE;
/* The same of the file at URL, of which some kilobytes are fetched. */
int store_cmd_inspect_url(const struct hr_conf *conf, const char *url,
			  struct hr_err *e) HR_MUST_USE;

#endif
