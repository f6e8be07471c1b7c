//! An operator who speaks with a balancer through its admin API.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Answer, Client, Running};

/// The admin API of a balancer.
pub struct Admin {
    /// Where it is.
    pub address: SocketAddr,
}

impl Running {
    /// The admin API that it says it has.
    pub fn admin(&self) -> Admin {
        Admin { address: super::program::address_in(&self.said("admin API on http")) }
    }

    /// Where the listener of this name is, as the admin API says.
    pub fn address_of(&self, name: &str) -> SocketAddr {
        let listeners = self.admin().get("/api/v1/listeners")["listeners"].clone();
        let mut listeners = listeners.as_array().expect("a list").iter();
        let listener = listeners.find(|listener| listener["name"] == name).expect("there is one");
        listener["address"].as_str().and_then(|address| address.parse().ok()).expect("an address")
    }
}

impl Admin {
    /// GETs something that is there.
    pub fn get(&self, path: &str) -> Value {
        body(&self.ask("GET", path, "", "").expect_status(200))
    }

    /// What is said of a backend in a pool of the name `all`.
    pub fn backend(&self, address: SocketAddr) -> Value {
        self.get(&backend(address))
    }

    /// Holds or weighs a backend in a pool of the name `all`.
    pub fn patch(&self, address: SocketAddr, patch: &str) -> Value {
        body(&self.ask("PATCH", &backend(address), JSON, patch).expect_status(200))
    }

    /// POSTs JSON.
    pub fn post(&self, path: &str, json: &str) -> Answer {
        self.ask("POST", path, JSON, json)
    }

    /// Sends a request with these header lines, each with its end.
    pub fn ask(&self, method: &str, path: &str, lines: &str, body: &str) -> Answer {
        let host = if lines.contains("Host:") { "" } else { "Host: localhost\r\n" };
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let mut client = Client::to(self.address);
        client.send(format!(
            "{method} {path} HTTP/1.1\r\n{host}{lines}{length}Connection: close\r\n\r\n{body}"
        ));
        let answer = client.head();
        if method == "HEAD" { answer } else { client.with_body(answer) }
    }
}

/// The header line of a JSON body.
pub const JSON: &str = "Content-Type: application/json\r\n";

/// The path of a backend in a pool of the name `all`.
pub fn backend(address: SocketAddr) -> String {
    format!("/api/v1/pools/all/backends/{address}")
}

/// The JSON of an answer.
pub fn body(answer: &Answer) -> Value {
    serde_json::from_str(answer.text()).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}
