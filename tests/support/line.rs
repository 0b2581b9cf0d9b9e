//! A TCP proxy with faults: cut, silent, or slow.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
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
    connections: Mutex<Vec<Connection>>,
    /// Delay of each piece in milliseconds.
    delay: AtomicU64,
}

struct Connection {
    ends: [TcpStream; 2],
    is_silent: Arc<AtomicBool>,
}

impl Line {
    /// A proxy to a server at this address.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let of_the_line = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // If the server is down, so is the proxy.
                let Ok(server) = TcpStream::connect(server) else { continue };
                let is_silent = Arc::<AtomicBool>::default();
                let both = |stream: &TcpStream| stream.try_clone().unwrap();
                for (from, to) in [(both(&client), both(&server)), (both(&server), both(&client))] {
                    let (shared, is_silent) = (of_the_line.clone(), is_silent.clone());
                    thread::spawn(move || carry(&from, &to, &shared.delay, &is_silent));
                }
                of_the_line.connections.lock().unwrap().push(Connection { ends: [client, server], is_silent });
            }
        });
        Self { address, shared }
    }

    /// Existing connections transfer nothing any more, and stay open.
    pub fn silence(&self) {
        for connection in &*self.shared.connections.lock().unwrap() {
            connection.is_silent.store(true, SeqCst);
        }
    }

    /// From now on, each piece is delayed by this time.
    pub fn delay(&self, delay: Duration) {
        self.shared.delay.store(u64::try_from(delay.as_millis()).unwrap(), SeqCst);
    }

    /// Closes the existing connections.
    pub fn cut(&self) {
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            for end in connection.ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, delay: &AtomicU64, is_silent: &AtomicBool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        // Not a wait for a condition: this simulates a slow line.
        thread::sleep(Duration::from_millis(delay.load(SeqCst)));
        if !is_silent.load(SeqCst) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    if !is_silent.load(SeqCst) {
        for stream in [from, to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
