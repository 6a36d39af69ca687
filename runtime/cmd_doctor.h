/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun doctor: whether this machine lets hpcrun work, and what to do if not. */
#ifndef RT_CMD_DOCTOR_H
#define RT_CMD_DOCTOR_H

#include "util/opt.h"

extern const struct hr_cmd rt_cmd_doctor;

#endif
