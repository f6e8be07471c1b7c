//! Settings as text again: as they were written, or with all that nobody wrote.

mod lasting;

use super::facts::Config;
use super::file::{Backend, Choices, File, Listener, Pool, Size, StatusText, Time, Tls, Word};
use super::flags::Given;
use super::format::Format;
use super::load::Loaded;
use super::origin::Origin;
use super::pool::{Balancing, DEFAULT_ADDRESSES, DEFAULT_POOL, HashKey, PolicyName};
use super::problem::Problems;
use super::resolve;
use super::route::Action;
use super::tree::{Node, Value, of_json, parse, read, unwritable, write};
use crate::telemetry::access_log::Destination;
use lasting::make_lasting;

impl Loaded {
    /// The settings as text: files and flags together, and with `effective` all defaults, too. Where a file names a
    /// variable of the environment its name is shown, for it may hold a secret.
    pub fn show(&self, effective: bool, format: Format) -> String {
        let mut file = self.file.clone();
        if self.origin.tree.is_none() {
            leave_out(&mut file, &self.origin.given);
            // Where there is a file there is an admin API as well, unless it says otherwise.
            if self.config.admin.is_none() {
                file.admin.address.get_or_insert_with(|| OFF.to_owned());
            }
        }
        if effective {
            fill(&mut file, &self.config);
        }
        let mut tree = to_tree(&file);
        if let Some(written) = &self.origin.tree {
            let (own, _) = read::<File>(&mut written.clone());
            hide(&mut tree, &to_tree(&own), written);
        }
        make_lasting(&mut tree, &self.origin);
        write(&tree, format)
    }

    /// These settings as they are in force, as `config` has them: some may wait for the next start.
    pub fn in_force(mut self, config: Config) -> Self {
        if self.config.workers != config.workers {
            self.file.workers = Some(config.workers.get() as u64);
            let connections = &mut self.file.limits.connections;
            *connections = connections.map(|_| config.limits.connections as u64);
        }
        if self.config.access_log != config.access_log {
            self.file.access_log = config.access_log.as_ref().map(|destination| match destination {
                Destination::Stdout => "-".to_owned(),
                Destination::File(path) => path.display().to_string(),
            });
        }
        self.config = config;
        self
    }
}

/// Where the admin API is if there is none.
const OFF: &str = "off";
/// The key of a backend that may stand for all of it.
const ADDRESS: &str = "address";

/// A text in another format.
pub struct Converted {
    /// It ends with its last line.
    pub text: String,
    /// The first name of a file in it that starts from the folder of the file which names it, if there is one.
    pub starts_from_folder: Option<String>,
}

/// A text in another format. Comments are lost, and settings that make no sense are taken over as they are.
///
/// # Errors
/// The text is not in its format, or says what the other one cannot.
pub fn convert(name: &str, text: &str, from: Format, to: Format) -> Result<Converted, Problems> {
    let tree = parse(text, 0, from).unless_foreign(text, from).whole();
    let wrong = match tree.map(|tree| (unwritable(&tree, to), tree)) {
        Ok((wrong, mut tree)) if wrong.is_empty() => {
            let text = write(&tree, to);
            return Ok(Converted { text, starts_from_folder: lasting::starts_from_folder(&mut tree) });
        }
        Ok((wrong, _)) | Err(wrong) => wrong,
    };
    Err(Problems::of(Origin::of_text(name, text, from).misread(&wrong)))
}

/// Settings as a tree, in which what means the same is the same.
fn to_tree(file: &File) -> Node {
    of_json(serde_json::to_value(file).expect("settings can be written as JSON"))
}

