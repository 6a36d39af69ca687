/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs run, exec and shell. */
#ifndef RT_CMD_RUN_H
#define RT_CMD_RUN_H

#include "util/opt.h"

extern const struct hr_cmd rt_cmd_run, rt_cmd_exec, rt_cmd_shell;

#endif
