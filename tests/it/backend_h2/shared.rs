//! How many requests share how many connections.

use h2::server::Builder;
use hyper::{Request, Response, StatusCode};
use tokio::sync::watch;

use crate::support::h2_backend::H2Backend;
use crate::support::{Balancer, Client, Http2, Settings, get, until};

use super::before;

/// A backend that answers none before all of so many have come, and takes so many at a time on a connection.
fn all_at_once(count: usize, most_streams: u32) -> H2Backend {
    let (come, all) = watch::channel(0);
    let come = std::sync::Arc::new(come);
    H2Backend::with(Builder::new().max_concurrent_streams(most_streams), None, move |exchange| {
        let (come, mut all) = (std::sync::Arc::clone(&come), all.clone());
        async move {
            come.send_modify(|come| *come += 1);
            let _ = all.wait_for(|come| *come >= count).await;
            exchange.answer(StatusCode::OK, "ok");
        }
    })
}

fn ask_all_at_once(backend: &H2Backend, count: usize) {
    let balancer = before(&[backend]);
    let mut clients: Vec<_> = (0..count).map(|_| Client::to(balancer.address)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().expect_status(200).text(), "ok");
    }
    until("all came", || backend.requests() == count);
}

#[test]
fn many_requests_at_a_time_share_one_connection() {
    let backend = all_at_once(64, 100);
    ask_all_at_once(&backend, 64);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn more_requests_than_a_backend_takes_on_one_connection_get_more_of_them() {
    for (count, most, connections) in [(64, 10, 7), (8, 1, 8), (210, 1000, 3)] {
        let backend = all_at_once(count, most);
        ask_all_at_once(&backend, count);
        let made = backend.connections();
        assert!((connections..=connections + 1).contains(&made), "{made} for {count} of {most}");
    }
}

#[test]
fn requests_one_after_the_other_stay_on_one_connection() {
    let backend = all_at_once(1, 1);
    let balancer = before(&[&backend]);
    let mut client = Client::to(balancer.address);
    for _ in 0..20 {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        client.answer().expect_status(200);
    }
    assert_eq!((backend.connections(), backend.requests()), (1, 20));
}

#[test]
fn an_upload_that_took_the_last_place_goes_on_though_others_look_for_one() {
    let backend =
        H2Backend::with(Builder::new().max_concurrent_streams(1), None, |mut exchange| async move {
            let mut body = Vec::new();
            while let Some(Ok(data)) = exchange.body.data().await {
                body.extend_from_slice(&data);
            }
            exchange.answer(StatusCode::OK, body);
        });
    let balancer = Balancer::before(&[]).flag("--health-interval", "1h").flag("--backend", &backend.url());
    let balancer = balancer.flag("--workers", "1").flag("--response-timeout", "3s").start();
    let mut client = Http2::to(balancer.address);
    client.get("/").expect_status(200);
    for _ in 0..5 {
        // All have come when it looks.
        balancer.signal("STOP");
        let post = || Request::post("http://test/").body(()).unwrap();
        let mut streams = [(); 8].map(|()| client.begin(post()));
        streams.iter_mut().for_each(|stream| stream.send("hello", true).unwrap());
        balancer.signal("CONT");
        for stream in &mut streams {
            assert_eq!(stream.answer().expect_status(200).text(), "hello");
        }
    }
}

#[test]
fn a_connection_whose_limits_a_reload_changes_carries_no_other_request() {
    let backend = H2Backend::that(|exchange| async move {
        let mut response = Response::builder();
        if exchange.head.uri().path() == "/long" {
            for number in 0..120 {
                response = response.header(format!("x-{number}"), "y");
            }
        }
        let mut back = exchange.back;
        back.send_response(response.body(()).unwrap(), true).unwrap();
    });
    let text = |lines: usize| {
        format!(
            "limits.headers = {lines}\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
             [pools.all]\nbackends = [\"{}\"]\n",
            backend.url()
        )
    };
    let settings = Settings::that_say(&text(100));
    let balancer = settings.balancer().start();
    get(balancer.address, "/long").expect_status(502);
    settings.change(&balancer, &text(200));
    until("others hold", || get(balancer.address, "/long").status == 200);
    get(balancer.address, "/long").expect_status(200);
}
