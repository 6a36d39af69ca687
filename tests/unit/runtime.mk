# unit tests of runtime
