# Unit tests: one file of stanzas per module, so that each links its own layer and below, nothing else.
if TESTS_ENABLED
include tests/unit/util.mk
include tests/unit/fetch.mk
include tests/unit/store.mk
include tests/unit/serve.mk
include tests/unit/runtime.mk

# Runs inside images of any kind: static, and without the flags of the product.
check_PROGRAMS += tests/lib/treedump
tests_lib_treedump_SOURCES = tests/lib/treedump.c
tests_lib_treedump_CFLAGS = -std=gnu11 -Wall -Wextra
tests_lib_treedump_LDFLAGS = -static
endif

EXTRA_DIST += tests/install-deps tests/bench/mkimage tests/lib/oci.py
