//! A client of the server, over STOMP, as the command line, the benchmarks and the tests use it.
