//! HTTP as a script speaks it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::process::ADMIN_KEY;

/// One HTTP request of an admin; the status and the body.
pub fn http(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    http_as(Some(ADMIN_KEY), address, method, path, body)
}

/// One HTTP request with this key, or with none.
pub fn http_as(key: Option<&str>, address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let authorization = key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         {authorization}connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A request of an admin that must be answered with this status; the body.
pub fn asked(address: &str, method: &str, path: &str, body: &str, status: u16) -> Value {
    let (code, answer) = http(address, method, path, body);
    assert_eq!(code, status, "{method} {path} {body}: {answer}");
    serde_json::from_str(&answer).unwrap()
}
