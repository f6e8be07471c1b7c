//! The sample backend on port 3001.

use std::process::ExitCode;

use loadbalancer::demo;

fn main() -> ExitCode {
    demo::main("backends2", 3001)
}
