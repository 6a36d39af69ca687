/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of foresee.h that knows Python: of a module that is imported, what it imports, and what
 * that does. Private to store/foresee.c.
 *
 * Modules are found by the directories in which others were: a package's, and those that no package
 * is made of, which are where the interpreter looks. Nothing is known of a module of which there is
 * no compiled form, nor of imports that a function makes.
 *
 * Sequence: store_foresee_python_start(); from any thread store_foresee_python_found(), which does
 * not wait; it then lives as long as the process.
 */
#ifndef STORE_FORESEE_PYTHON_H
#define STORE_FORESEE_PYTHON_H

#include "store/foresee.h"

struct store_foresee_python;

/* NULL when there is no thread for it. IX and LIBRARIES, which is told of libraries among the
 * modules, are borrowed for ever. */
struct store_foresee_python *store_foresee_python_start(const struct store_index *ix,
							const struct store_foresee_source *from,
							struct store_foresee *libraries);
/* Somebody has looked NAME up in directory DIR, and it is there. P may be NULL. */
void store_foresee_python_found(struct store_foresee_python *p, uint32_t dir, const char *name);

#endif
