//! The least that can answer through the broker: it reads frames, writes the acknowledgement and a fixed
//! reply, and knows nothing else. One thread, blocking, one write for everything that came in one read. It
//! asks for no receipts, which whoever must not be stopped by a client that does not read has to; measured
//! apart, those cost it nothing that could be told from noise (docs/performance.md).

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread::JoinHandle,
};

use super::process::{Broker, ECHO_QUEUE};

/// The responder. Dropping it ends it.
pub(super) struct Echo {
    stream: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Logs in as the server does, and answers every request with this text. Requests are acknowledged one
    /// by one, with the same prefetch as the server's.
    pub(super) fn start(broker: &Broker, reply: String) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let password = broker.password("beamq");
        let hello = format!(
            "CONNECT\naccept-version:1.2\nhost:localhost\nlogin:beamq\npasscode:{password}\n\n\0\
             SUBSCRIBE\nid:0\ndestination:/queue/{ECHO_QUEUE}\nack:client-individual\nactivemq.prefetchSize:32\nreceipt:in\n\n\0"
        );
        stream.write_all(hello.as_bytes()).unwrap();
        let mut answering = stream.try_clone().unwrap();
        let mut unread = Vec::new();
        // CONNECTED, and the receipt of the subscription.
        for _ in 0..2 {
            while first_frame(&unread).is_none() {
                assert!(read_more(&mut answering, &mut unread), "the broker refuses the echo");
            }
            let end = first_frame(&unread).unwrap();
            assert!(!unread[..end].windows(5).any(|part| part == b"ERROR"), "the broker refuses the echo");
            unread.drain(..=end);
        }
        let thread = std::thread::spawn(move || answer(&mut answering, unread, &reply));
        Self { stream, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).ok();
        self.thread.take().map(JoinHandle::join);
    }
}

fn answer(stream: &mut TcpStream, mut unread: Vec<u8>, reply: &str) {
    let mut answers = Vec::new();
    loop {
        let mut done = 0;
        while let Some(length) = first_frame(&unread[done..]) {
            answer_one(&unread[done..done + length], reply, &mut answers);
            done += length + 1;
        }
        unread.drain(..done);
        if stream.write_all(&answers).is_err() {
            return;
        }
        answers.clear();
        if !read_more(stream, &mut unread) {
            return;
        }
    }
}

/// Header values are sent back as they came: escaped.
fn answer_one(frame: &[u8], reply: &str, answers: &mut Vec<u8>) {
    let head = frame.windows(2).position(|pair| pair == b"\n\n").map_or(frame, |end| &frame[..end]);
    let value = |name: &[u8]| {
        head.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name)).unwrap_or_default()
    };
    for part in [
        b"ACK\nid:",
        value(b"ack:"),
        b"\n\n\0SEND\ndestination:",
        value(b"reply-to:"),
        b"\ncorrelation-id:",
        value(b"correlation-id:"),
        b"\n\n",
        reply.as_bytes(),
        b"\0",
    ] {
        answers.extend_from_slice(part);
    }
}

/// Where the first frame ends, if it is whole. Bodies here are text without NUL.
fn first_frame(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == 0)
}

fn read_more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> bool {
    let begin = unread.len();
    unread.resize(begin + 64 * 1024, 0);
    let read = stream.read(&mut unread[begin..]).unwrap_or(0);
    unread.truncate(begin + read);
    read > 0
}
