//! A word that a test gives and a backend's script waits for.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::PATIENCE;

/// What a script waits at. Each opening lets one wait pass.
pub struct Gate(Mutex<Receiver<()>>);

/// Opens a gate.
#[derive(Clone)]
pub struct Opener(Sender<()>);

/// A gate and what opens it.
pub fn gate() -> (Opener, Gate) {
    let (opener, gate) = channel();
    (Opener(opener), Gate(Mutex::new(gate)))
}

impl Gate {
    /// Waits until it is opened.
    pub fn wait(&self) {
        self.0.lock().unwrap().recv_timeout(PATIENCE).expect("the gate is opened");
    }
}

impl Opener {
    /// Lets one wait pass, be it before or after this.
    pub fn open(&self) {
        self.0.send(()).expect("the gate is still there");
    }
}
