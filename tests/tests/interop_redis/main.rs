//! The Redis storage at real Redis servers.

mod interop_redis;
mod interop_redis_cluster;
mod interop_redis_late;
mod interop_redis_notices;
mod interop_redis_refusals;
mod interop_redis_tls;
mod interop_redis_trips;
mod interop_redis_trouble;
