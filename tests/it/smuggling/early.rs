//! What is left of a body when its request is answered is not a request.

use super::HIDDEN;
use crate::support::{Backend, Client, Settings};

/// Heads of a request with a body.
const UPLOADS: [&str; 3] = [
    "POST / HTTP/1.1\r\nHost: a\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n",
];
/// Answers that come before it, whose backend waits for the rest of it.
const EARLY: [&str; 3] = [
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\npart",
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nwhole",
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
];

#[test]
fn a_page_in_place_of_an_early_answer_is_the_last_on_its_connection() {
    for early in EARLY {
        let backend = Backend::that(move |mut transport| {
            transport.send(early);
            transport.wait_for_end();
        });
        let balancer = Settings::that_say(&format!(
            "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n[routes.all]\npool = \"all\"\n\
             error_pages = {{ \"500\" = {{ body = \"a page\" }} }}\n\
             [pools.all]\nbackends = [\"{}\"]\nhealth = {{ path = \"/health\" }}\n",
            backend.address
        ));
        let balancer = balancer.balancer().start();
        for (number, upload) in UPLOADS.iter().enumerate() {
            let mut client = Client::to(balancer.address);
            client.send(format!("{upload}Content-Length: {}\r\n\r\n", 10 + HIDDEN.len()));
            if !upload.contains("Expect") {
                client.send("0123456789");
            }
            let answer = client.answer().expect_status(500);
            assert_eq!((answer.text(), answer.header("connection")), ("a page", Some("close")), "{upload}");
            // It may be parted from already.
            let _ = client.try_send(HIDDEN);
            assert_eq!(client.remains(), b"", "{upload}");
            assert_eq!(backend.requests(), number + 1, "{upload}");
        }
    }
}
