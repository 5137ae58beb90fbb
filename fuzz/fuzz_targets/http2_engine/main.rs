//! Crate corelane-http2: frames, cut into pieces, and commands of its caller between them.
//!
//! Two connections get the same, but one of them in other pieces: events and output are the same. `client.rs` says
//! what the output may be, `server.rs` what the events may be, and `memory.rs` what a connection may hold.

#![no_main]

mod caller;
mod client;
mod command;
mod frame;
mod memory;
mod server;

use corelane::fuzzing::pieces;
use corelane_fuzz::{Frame, Request};
use corelane_http2::Config;
use corelane_test_frames::{PREFACE, settings};
use libfuzzer_sys::{arbitrary::Arbitrary, fuzz_target};

use crate::{
    client::Client,
    command::{Command, choose},
    memory::{FRAME, LIST, STREAMS, TABLE},
    server::Server,
};

#[derive(Arbitrary, Debug)]
struct Input {
    limits: Limits,
    /// The sizes of the pieces, in turns.
    sizes: [u8; 3],
    moves: Vec<Move>,
}

/// The limits of the server, of which each number chooses one.
#[derive(Arbitrary, Debug)]
struct Limits {
    streams: u8,
    list: u8,
    table: u8,
    frame: u8,
    stream_window: u8,
    connection_window: u8,
    errors: u8,
    extended_connect: bool,
}

#[derive(Arbitrary, Debug)]
enum Move {
    Request(Request),
    Frame(Frame),
    /// The server receives all frames so far.
    Sent,
    /// It does not receive the last bytes.
    SentBut(u8),
    Command(Command),
    /// The transport takes so many bytes.
    Transmit(u16),
}

impl Limits {
    fn config(&self) -> Config {
        Config::default()
            .max_concurrent_streams(choose(&[3, 1, STREAMS], self.streams))
            .max_header_list_size(choose(&[LIST, 100, 0], self.list))
            .header_table_size(choose(&[4096, 0, 100, TABLE], self.table))
            .max_frame_size(choose(&[16_384, FRAME], self.frame))
            .initial_stream_window_size(choose(&[65_535, 0, 1, 1000, 200_000], self.stream_window))
            .initial_connection_window_size(self.connection_window())
            .max_stream_errors(choose(&[100, 0, 3], self.errors))
            .extended_connect(self.extended_connect)
    }

    fn connection_window(&self) -> u32 {
        choose(&[65_535, 100_000], self.connection_window)
    }
}

fuzz_target!(|input: Input| {
    let config = input.limits.config();
    let (mut whole, mut cut) = (Server::new(config), Server::new(config));
    let mut client = Client::new(input.limits.connection_window().into());
    let sizes = input.sizes.map(usize::from);
    let mut sent = [PREFACE, &settings(&[])].concat();
    for next in &input.moves {
        let kept = match next {
            Move::Request(request) => {
                request.write(&mut sent);
                continue;
            }
            Move::Frame(frame) => {
                frame.write(&mut sent);
                continue;
            }
            Move::Sent => Some(0),
            Move::SentBut(n) => Some(usize::from(*n)),
            Move::Command(command) => {
                let done = whole.command(command);
                assert_eq!(done, cut.command(command), "{command:?}");
                client.expect(&done);
                None
            }
            Move::Transmit(room) => {
                whole.transmit((*room).into());
                cut.transmit((*room).into());
                None
            }
        };
        if let Some(kept) = kept {
            let rest = sent.split_off(sent.len().saturating_sub(kept));
            client.sends(&sent);
            whole.receive(&sent);
            pieces(&sent, &sizes)
                .into_iter()
                .for_each(|piece| cut.receive(piece));
            sent = rest;
        }
        compare(&mut whole, &mut cut, &mut client);
    }
    for server in [&mut whole, &mut cut] {
        server.release_all();
        server.transmit_all();
    }
    compare(&mut whole, &mut cut, &mut client);
    whole.check_that_nothing_waits(&client);
    for server in [&mut whole, &mut cut] {
        server.command(&Command::Close(0));
        server.transmit_all();
    }
    compare(&mut whole, &mut cut, &mut client);
    client.check_that_it_ended();
    whole.end();
    cut.end();
});

/// The client gets the output of both, which is the same.
fn compare(whole: &mut Server, cut: &mut Server, client: &mut Client) {
    assert_eq!(whole.seen, cut.seen);
    assert_eq!(whole.output, cut.output);
    let states = [&*whole, &*cut].map(|it| {
        let it = &it.connection;
        let counts = (it.open_streams(), it.pending_output());
        (
            counts,
            *it.stats(),
            *it.peer_settings(),
            it.is_ended(),
            it.is_within_frame(),
        )
    });
    assert_eq!(states[0], states[1]);
    client.receives(&whole.output);
    for server in [whole, cut] {
        server.seen.clear();
        server.output.clear();
    }
}
