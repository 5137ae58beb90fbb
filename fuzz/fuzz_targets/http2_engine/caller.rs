//! The commands of a connection's caller.

use corelane_http2::{CommandError, ErrorCode, Priority, StreamId};

use crate::{
    command::{Command, Done, Pick, STATUS, body, choose, fields, header_map},
    memory::count,
    server::Server,
};

impl Server {
    fn pick(&self, Pick(age): Pick) -> Option<StreamId> {
        let age = usize::from(age) % self.streams.len().clamp(1, 10);
        self.streams.values().nth_back(age).map(|it| it.id)
    }

    /// What it adds to what a client gets. Commands on streams that were not opened are left out.
    pub fn command(&mut self, command: &Command) -> Done {
        let done = self.act(command);
        self.check();
        done.unwrap_or_else(|| Done::Other("no stream".to_owned()))
    }

    fn act(&mut self, command: &Command) -> Option<Done> {
        use Command::*;
        let held = &mut self.held;
        let done = match command {
            Respond { stream, .. }
            | Informational { stream, .. }
            | SendData { stream, .. }
            | SendTrailers { stream, .. }
            | Reset(stream, _)
            | ResetWhenSent(stream)
            | Abandon(stream)
            | SetPriority { stream, .. }
            | Capacity(stream)
            | Release(stream, _) => {
                let stream = self.pick(*stream)?;
                return Some(self.act_on(stream, command));
            }
            ReleaseAll => return Some(self.release_all()),
            PollWritable => return Some(self.poll_writable()),
            PollSent => {
                let mut named = Vec::new();
                while let Some(id) = count(held, || self.connection.poll_sent()) {
                    named.push(id.number());
                }
                self.unnamed.retain(|it| !named.contains(it));
                return Some(Done::Other(format!("{named:?}")));
            }
            PollCapacity => return Some(self.poll_capacity()),
            Window(_) if self.connection.awaits_settings_ack() => return None,
            Window(size) => {
                count(held, || {
                    self.connection.set_initial_stream_window_size(*size)
                });
                Done::Other(String::new())
            }
            Ping(_) if self.connection.is_ended() => return None,
            Ping(payload) => {
                count(held, || self.connection.ping(*payload));
                Done::Ping(*payload)
            }
            AnnounceShutdown => {
                count(held, || self.connection.announce_shutdown());
                Done::Other(String::new())
            }
            GoAway => {
                count(held, || self.connection.go_away());
                Done::Other(String::new())
            }
            Close(code) => {
                count(held, || self.connection.close(ErrorCode((*code).into())));
                Done::Other(String::new())
            }
            Shrink => {
                count(held, || self.connection.shrink());
                if self.connection.pending_output() == 0 {
                    self.longest = 0;
                }
                Done::Other(String::new())
            }
        };
        Some(done)
    }

    fn act_on(&mut self, id: StreamId, command: &Command) -> Done {
        use Command::*;
        let number = id.number();
        let (it, held) = (&mut self.connection, &mut self.held);
        let is_open = it.is_open(id);
        let mut done = Done::Other(String::new());
        let result = match command {
            Respond {
                status,
                fields: list,
                end,
                ..
            } => {
                let (status, map) = (choose(STATUS, *status), header_map(list));
                done = Done::Head(number, fields(Some(status), &map), *end);
                count(held, || it.respond(id, status, &map, *end))
            }
            Informational {
                status,
                fields: list,
                ..
            } => {
                let (status, map) = (choose(STATUS, *status), header_map(list));
                done = Done::Head(number, fields(Some(status), &map), false);
                count(held, || it.informational(id, status, &map))
            }
            SendData { length, end, .. } => {
                let stream = self.streams.get_mut(&number).expect("picked");
                let (data, length) = (body(stream.queued, (*length).into()), usize::from(*length));
                let result = count(held, || it.send_data(id, data, *end));
                if result.is_ok() {
                    stream.queued += length;
                    if length > 0 {
                        self.unnamed.insert(number);
                    }
                }
                done = Done::Data(number, length, *end);
                result
            }
            SendTrailers { fields: list, .. } => {
                let trailers = fields(None, &header_map(list));
                let bytes = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 256;
                self.trailers += trailers.iter().map(bytes).sum::<usize>();
                done = Done::Trailers(number, trailers);
                count(held, || it.send_trailers(id, header_map(list)))
            }
            Reset(_, code) => count(held, || it.reset(id, ErrorCode((*code).into()))),
            ResetWhenSent(_) => count(held, || it.reset_when_sent(id)),
            Abandon(_) => {
                count(held, || it.abandon(id));
                Ok(())
            }
            SetPriority {
                urgency,
                incremental,
                ..
            } => {
                let priority = Priority {
                    urgency: *urgency,
                    incremental: *incremental,
                };
                count(held, || it.set_priority(id, priority))
            }
            Capacity(_) => {
                let capacity = count(held, || it.capacity(id));
                assert!(capacity <= it.connection_capacity());
                if capacity == 0 && is_open {
                    self.asking.insert(number);
                }
                done = Done::Other(capacity.to_string());
                Ok(())
            }
            Release(_, bytes) => {
                count(held, || it.release_capacity(id, *bytes as usize));
                Ok(())
            }
            _ => Ok(()),
        };
        if !matches!(command, Abandon(_) | Capacity(_) | Release(..)) {
            assert!(
                !is_open || result != Err(CommandError::Closed),
                "{command:?}"
            );
            assert!(is_open || result.is_err(), "{command:?}");
        }
        if !it.is_open(id) {
            self.stream(id).receives = false;
        }
        let ends = matches!(
            done,
            Done::Head(_, _, true) | Done::Data(_, _, true) | Done::Trailers(..)
        );
        self.stream(id).ends |= ends && result.is_ok();
        match result {
            Ok(()) => done,
            Err(error) => Done::Other(error.to_string()),
        }
    }

    pub fn release_all(&mut self) -> Done {
        for stream in self.streams.values_mut() {
            let bytes = std::mem::take(&mut stream.unreleased);
            let connection = &mut self.connection;
            count(&mut self.held, || {
                connection.release_capacity(stream.id, bytes)
            });
        }
        Done::Other(String::new())
    }

    pub fn poll_writable(&mut self) -> Done {
        let mut named = Vec::new();
        while let Some(id) = count(&mut self.held, || self.connection.poll_writable()) {
            assert!(self.connection.is_open(id) && self.connection.queued(id) == 0);
            named.push(id.number());
        }
        self.unnamed.retain(|it| !named.contains(it));
        Done::Other(format!("{named:?}"))
    }

    pub fn poll_capacity(&mut self) -> Done {
        let mut named = Vec::new();
        while let Some(id) = count(&mut self.held, || self.connection.poll_capacity()) {
            assert!(self.connection.is_open(id) && self.connection.connection_capacity() > 0);
            named.push(id.number());
        }
        self.asking.retain(|it| !named.contains(it));
        Done::Other(format!("{named:?}"))
    }
}
