//! What is looked into beyond the settings themselves, before anything is started or changed.

use crate::config::{Draft, Found, Side, TlsFiles};
use crate::connect::SystemAuthorities;
use crate::route::Routes;
use crate::telemetry::access_log;
use crate::{connect, server};

/// What is wrong with how routes stand to each other, with files for TLS, and with the access log. Each file is looked into, however
/// many of them are of no use. What is to be said of certificates that soon are of no use is found, too.
pub fn check(draft: &Draft) -> Found {
    let system = SystemAuthorities::default();
    let look = |files: &TlsFiles| match files.with {
        Side::Clients => server::check_files(files),
        Side::Backends => connect::check_files(files, &system),
    };
    let mut found = Found { flaws: Routes::check(draft), remarks: Vec::new() };
    found.extend(draft.files.iter().map(look));
    found.flaws.extend(draft.access_log.as_ref().and_then(|log| {
        let error = access_log::check(&log.path).err()?;
        let help = "name a file in a folder that exists and is ours";
        Some(log.flaw(&format_args!("cannot be opened for writing: {error}; {help}")))
    }));
    found
}
