/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes for people: "1.23 GB", powers of 1000 as other container tools print them. Pure. */
#ifndef STORE_SIZE_H
#define STORE_SIZE_H

#include <stdint.h>

/* Three significant digits and a unit, B to EB; bytes below 1000 as they are. Returns BUF. */
#define STORE_SIZE_TEXT 16
char *store_size_text(uint64_t bytes, char buf[STORE_SIZE_TEXT]);

#endif
