//! The process entry: opens an instance, listens, and says where.