/// Puts names of variables back where what they stand for is. `own` is what was written, without what flags say.
fn hide(shown: &mut Node, own: &Node, written: &Node) {
    // A flag may have said something else.
    if written.written.is_some() && shown.shown() == own.shown() {
        return shown.clone_from(written);
    }
    match (&mut shown.value, &own.value, &written.value) {
        (Value::Table(shown), Value::Table(own), Value::Table(written)) => {
            for (key, entry) in written {
                match (shown.get_mut(key), own.get(key)) {
                    (Some(shown), Some(own)) => hide(&mut shown.node, &own.node, &entry.node),
                    // It says the same as nothing, but with another value of its variable it would not.
                    (None, None) if has_variable(&entry.node) => {
                        shown.insert(key.clone(), entry.clone());
                    }
                    _ => {}
                }
            }
        }
        (Value::List(shown), Value::List(own), Value::List(written)) => {
            let all = shown.iter_mut().zip(own).zip(written);
            all.for_each(|((shown, own), written)| hide(shown, own, written));
        }
        // A backend of which nothing but its address was said.
        (Value::Table(shown), Value::Text(_), _) if shown.contains_key(ADDRESS) => {
            if let Some(address) = shown.get_mut(ADDRESS) {
                hide(&mut address.node, own, written);
            }
        }
        (_, Value::Text(_), Value::Table(written)) => {
            if let Some(address) = written.get(ADDRESS) {
                hide(shown, own, &address.node);
            }
        }
        _ => {}
    }
}

fn has_variable(node: &Node) -> bool {
    node.written.is_some()
        || match &node.value {
            Value::List(list) => list.iter().any(has_variable),
            Value::Table(table) => table.values().any(|entry| has_variable(&entry.node)),
            _ => false,
        }
}

/// Leaves out what flags say that nobody wrote, save for the backends: without them it would be no pool.
fn leave_out(file: &mut File, given: &Given) {
    file.tls.take_if(|tls| *tls == Tls::default());
    for pool in file.pools.values_mut() {
        pool.policy.take_if(|_| !given.has("--policy"));
        pool.health.path.take_if(|_| !given.has("--health-path"));
        pool.health.interval.take_if(|_| !given.has("--health-interval"));
        pool.health.timeout.take_if(|_| !given.has("--health-timeout"));
    }
}

/// Sets all that has a default to what it is.
fn fill(file: &mut File, config: &Config) {
    file.workers.get_or_insert(config.workers.get() as u64);
    file.log_level.get_or_insert(Word(config.log_level));
    file.watch.get_or_insert(config.watch);
    if file.listeners.is_empty() {
        let listener = |listener: &super::listen::Listener| {
            let address = Some(listener.address.to_string());
            (listener.name.to_string(), Listener { address, tls: listener.tls })
        };
        file.listeners = config.listeners.iter().map(listener).collect();
    }
    let (timeouts, set) = (&mut file.timeouts, &config.timeouts);
    for (key, time) in [
        (&mut timeouts.header, set.header),
        (&mut timeouts.connect, set.connect),
        (&mut timeouts.response, set.response),
        (&mut timeouts.body, set.body),
        (&mut timeouts.client_idle, set.client_idle),
        (&mut timeouts.backend_idle, set.backend_idle),
        (&mut timeouts.tunnel_idle, set.tunnel_idle),
        (&mut timeouts.drain, set.drain),
        (&mut timeouts.succession, set.succession),
    ] {
        key.get_or_insert(Time(time));
    }
    file.limits.header_size.get_or_insert(Size(config.limits.header_size as u64));
    file.limits.headers.get_or_insert(config.limits.headers as u64);
    file.limits.connections.get_or_insert(config.limits.connections as u64);
    let admin = config.admin.as_ref().map_or_else(|| OFF.to_owned(), |admin| admin.address.to_string());
    file.admin.address.get_or_insert(admin);
    if file.pools.is_empty() {
        let backends = DEFAULT_ADDRESSES.map(Backend::at).into();
        file.pools.insert(DEFAULT_POOL.to_owned(), Pool { backends, ..Pool::default() });
    }
    for (pool, config) in file.pools.values_mut().zip(&config.pools) {
        fill_pool(pool, config);
    }
    if file.routes.is_empty() {
        let pool = file.pools.keys().next().cloned();
        let route = super::file::Route { pool, ..super::file::Route::default() };
        file.routes.insert(DEFAULT_POOL.to_owned(), route);
    }
    for (route, config) in file.routes.values_mut().zip(&config.routes) {
        route.priority.get_or_insert(config.when.priority);
        if matches!(config.action, Action::Forward(_)) {
            route.retry.attempts.get_or_insert(config.treatment.retry.attempts.get().into());
        }
    }
}

