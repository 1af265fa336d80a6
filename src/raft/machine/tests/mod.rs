//! Tests of the quorum machine: the table of roles and events, scenarios, hostile peers, and a
//! simulation that planted faults keep honest.

mod disk;
mod driver;
mod hostile;
mod ledger;
mod matrix;
mod reconfiguration;
mod replica;
mod scenarios;
mod simulation;
mod world;
