//! A TCP proxy in front of PostgreSQL that cuts connections at critical moments.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

/// A batch of pings has many more bytes than this, messages of a login have fewer.
const BATCH: usize = 400;

/// Ends with the test process.
pub struct Proxy {
    pub address: SocketAddr,
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    /// Every n-th batch is cut off; 0: none.
    every: AtomicUsize,
    batches: AtomicUsize,
    cuts: AtomicUsize,
}

enum Cut {
    /// As soon as the statement has been sent.
    Sent,
    /// After the server has responded, so that the commit is done, but before the client gets the response.
    Answered,
}

impl Plan {
    /// What to do with these bytes on their way to the server.
    fn cut(&self, bytes: &[u8]) -> Option<Cut> {
        // `Bind` begins the messages of a batch, also if its statement is prepared already.
        if bytes.len() < BATCH || bytes[0] != b'B' {
            return None;
        }
        let (every, number) = (self.every.load(SeqCst), self.batches.fetch_add(1, SeqCst));
        if every == 0 || !number.is_multiple_of(every) {
            return None;
        }
        Some(if self.cuts.fetch_add(1, SeqCst).is_multiple_of(2) { Cut::Sent } else { Cut::Answered })
    }
}

impl Proxy {
    /// In front of a server at this port of 127.0.0.1.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let plan = Arc::new(Plan::default());
        let of_the_proxy = plan.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // If the server is down, so is the proxy.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    join(&client, &server, &of_the_proxy);
                }
            }
        });
        Self { address, plan }
    }

    /// Cuts every n-th batch from now on; 0: none.
    pub fn cut_every(&self, number: usize) {
        self.plan.every.store(number, SeqCst);
    }

    /// Number of cuts so far.
    pub fn cuts(&self) -> usize {
        self.plan.cuts.load(SeqCst)
    }
}

fn join(client: &TcpStream, server: &TcpStream, plan: &Arc<Plan>) {
    let swallow = Arc::new(AtomicBool::new(false));
    let (plan, both) = (plan.clone(), |stream: &TcpStream| stream.try_clone().unwrap());
    for stream in [client, server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from, to, silent) = (both(client), both(server), swallow.clone());
    thread::spawn(move || {
        pump(&from, &to, |bytes| {
            let cut = plan.cut(bytes);
            silent.store(matches!(cut, Some(Cut::Answered)), SeqCst);
            if matches!(cut, Some(Cut::Sent)) { After::CutForwarded } else { After::GoOn }
        });
    });
    let (from, to) = (both(server), both(client));
    thread::spawn(move || {
        pump(&from, &to, |_| if swallow.load(SeqCst) { After::CutSwallowed } else { After::GoOn });
    });
}

enum After {
    GoOn,
    CutForwarded,
    CutSwallowed,
}

/// Copies bytes until one side ends or the connection is cut; then both ends are closed.
fn pump(mut from: &TcpStream, mut to: &TcpStream, judge: impl Fn(&[u8]) -> After) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let after = judge(&buffer[..read]);
        if matches!(after, After::CutSwallowed)
            || to.write_all(&buffer[..read]).is_err()
            || matches!(after, After::CutForwarded)
        {
            break;
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
