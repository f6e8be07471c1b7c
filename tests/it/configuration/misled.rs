//! What means something elsewhere, or nearly, and something else or nothing here.

use super::refused::is_told_once;

/// A file, where the first thing that is wrong with it stands, what is said of that, and how to mend it.
const TOML: &[(&str, &str, &str, &str)] = &[
    // Who looks these up takes them for addresses that nobody meant.
    (
        "[pools.a]\nbackends = ['10.0.1:80']",
        "2:13",
        "10.0.1:80: no address, and no name ends in a number",
        "write all four numbers of an address, without zeros before them: 10.0.0.1",
    ),
    (
        "[pools.a]\nbackends = ['https://010.0.0.1:80']",
        "2:13",
        "https://010.0.0.1:80: no address, and",
        "write",
    ),
    (
        "[pools.a]\ndiscover = ['dns:127.1:80']",
        "2:13",
        "dns:127.1:80: no address, and no name ends",
        "write all",
    ),
    (
        "[pools.a]\ndiscover = ['srv:_a._tcp.0x7f']",
        "2:13",
        "srv:_a._tcp.0x7f: no address, and no",
        "write all",
    ),
    (
        "[pools.a]\ndiscover = ['dns:10.0.0.1:80']",
        "2:13",
        "dns:10.0.0.1:80: an address, of which no name leads to more",
        "write it in backends",
    ),
    (
        "[routes.a]\npool = 'default'\nhost = '010.0.0.1'",
        "3:8",
        "010.0.0.1: no address, and no name",
        "write",
    ),
    (
        "[routes.a]\npool = 'default'\nhost = '*.0.1'",
        "3:8",
        "*.0.1: no address, and no name",
        "write all four",
    ),
    (
        "[pools.a]\ndiscover = ['dns:münchen.example:80']",
        "2:13",
        "dns:münchen.example:80: has letters beyond ASCII",
        "write the name in punycode: xn--...",
    ),
    (
        "[routes.a]\npool = 'default'\nhost = 'münchen.example'",
        "3:8",
        "münchen.example: has letters",
        "write the",
    ),
    (
        "[routes.a]\npool = 'default'\nhosts = ['a', '::1']",
        "3:15",
        "::1: an IPv6 address without brackets",
        "write it in them, without a port: [::1]",
    ),
    (
        "[listeners.a]\naddress = '::1:80'",
        "2:11",
        "::1:80: an IPv6 address without brackets",
        "write [::1]:80",
    ),
    // nginx's words for hosts and methods.
    ("[routes.a]\npool = 'default'\nhost = '_'", "3:8", "_: not a host", "leave it out for any"),
    (
        "[routes.a]\npool = 'default'\nhost = '.Example.com'",
        "3:8",
        ".Example.com: begins with a dot",
        "write *.example.com, and example.com beside it in hosts",
    ),
    ("[routes.a]\npool = 'default'\nhost = 'a..b'", "3:8", "a..b: not a host", "write a name without a port"),
    (
        "[routes.a]\npool = 'default'\nmethods = ['GET', '*']",
        "3:19",
        "*: not a method",
        "leave it out for any",
    ),
    ("[routes.a]\npool = 'default'\nmethods = ['any']", "3:12", "any: not a method", "leave it out for any"),
    (
        "dns_servers = ['2001:db8::7:53']\n[pools.a]\ndiscover = ['dns:a.example:80']",
        "1:16",
        "2001:db8::7:53: all of it is an address, which :53 is a part of",
        "write [2001:db8::7]:53",
    ),
    // Nothing where others mean any.
    (
        "[limits]\nbody_size = 0",
        "2:13",
        "0: too small: all that has a body would be refused",
        "leave it out for any",
    ),
    ("[limits]\nbody_size = '0KiB'", "2:13", "0KiB: too small: all that has a body", "leave it out for any"),
    ("[limits]\nheader_size = 0", "2:15", "0: too small", "use at least 8KiB"),
    ("[timeouts]\nheader = 0", "2:10", "0: expected more than zero and at most a year", ""),
    (
        "[routes.a]\npool = 'default'\npath = '/a/*'\nrewrite = '{rest}'",
        "4:11",
        "{rest}: nothing that a client could ask for",
        "write a path that begins with /, for",
    ),
    (
        "[routes.a]\npath = '/a/*'\nredirect = '{host}/{rest}'",
        "3:12",
        "{host}/{rest}: nothing that a client could ask for",
        "write https://HOST/PATH or /PATH, for",
    ),
    // Words for no access log, and for one that is no file.
    (
        "access_log = 'off'",
        "1:14",
        "off: would be a file of that name",
        "leave it out for none, write - for standard output, or ./off for that file",
    ),
    ("access_log = 'None'", "1:14", "None: would be a file of that name", "leave it out for none, "),
    ("access_log = 'stdout'", "1:14", "stdout: would be a file of that name", "leave it out for none, "),
    ("access_log = 'stderr'", "1:14", "stderr: would be a file of that name", "leave it out for none, "),
    (
        "[access]\nallow = [' 10.0.0.0/8']",
        "2:10",
        " 10.0.0.0/8: holds a blank",
        "remove it; each of several is in quotes of its own",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1 [::1]:2']",
        "2:13",
        "[::1]:1 [::1]:2: holds a blank",
        "remove it; each of several is in quotes of its own, or in a variable",
    ),
    (
        "[routes.a]\npool = 'default'\nerror_pages.'502, 503' = { body = 'x' }",
        "3:13",
        "502, 503: holds a blank",
        "remove it; between two is a comma alone",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\nhealth.path = '/ü<'",
        "3:15",
        "/ü<: has characters that a request cannot send as they are",
        "write /%C3%BC%3C",
    ),
];