fn fill_pool(pool: &mut Pool, config: &super::pool::Pool) {
    fill_balancing(pool, &config.balancing);
    pool.health.path.get_or_insert_with(|| config.health.path.clone());
    let statuses = || config.health.statuses.listed().into_iter().map(StatusText).collect();
    // What does nothing is not to be written.
    if !config.health.is_grpc() {
        pool.health.statuses.get_or_insert_with(statuses);
    }
    pool.health.interval.get_or_insert(Time(config.health.interval));
    pool.health.timeout.get_or_insert(Time(config.health.timeout));
    for (backend, config) in pool.backends.iter_mut().zip(&config.backends) {
        backend.0.weight.get_or_insert(config.weight.into());
        backend.0.tier.get_or_insert(config.tier);
    }
}

/// A key that does not count is none that can be written.
fn fill_balancing(pool: &mut Pool, balancing: &Balancing) {
    let counts = |key| resolve::counts(key, balancing.policy);
    let overflows = resolve::overflows(pool) && balancing.policy != PolicyName::First;
    pool.policy.get_or_insert(Word(balancing.policy));
    if counts("hash_key") {
        pool.hash_key.get_or_insert_with(|| match &balancing.hash_key {
            HashKey::Client => "client".to_owned(),
            HashKey::Path => "path".to_owned(),
            HashKey::Header(name) => format!("header:{name}"),
            HashKey::Cookie(name) => format!("cookie:{name}"),
            HashKey::Query(name) => format!("query:{name}"),
        });
    }
    if counts("choices") {
        pool.choices.get_or_insert(match balancing.choices {
            Some(choices) => Choices::Some(choices.get().into()),
            None => Choices::All,
        });
    }
    if counts("decay") {
        pool.decay.get_or_insert(Time(balancing.decay));
    }
    if overflows {
        pool.overflow.get_or_insert(balancing.overflow.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::config::{Flags, Format, Sources, schema};

    use super::super::tree::write;

    /// Where the tables are whose keys have defaults.
    const TABLES: [(&str, &str); 6] = [
        ("", ""),
        ("/$defs/Timeouts", "/timeouts"),
        ("/$defs/Limits", "/limits"),
        ("/$defs/Admin", "/admin"),
        ("/$defs/Pool", "/pools/0"),
        ("/$defs/Health", "/pools/0/health"),
    ];
    /// Each default of a pool counts with some policy.
    const POLICIES: [&str; 4] = ["", "policy = \"ring\"", "policy = \"p2c\"", "policy = \"peak_ewma\""];

    #[test]
    fn the_defaults_that_are_documented_are_those_that_are_taken() {
        let flags = Flags::read(["loadbalancer".into()]).expect("no flags are flags");
        let pool = |(number, policy): (usize, &&str)| {
            let backend = "backends = [{ address = \"[::1]:1\", tier = 1 }]";
            format!("[pools.{number}]\n{backend}\n{policy}\n")
        };
        let pools: String = POLICIES.iter().enumerate().map(pool).collect();
        let text = format!("{pools}[routes.all]\npool = \"0\"");
        let loaded = Sources::new(flags, 4096).read(text.as_bytes(), Format::Toml).expect("nothing is wrong");
        let shown: Value = serde_json::from_str(&loaded.show(true, Format::Json)).expect("JSON");
        let schema = schema().to_value();
        let mut seen = 0;
        for (definition, table) in TABLES {
            let properties = &schema.pointer(definition).expect("a table")["properties"];
            for (key, property) in properties.as_object().expect("keys") {
                let text = property["description"].as_str().unwrap_or_default();
                let Some((_, default)) = text.rsplit_once("Default: ") else { continue };
                let Ok(default) = serde_json::from_str::<Value>(default) else { continue };
                let of_pool = |number| shown.pointer(&format!("{table}/{key}").replace('0', number));
                let taken = ["0", "1", "2", "3"].into_iter().find_map(of_pool).unwrap_or(&Value::Null);
                let same = *taken == default || (taken == "1m" && default == "60s");
                assert!(same, "{table}/{key}: {taken} is taken, and {default} documented");
                seen += 1;
            }
        }
        assert!(seen >= 18, "only {seen} were looked at");
    }

    #[test]
    fn settings_that_have_more_values_than_a_text_may_have_are_shown() {
        let backends = vec!["127.0.0.1:1"; 200_001];
        let file = serde_json::json!({ "pools": { "all": { "backends": backends } } });
        let file = serde_json::from_value(file).expect("it is of settings");
        let shown = super::to_tree(&file);
        assert_eq!(write(&shown, Format::Json).matches("127.0.0.1:1").count(), 200_001);
    }
}
