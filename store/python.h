/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a compiled module of Python imports when it is imported itself: the names that the
 * instructions of its outermost block import, not those of its functions, which may never run.
 * Pure, of bytes that may be anybody's.
 *
 * For: foresee_python.c, which fetches those modules before they are asked for: what is wrong here
 * costs speed alone. Not for: where modules lie.
 */
#ifndef STORE_PYTHON_H
#define STORE_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_PYTHON_MAX     (1u << 20) /* bytes of the largest module looked at */
#define STORE_PYTHON_IMPORTS 4096	/* that are told of, of one module */

/* What an import statement names: a module, and with "from" one of the names it takes out of it. */
struct store_python_import {
	uint32_t level; /* dots in front; 0: from the top */
	const char *module;
	size_t module_len; /* 0: the package itself, "from . import x" */
	const char *name;  /* what may be a module in MODULE as well */
	size_t name_len;   /* 0: an import of MODULE alone */
};

/*
 * Calls EACH for what the compiled module in the N bytes at P imports: for each statement with the
 * module alone, then with each of the names that it takes out of it.
 *
 * Bounds:  N > STORE_PYTHON_MAX is refused; at most STORE_PYTHON_IMPORTS calls.
 * Owns:    the strings lie in P; they have no NUL behind them and may hold any bytes.
 * Returns: false, without a call, when it is no module of CPython 3.6 to 3.13, or a damaged one.
 * Source:  CPython: Lib/importlib/_bootstrap_external.py (the header), Python/marshal.c (objects),
 *          Lib/opcode.py (instructions).
 */
bool store_python_imports(const uint8_t *p, size_t n,
			  void (*each)(void *arg, const struct store_python_import *import),
			  void *arg);

#endif
