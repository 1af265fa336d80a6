//! Tests of the machines together: tables of rules, the table of roles, and a simulation.

mod simulation;
