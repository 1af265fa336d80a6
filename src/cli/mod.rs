//! The commands of the `blumfeld` program. Each is a library function that is given the world
//! outside and where to print; `main` parses the command line and picks one.

pub mod dump_log;
