/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Functions that nobody in this tree may call. The last include of every .c file, because a system
 * header that mentions a poisoned name after it would not compile.
 */
#ifndef HR_POISON_H
#define HR_POISON_H

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol atoll
#pragma GCC poison system popen gmtime localtime gets mktemp tmpnam

#endif
