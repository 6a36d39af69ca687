# unit tests of fetch
