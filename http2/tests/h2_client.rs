//! Crate h2 as the client: fields reach each side as the other one sent them, by two implementations of HPACK.

use std::{cell::RefCell, rc::Rc};

use corelane_http2::{Config, Connection, Event};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version};
use proptest::{collection::vec, prelude::*, sample::select};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::LocalSet,
};

/// Answers each request with the fields that come next, as head and as trailers, and returns what it received.
async fn serve(
    mut stream: DuplexStream,
    answers: Vec<HeaderMap>,
    received: Rc<RefCell<Vec<HeaderMap>>>,
) {
    let mut connection = Connection::new(Config::default().max_header_list_size(1 << 20));
    let mut answers = answers.into_iter();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let mut output = Vec::new();
        while connection.wants_transmit() {
            connection.transmit(&mut output, 16 * 1024);
        }
        stream.write_all(&output).await.expect("the client reads");
        let n = match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(n) => n,
        };
        let mut input = &chunk[..n];
        while let Some(event) = connection.receive(&mut input).expect("no error") {
            if let Event::Request { stream, head, .. } = event {
                received.borrow_mut().push(head.headers);
                let answer = answers.next().expect("an answer");
                let responded = connection
                    .respond(stream, StatusCode::OK, &answer, false)
                    .and_then(|()| connection.send_trailers(stream, answer));
                responded.expect("open");
            }
        }
        assert!(input.is_empty() || connection.wants_transmit());
    }
}

/// The heads and trailers of the responses.
async fn ask(stream: DuplexStream, requests: Vec<HeaderMap>, table_size: u32) -> Vec<HeaderMap> {
    let mut builder = h2::client::Builder::new();
    builder
        .max_header_list_size(1 << 20)
        .header_table_size(table_size);
    let (mut client, connection) = builder.handshake::<_, &[u8]>(stream).await.expect("h2");
    tokio::task::spawn_local(connection);
    let mut answers = Vec::new();
    for fields in requests {
        let mut request = Request::new(());
        *request.uri_mut() = "https://localhost/".parse().expect("a URI");
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = fields;
        client = client.ready().await.expect("ready");
        let (response, _) = client.send_request(request, true).expect("sent");
        let (head, mut body) = response.await.expect("a response").into_parts();
        answers.push(head.headers);
        answers.push(body.trailers().await.expect("an end").unwrap_or_default());
    }
    answers
}

fn fields() -> impl Strategy<Value = HeaderMap> {
    let usual = select(
        &[
            "accept",
            "cache-control",
            "content-type",
            "date",
            "etag",
            "server",
            "set-cookie",
            "x-a",
        ][..],
    );
    let name = prop_oneof![
        6 => usual.prop_map(HeaderName::from_static),
        1 => "[a-z][a-z0-9_.-]{0,30}".prop_map(|it| HeaderName::try_from(it).expect("a name")),
    ];
    // Spaces within, as values with spaces around are malformed.
    let any = vec(prop_oneof![33..127u8, 128..=255u8, Just(b' ')], 0..100);
    let value = prop_oneof![
        4 => select(&["", "a", "text/html", "Mon, 21 Oct 2013 20:13:21 GMT"][..])
            .prop_map(|it| it.as_bytes().to_vec()),
        2 => any,
        1 => (0..5000usize).prop_map(|length| vec![b'x'; length]),
    ];
    let value = (value, prop::bool::weighted(0.1)).prop_map(|(bytes, sensitive)| {
        let mut value = HeaderValue::from_bytes(bytes.trim_ascii()).expect("a value");
        value.set_sensitive(sensitive);
        value
    });
    vec((name, value), 0..12).prop_map(|fields| {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            if !["connection", "host", "te", "upgrade"].contains(&name.as_str()) {
                map.append(name, value);
            }
        }
        map
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn fields_arrive_as_they_were_sent(
        exchanges in vec((fields(), fields()), 1..20),
        table_size in select(&[0, 1, 100, 1000, 4096, 65_536][..]),
    ) {
        let (requests, answers): (Vec<_>, Vec<_>) = exchanges.into_iter().unzip();
        let received = Rc::new(RefCell::new(Vec::new()));
        let (client, server) = tokio::io::duplex(1 << 20);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let local = LocalSet::new();
        local.spawn_local(serve(server, answers.clone(), Rc::clone(&received)));
        let seen = local.block_on(&runtime, ask(client, requests.clone(), table_size));
        prop_assert_eq!(&*received.borrow(), &requests);
        let expected: Vec<_> = answers.into_iter().flat_map(|it| [it.clone(), it]).collect();
        prop_assert_eq!(seen, expected);
    }
}
