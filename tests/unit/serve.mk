# unit tests of the reading half of store
check_PROGRAMS += tests/unit/test_store_index
TESTS += tests/unit/test_store_index
tests_unit_test_store_index_SOURCES = tests/unit/test_store_index.c
tests_unit_test_store_index_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_store_index_LDADD = libstore.a libutil.a $(CMOCKA_LIBS)
