//! Tests of the quorum machine: tables, scenarios and a simulation.

mod disk;
mod ledger;
mod simulation;
mod world;
