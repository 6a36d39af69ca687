/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun completion: the scripts that complete words in shells, and the words for them. */
#ifndef RT_CMD_COMPLETION_H
#define RT_CMD_COMPLETION_H

#include "util/opt.h"

extern const struct hr_cmd rt_cmd_completion;

#endif