/// The same in YAML.
const YAML: &[(&str, &str, &str, &str)] = &[
    // Who has not yet written whom to let in does not mean everybody.
    (
        "tls:\n  client_ca_file:\n",
        "2:17",
        "expected text in quotes, found nothing",
        "leave the key out, or write a value",
    ),
    (
        "limits:\n  rate: ~\n",
        "2:9",
        "expected text in quotes, found nothing",
        "leave the key out, or write a",
    ),
    (
        "limits: { body_size: }\n",
        "1:20",
        "expected a number and a unit in quotes, found nothing",
        "leave the",
    ),
    ("watch:\n", "1:6", "expected true or false, found nothing", "leave the key out, or write a value"),
    (
        "routes:\n  a:\n    pool: default\n    host:\n",
        "4:9",
        "expected text in quotes, found nothing",
        "leave the key out, or write a value",
    ),
    (
        "routes:\n  a: { pool: default, retry: { attempts: null } }\n",
        "2:42",
        "expected a whole number",
        "leave",
    ),
    ("routes:\n  a: { pool: default, headers: { X-A: } }\n", "2:37", "expected", "leave the key out, or"),
    ("listeners:\n  a:\n    address: [::]:80\n", "3:18", "", "write text in quotes"),
    ("listeners:\n  a: { address: [::]:80 }\n", "2:21", "", "write text in quotes"),
    (
        "routes:\n  a:\n    host: *.example.com\n",
        "3:11",
        "while parsing node, found unknown anchor",
        "write text in",
    ),
    ("routes:\n  a:\n    path: {x}/y\n", "3:14", "", "write text in quotes"),
    ("routes:\n  a:\n    path: %20\n", "3:11", "unexpected character: `%'", "write text in quotes"),
    ("routes:\n  a:\n    hosts: [*, b]\n", "3:13", "", "write text in quotes"),
];

#[test]
fn what_means_something_else_elsewhere_is_refused_with_what_to_write() {
    TOML.iter().for_each(|row| is_told_once("lb.toml", row));
    YAML.iter().for_each(|row| is_told_once("lb.yaml", row));
    let nothing =
        ("{\"limits\": {\"rate\": null}}", "1:21", "expected text in quotes, found nothing", "leave the key");
    is_told_once("lb.json", &nothing);
}
