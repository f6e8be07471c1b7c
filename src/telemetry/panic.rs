//! A panic is told as anything else is: the thread that panics may have clients, and those who see to its end must hear of it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;

use tracing::error;

/// From now on.
pub(super) fn tell() {
    panic::set_hook(Box::new(|panic| {
        error!("{}", in_one_line(panic));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            error!("the panic's backtrace:\n{trace}");
        }
    }));
}

fn in_one_line(panic: &PanicHookInfo<'_>) -> String {
    let (thread, message) = (thread::current(), panic.payload_as_str().unwrap_or("no message"));
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let name = thread.name().unwrap_or("without a name");
    format!("thread {name} panicked{place}: {}", message.replace('\n', " "))
}
