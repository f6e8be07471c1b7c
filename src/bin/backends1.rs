//! The sample backend on port 3000.

use std::process::ExitCode;

use loadbalancer::demo;

fn main() -> ExitCode {
    demo::main("backends1", 3000)
}
