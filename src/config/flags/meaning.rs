//! What flags say, as a file would say it: so there is one way from what was written to what it means.

use std::iter::repeat_n;
use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;

use super::Flags;
use crate::config::file::{self, Certificate, DataRate, File, Listener, Size, StatusText, Time, Word};
use crate::config::pool::DEFAULT_POOL;

impl Flags {
    /// All that these flags say.
    pub(in crate::config) fn to_file(&self) -> File {
        let mut file = File::default();
        self.add_process_wide(&mut file);
        self.add_listeners(&mut file);
        file.pools = IndexMap::from([(DEFAULT_POOL.to_owned(), self.pool())]);
        file
    }

    /// A flag that names a file by what is no text, if one does.
    pub(in crate::config) fn file_of_no_text(&self) -> Option<&'static str> {
        let (listen, backend) = (&self.listen, &self.backend);
        let files = [
            ("--access-log", self.access_log.as_slice()),
            ("--admin-token-file", self.admin_token_file.as_slice()),
            ("--tls-cert", &listen.tls_certs),
            ("--tls-key", &listen.tls_keys),
            ("--tls-client-ca", listen.tls_client_ca.as_slice()),
            ("--backend-ca", backend.backend_ca.as_slice()),
            ("--backend-cert", backend.backend_cert.as_slice()),
            ("--backend-key", backend.backend_key.as_slice()),
        ];
        let named = files.into_iter().find(|(_, files)| files.iter().any(|file| file.to_str().is_none()));
        named.map(|(flag, _)| flag)
    }

    /// What these flags say of the process as a whole. They win over what the file says.
    pub(in crate::config) fn add_process_wide(&self, file: &mut File) {
        let given = |flag| self.given.has(flag);
        put(&mut file.workers, given("--workers"), self.workers.map(as_u64));
        put(&mut file.log_level, given("--log-level"), Some(Word(self.log_level)));
        put(&mut file.access_log, given("--access-log"), self.access_log.as_deref().map(text));
        put(&mut file.request_id, given("--request-id"), self.request_id.clone());
        put(&mut file.watch, given("--watch"), Some(self.watch));
        put(&mut file.admin.address, given("--admin"), self.admin.clone());
        put(
            &mut file.admin.token_file,
            given("--admin-token-file"),
            self.admin_token_file.as_deref().map(text),
        );
        self.add_timeouts(&mut file.timeouts);
        self.add_limits(&mut file.limits);
        for (flag, list, said) in [
            ("--trusted-proxy", &mut file.access.trusted_proxies, &self.access.trusted_proxies),
            ("--allow", &mut file.access.allow, &self.access.allow),
            ("--deny", &mut file.access.deny, &self.access.deny),
            (
                "--proxy-protocol-from",
                &mut file.access.proxy_protocol_from,
                &self.introduced.proxy_protocol_from,
            ),
        ] {
            if given(flag) {
                list.clone_from(said);
            }
        }
    }

    fn add_timeouts(&self, timeouts: &mut file::Timeouts) {
        let add =
            |key: &mut Option<Time>, flag, said: Duration| put(key, self.given.has(flag), Some(Time(said)));
        add(&mut timeouts.header, "--header-timeout", self.header_timeout);
        add(&mut timeouts.connect, "--connect-timeout", self.connect_timeout);
        add(&mut timeouts.response, "--response-timeout", self.response_timeout);
        add(&mut timeouts.body, "--body-timeout", self.body_timeout);
        add(&mut timeouts.client_idle, "--client-idle-timeout", self.client_idle_timeout);
        add(&mut timeouts.backend_idle, "--backend-idle-timeout", self.backend_idle_timeout);
        add(&mut timeouts.tunnel_idle, "--tunnel-idle-timeout", self.tunnel_idle_timeout);
        put(&mut timeouts.notice, self.given.has("--notice-timeout"), self.notice_timeout.map(Time));
        add(&mut timeouts.drain, "--drain-timeout", self.drain_timeout);
        add(&mut timeouts.succession, "--succession-timeout", self.succession_timeout);
    }

    fn add_limits(&self, limits: &mut file::Limits) {
        let (given, access) = (|flag| self.given.has(flag), &self.access);
        put(&mut limits.header_size, given("--max-header-size"), Some(Size(self.max_header_size)));
        put(&mut limits.headers, given("--max-headers"), Some(as_u64(self.max_headers)));
        put(&mut limits.body_size, given("--max-body-size"), self.max_body_size.map(Size));
        put(&mut limits.connections, given("--max-connections"), self.max_connections.map(as_u64));
        let per_client = access.max_connections_per_client.map(as_u64);
        put(&mut limits.connections_per_client, given("--max-connections-per-client"), per_client);
        put(&mut limits.rate, given("--rate-limit"), access.rate_limit.clone());
        put(&mut limits.rate_burst, given("--rate-burst"), access.rate_burst.map(as_u64));
        put(&mut limits.total_rate, given("--total-rate-limit"), access.total_rate_limit.clone());
        put(&mut limits.min_data_rate, given("--min-data-rate"), access.min_data_rate.map(DataRate));
    }

    fn add_listeners(&self, file: &mut File) {
        let listen = &self.listen;
        let clear = listen.listen.iter().map(|address| (address, false));
        for (address, tls) in clear.chain(listen.tls_listen.iter().map(|address| (address, true))) {
            let mut name = address.clone();
            while file.listeners.contains_key(&name) {
                name.push_str(" again");
            }
            file.listeners.insert(name, Listener { address: Some(address.clone()), tls });
        }
        let count = listen.tls_certs.len().max(listen.tls_keys.len());
        let padded = |files: &[std::path::PathBuf]| -> Vec<_> {
            let files: Vec<_> = files.iter().map(|file| Some(text(file))).collect();
            let missing = count - files.len();
            files.into_iter().chain(repeat_n(None, missing)).collect()
        };
        let pairs = padded(&listen.tls_certs).into_iter().zip(padded(&listen.tls_keys));
        file.tls = Some(file::Tls {
            certificates: pairs.map(|(cert_file, key_file)| Certificate { cert_file, key_file }).collect(),
            client_ca_file: listen.tls_client_ca.as_deref().map(text),
            client_auth: listen.tls_client_auth.map(Word),
        });
    }

    /// All backends of the command line are one pool.
    fn pool(&self) -> file::Pool {
        let given = &self.backend;
        let statuses: Vec<_> = self.health_statuses.iter().cloned().map(StatusText).collect();
        file::Pool {
            policy: Some(Word(self.policy)),
            backends: given.backends.iter().map(file::Backend::at).collect(),
            proxy_protocol: given.backend_proxy_protocol.map(Word),
            health: file::Health {
                path: Some(self.health_path.clone()),
                host: self.health_host.clone(),
                statuses: (!statuses.is_empty()).then_some(statuses),
                interval: Some(Time(self.health_interval)),
                timeout: Some(Time(self.health_timeout)),
            },
            tls: file::BackendTls {
                ca_file: given.backend_ca.as_deref().map(text),
                name: given.backend_tls_name.clone(),
                cert_file: given.backend_cert.as_deref().map(text),
                key_file: given.backend_key.as_deref().map(text),
                insecure: given.backend_tls_insecure,
            },
            ..file::Pool::default()
        }
    }
}

fn put<T>(key: &mut Option<T>, is_given: bool, said: Option<T>) {
    if is_given && said.is_some() {
        *key = said;
    }
}

fn as_u64(number: usize) -> u64 {
    number as u64
}

/// The names of files that are no text were refused.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
