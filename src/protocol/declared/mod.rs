//! Messages that the message library lacks, or whose newest version it lacks, declared as Kafka's
//! schemas declare them. Their shapes come from the declarations.

mod api_versions;
mod brokers_and_voters;
mod log_dirs;
mod offsets;
mod share_groups;
mod streams_groups;
mod transactions;

pub use api_versions::*;
pub use brokers_and_voters::*;
pub use log_dirs::*;
pub use offsets::*;
pub use share_groups::*;
pub use streams_groups::*;
pub use transactions::*;
