//! For tests of adapters of the ports here, also of adapters that others write.

pub mod contract;
