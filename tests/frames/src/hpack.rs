//! Header blocks as bytes (RFC 7541).

/// Literals without indexing; names and values are encoded unchanged.
pub fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        block.extend(string(name.as_bytes()));
        block.extend(string(value));
    }
    block
}

/// A string literal without Huffman (section 5.2).
pub fn string(bytes: &[u8]) -> Vec<u8> {
    let mut string = integer(7, 0, bytes.len());
    string.extend_from_slice(bytes);
    string
}

/// An integer after the bits of `first` (section 5.1).
pub fn integer(prefix: u32, first: u8, value: usize) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    if value < most {
        return vec![first | value as u8];
    }
    let mut bytes = vec![first | most as u8];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(rest as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

pub fn request(method: &str, path: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let pseudo: [(&str, &[u8]); 4] = [
        (":method", method.as_bytes()),
        (":scheme", b"https"),
        (":authority", b"localhost"),
        (":path", path.as_bytes()),
    ];
    [block(&pseudo), block(more)].concat()
}

pub fn get(path: &str) -> Vec<u8> {
    request("GET", path, &[])
}

pub fn post(path: &str) -> Vec<u8> {
    request("POST", path, &[])
}
