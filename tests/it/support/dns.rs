//! A server of names that says what it is told to.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// What is known of names: to be changed at any time.
#[derive(Default)]
struct Zone {
    records: Vec<(String, RData)>,
    ttl: u32,
    /// Says that it failed when it is asked for these.
    fails: Vec<RecordType>,
    /// Says that it failed when it is asked for this name.
    fails_at: Option<String>,
    /// Says nothing when it is asked for these.
    drops: Vec<RecordType>,
    /// Says nothing when it is asked for this name.
    drops_at: Option<String>,
    /// Says of all that is not known that there is no such name.
    denies: bool,
    /// Says first each time what it said last before.
    turns: bool,
    /// A question that is put again counts once.
    asked: HashSet<(Name, RecordType, u16)>,
}

/// A server of names. It runs until the test ends.
pub struct Dns {
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

impl Dns {
    /// One that knows no name; what it says holds for a second.
    pub fn start() -> Self {
        Self::on(UdpSocket::bind("127.0.0.1:0").expect("a free port"))
    }

    /// The same where a system looks for one, on port 53; none where we may not listen there, which is said.
    pub fn of_a_system() -> Option<Self> {
        let free = (1..=254).find_map(|last| UdpSocket::bind((Ipv4Addr::new(127, 53, 0, last), 53)).ok());
        if free.is_none() {
            eprintln!("this machine lets us not listen on port 53: nothing was tried");
        }
        free.map(Self::on)
    }

    fn on(socket: UdpSocket) -> Self {
        let address = socket.local_addr().expect("it is bound");
        let zone = Arc::new(Mutex::new(Zone { ttl: 1, ..Zone::default() }));
        let known = Arc::clone(&zone);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).expect("a question");
                let Some(answer) = known.lock().unwrap().answer(question) else { continue };
                // Who asked may have gone.
                let _ = socket.send_to(&answer.to_vec().expect("a message"), client);
            }
        });
        Self { address, zone }
    }

    /// From now on what it says holds for so many seconds.
    pub fn holds_for(&self, seconds: u32) {
        self.zone.lock().unwrap().ttl = seconds;
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

    /// From now on a name stands for another one.
    pub fn aliases(&self, name: &str, other: &str) {
        self.set(name, vec![RData::CNAME(CNAME(Name::from_str(other).expect("a name")))]);
    }

    /// From now on a name has these addresses of both families, and no others.
    pub fn says_both(&self, name: &str, ipv4: &[Ipv4Addr], ipv6: &[Ipv6Addr]) {
        let ipv6 = ipv6.iter().map(|address| RData::AAAA(AAAA(*address)));
        self.set(name, ipv4.iter().map(|address| RData::A(A(*address))).chain(ipv6).collect());
    }

    /// Says that it failed, whatever it is asked, or does so no longer.
    pub fn fails(&self, fails: bool) {
        let all = [RecordType::A, RecordType::AAAA, RecordType::SRV];
        self.fails_for(if fails { &all } else { &[] });
    }

    /// Says that it failed when it is asked for these.
    pub fn fails_for(&self, kinds: &[RecordType]) {
        self.zone.lock().unwrap().fails = kinds.to_vec();
    }

    /// Says that it failed when it is asked for this name.
    pub fn fails_at(&self, name: &str) {
        self.zone.lock().unwrap().fails_at = Some(name.to_owned());
    }

    /// Says nothing when it is asked for these.
    pub fn drops(&self, kinds: &[RecordType]) {
        self.zone.lock().unwrap().drops = kinds.to_vec();
    }

    /// Says nothing when it is asked for this name, if any.
    pub fn drops_at(&self, name: Option<&str>) {
        self.zone.lock().unwrap().drops_at = name.map(str::to_owned);
    }

    /// Says of names that it does not know that there are none, or only that they have nothing.
    pub fn denies(&self, denies: bool) {
        self.zone.lock().unwrap().denies = denies;
    }

    /// From now on turns its answers round each time that it is asked for addresses of IPv4.
    pub fn turns(&self) {
        self.zone.lock().unwrap().turns = true;
    }

    /// How often it was asked.
    pub fn questions(&self) -> usize {
        self.zone.lock().unwrap().asked.len()
    }

    /// How often it was asked for these.
    pub fn questions_for(&self, kind: RecordType) -> usize {
        self.zone.lock().unwrap().asked.iter().filter(|(_, asked, _)| *asked == kind).count()
    }

    fn set(&self, name: &str, records: Vec<RData>) {
        let mut zone = self.zone.lock().unwrap();
        zone.records.retain(|(known, _)| known != name);
        zone.records.extend(records.into_iter().map(|record| (name.to_owned(), record)));
    }
}

impl Zone {
    fn answer(&mut self, question: Message) -> Option<Message> {
        let query = question.queries[0].clone();
        self.asked.insert((query.name().clone(), query.query_type(), question.metadata.id));
        let mut name = query.name().to_utf8();
        if self.drops.contains(&query.query_type()) || self.drops_at.as_ref() == Some(&name) {
            return None;
        }
        let mut answer = question.into_response();
        if self.fails.contains(&query.query_type()) || self.fails_at.as_ref() == Some(&name) {
            answer.metadata.response_code = ResponseCode::ServFail;
            return Some(answer);
        }
        if self.denies && self.records.iter().all(|(known, _)| *known != name) {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        // As one does that looks for all that a name stands for, but not for ever.
        for _ in 0..3 {
            let mut alias = None;
            for (_, data) in self.records.iter().filter(|(known, _)| *known == name) {
                let is_asked = [data.record_type(), RecordType::ANY].contains(&query.query_type());
                if let (RData::CNAME(other), false) = (data, is_asked) {
                    alias = Some(other.to_utf8());
                }
                if is_asked || alias.is_some() {
                    let own = Name::from_str(&name).expect("a name");
                    answer.add_answer(Record::from_rdata(own, self.ttl, data.clone()));
                }
            }
            match alias {
                Some(other) => name = other,
                None => break,
            }
        }
        if self.turns && query.query_type() == RecordType::A && !self.records.is_empty() {
            self.records.rotate_left(1);
        }
        if answer.answers.is_empty() {
            // How long it holds that there is none (RFC 2308).
            let (zone, mail) = (Name::from_str("test.").unwrap(), Name::from_str("a.test.").unwrap());
            let soa = SOA::new(zone.clone(), mail, 1, 300, 300, 300, 300);
            answer.add_authority(Record::from_rdata(zone, 300, RData::SOA(soa)));
        }
        Some(answer)
    }
}
