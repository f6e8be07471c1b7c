//! A server of names that says what it is told to.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// What is known of names: to be changed at any time.
#[derive(Default)]
struct Zone {
    records: Vec<(String, RData)>,
    ttl: u32,
    /// Says that it failed, whatever it is asked.
    fails: bool,
    questions: usize,
}

/// A server of names. It runs until the test ends.
pub struct Dns {
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

impl Dns {
    /// One that knows no name; what it says holds for a second.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        let zone = Arc::new(Mutex::new(Zone { ttl: 1, ..Zone::default() }));
        let known = Arc::clone(&zone);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).expect("a question");
                let answer = known.lock().unwrap().answer(question);
                // Who asked may have gone.
                let _ = socket.send_to(&answer.to_vec().expect("a message"), client);
            }
        });
        Self { address, zone }
    }

    /// From now on a name has these addresses, and no others.
    pub fn says(&self, name: &str, addresses: &[Ipv4Addr]) {
        self.set(name, addresses.iter().map(|address| RData::A(A(*address))).collect());
    }

    /// From now on a name has these services: priority, weight, port and target.
    pub fn serves(&self, name: &str, services: &[(u16, u16, u16, &str)]) {
        let service = |(priority, weight, port, target): &(u16, u16, u16, &str)| {
            RData::SRV(SRV::new(*priority, *weight, *port, Name::from_str(target).expect("a name")))
        };
        self.set(name, services.iter().map(service).collect());
    }

    /// Says that it failed, or does so no longer.
    pub fn fails(&self, fails: bool) {
        self.zone.lock().unwrap().fails = fails;
    }

    /// How often it was asked.
    pub fn questions(&self) -> usize {
        self.zone.lock().unwrap().questions
    }

    fn set(&self, name: &str, records: Vec<RData>) {
        let mut zone = self.zone.lock().unwrap();
        zone.records.retain(|(known, _)| known != name);
        zone.records.extend(records.into_iter().map(|record| (name.to_owned(), record)));
    }
}

impl Zone {
    fn answer(&mut self, question: Message) -> Message {
        self.questions += 1;
        let query = question.queries[0].clone();
        let mut answer = question.into_response();
        if self.fails {
            answer.metadata.response_code = ResponseCode::ServFail;
            return answer;
        }
        let name = query.name().to_utf8();
        let is_asked = |(known, data): &&(String, RData)| {
            *known == name
                && (data.record_type() == query.query_type() || query.query_type() == RecordType::ANY)
        };
        for (_, data) in self.records.iter().filter(is_asked) {
            answer.add_answer(Record::from_rdata(query.name().clone(), self.ttl, data.clone()));
        }
        answer
    }
}
