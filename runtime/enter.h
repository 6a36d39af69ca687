/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a joined session to the running program, in this process.
 */
#ifndef RT_ENTER_H
#define RT_ENTER_H

#include "runtime/join.h"
#include "runtime/plan.h"
#include "util/err.h"

/*
 * Enter the namespaces, choose the working directory, close what is not the program's, give up
 * privilege, and execute the command of PLAN or of the image. Single-threaded callers only (setns).
 *
 * Returns only on failure, with *e filled: HR_EXIT_NOTFOUND or HR_EXIT_NOEXEC when the command
 * cannot be executed, -1 for any other.
 */
int rt_enter(struct rt_plan *plan, struct rt_joined *j, struct hr_err *e);

#endif
