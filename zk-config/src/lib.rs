//! Live configuration from ZooKeeper (being written).
