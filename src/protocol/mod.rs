//! What clients say and hear: requests, replies, events, in the native and the proxy dialect.
