//! Facts about the program: every setting present, typed and cross-checked.
//!
//! What the operator wrote is in [`Flags`], and in the files that those name; [`Sources::load`] makes a [`Config`] of it, and after
//! that nothing in it can be wrong. `Config` knows no runtime type.
//!
//! This is the door for who is outside. Inside, a module takes from those below it, and never from here.

mod access;
mod address;
mod admin;
mod backend;
mod draft;
mod duration;
mod elsewhere;
mod facts;
mod fault;
pub mod file;
mod files;
mod flags;
mod format;
mod heading;
mod host;
mod introduced;
mod listen;
mod load;
mod name;
mod nearest;
mod number;
mod origin;
mod path;
mod pattern;
mod plain;
mod pool;
mod problem;
mod reference;
mod resolve;
mod route;
mod said;
mod show;
mod size;
mod status;
mod switch;
mod tree;
mod watch;
mod written;

pub use access::{Access, AccessFlags, Lists, Networks, Rate};
pub use address::Address;
pub use admin::{Admin, AdminPlace, Token};
pub use backend::{
    BackendFlags, BackendTls, BackendUrl, ProxyVersion, Scheme, Trust, UrlError, is_ourselves,
};
pub use draft::{Authorities, Check, Draft, Flaw, Found, MOST_FLAWS, NamedFile, Place, Side, TlsFiles};
pub use duration::{DurationError, parse_duration};
pub use facts::{Config, Limits, Timeouts};
pub use file::File;
pub use files::kept_files;
pub use flags::{
    CONFIRM_TIMES, Command, ConfigTool, Flags, Form, NewWeight, Remote, Target, Tool, as_written,
    in_one_line, slips,
};
pub use format::{Format, STDIN, name_of};
pub use host::is_host;
pub use introduced::{Introduced, IntroducedFlags};
pub use listen::{ClientAuth, ClientCertificates, KeyPair, ListenFlags, Listener, ListenerId, Tls};
pub use load::{Loaded, PlaceError, Sources, read_text, refuse_nothing, says_nothing};
pub use nearest::nearest;
pub use number::{NumberError, parse_number};
pub use pattern::Pattern;
pub use plain::{MOST_FILE_BYTES, UTF8_MARK, read_file};
pub use pool::{
    Backend, Balancing, Checks, DEFAULT_POOL, HashKey, MOST_WEIGHT, PolicyName, Pool, Source, Sticky,
    policy_elsewhere,
};
pub use problem::{Problem, Problems};
pub use reference::{reference, schema};
pub use route::{
    Action, Changes, Condition, ErrorPage, HostMatch, Match, Mirror, Part, PathMatch, Retry, Route, Segment,
    Share, Split, Test, Treatment,
};
pub use show::{Converted, convert};
pub use size::{SizeError, parse_bytes, parse_bytes_per_second, parse_data_rate, parse_size};
pub use status::{StatusRange, Statuses};
pub use switch::{SwitchError, parse_switch};
pub use written::Written;
