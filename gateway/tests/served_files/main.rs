//! Static files, without a server: the futures of `Files` never wait.

mod bad_input;
mod responses;
mod site;
