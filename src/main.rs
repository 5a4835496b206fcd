//! The `cardwatch` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    cardwatch::cli::main()
}
