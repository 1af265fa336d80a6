//! The `blumfeld` program.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    blumfeld::cli::run(std::env::args_os())
}
