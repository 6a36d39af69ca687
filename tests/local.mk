# Unit tests: one file of stanzas per module, so that each links its own layer and below, nothing else.
if TESTS_ENABLED
include tests/unit/util.mk
include tests/unit/fetch.mk
include tests/unit/store.mk
include tests/unit/serve.mk
include tests/unit/runtime.mk
endif
