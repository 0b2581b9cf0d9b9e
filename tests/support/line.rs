//! A TCP line to a server that can go bad: cut, silent, or slow.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

/// Ends with the test process.
pub struct Line {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Nothing goes through, and nobody is told.
    silent: bool,
    /// Before each piece.
    delay: Duration,
    open: Vec<TcpStream>,
}

impl Line {
    /// To a server at this address.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let of_the_line = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // The server may be away: then so are we.
                let Ok(server) = TcpStream::connect(server) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to, shared) = (from.try_clone().unwrap(), to.try_clone().unwrap(), of_the_line.clone());
                    shared.state.lock().unwrap().open.push(from.try_clone().unwrap());
                    thread::spawn(move || carry(&from, &to, &shared));
                }
            }
        });
        Self { address, shared }
    }

    /// From now on nothing goes through, in either direction, and no connection ends; or all goes on.
    pub fn silence(&self, silent: bool) {
        self.shared.state.lock().unwrap().silent = silent;
        self.shared.changed.notify_all();
    }

    /// From now on each piece takes so long.
    pub fn delay(&self, delay: Duration) {
        self.shared.state.lock().unwrap().delay = delay;
    }

    /// Ends all connections.
    pub fn cut(&self) {
        for stream in self.shared.state.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let state = shared.changed.wait_while(shared.state.lock().unwrap(), |state| state.silent).unwrap();
        let delay = state.delay;
        drop(state);
        // The line is slow: this is what it does, not a wait for something.
        thread::sleep(delay);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
