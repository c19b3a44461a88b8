//! A whole node, called over HTTP at every path of its own description. An input is `METHOD PATH`, a line end, and a body. No answer
//! is a fault of the node, every error has its form, and no task of the node panics.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use reeve_node::{NodeArgs, NodeError};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Target;
use crate::engine::digits_out;
use crate::mutate;

const KEY: &str = "cmk_00000000000000000000000000000abc";
/// Then the node is started anew, on an empty disk: what succeeded stays, and memory is bounded.
const INPUTS_PER_NODE: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(30);
/// Segments that stand for `{id}` in a path.
const IDS: [&str; 8] = [
    "x",
    "smoke",
    "0190a6e0-0000-7000-8000-000000000000",
    "%00",
    "..%2f",
    "%ff%fe",
    "%F0%9F%98%80",
    "a%20b",
];

pub struct Rest {
    node: Node,
    inputs: u64,
    panics: Arc<AtomicU64>,
}

struct Node {
    http: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    shutdown: CancellationToken,
    runtime: Option<Runtime>,
    task: Option<JoinHandle<Result<(), NodeError>>>,
    _dir: tempfile::TempDir,
}

impl Rest {
    /// Starts a node.
    ///
    /// # Errors
    /// It does not start.
    pub fn start() -> Result<Self> {
        let panics = Arc::new(AtomicU64::new(0));
        let (counter, before) = (Arc::clone(&panics), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            // Those of the fuzzing thread are caught where they happen.
            if std::thread::current().name() != Some("main") {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            before(info);
        }));
        Ok(Self {
            node: Node::start()?,
            inputs: 0,
            panics,
        })
    }
}

impl Target for Rest {
    fn name(&self) -> &'static str {
        "rest"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let described = self.node.called("GET /openapi.json\n".as_bytes());
        described.map_or_else(|_| Vec::new(), |(_, body)| seeds_of(&body))
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let (head, body) = parts(input);
        let (_, other) = parts(other);
        let mut head = String::from_utf8_lossy(head).into_owned();
        if rng.random_bool(0.15) {
            head = match rng.random_range(0..3) {
                0 => head.replace(
                    "/x",
                    &format!("/{}", IDS.choose(rng).copied().unwrap_or_default()),
                ),
                1 => format!("{head}?pageSize={}", mutate::number(rng)),
                _ => format!("{head}?consistency=local&status=ONLINE"),
            };
        }
        let body = mutate::json(rng, body, other);
        [head.as_bytes(), b"\n", &body].concat()
    }

    fn run(&mut self, input: &[u8]) -> String {
        self.inputs += 1;
        if self.inputs.is_multiple_of(INPUTS_PER_NODE) {
            self.node.stop();
            match Node::start() {
                Ok(node) => self.node = node,
                Err(error) => panic!("the node does not start again: {error:#}"),
            }
        }
        let (status, body) = match self.node.call(input) {
            Ok(answer) => answer,
            Err(error) => panic!("the node does not answer: {error:#}"),
        };
        let panics = self.panics.swap(0, Ordering::Relaxed);
        assert_eq!(panics, 0, "a task of the node panicked");
        assert!(
            status < 500 || status == 503 || status == 501 || status == 504,
            "{status}: {body}"
        );
        let json: Value = match serde_json::from_str(&body) {
            Ok(json) => json,
            // Operations answer with text, deletions with nothing, and HTTP itself with nothing.
            Err(_) if status < 300 || body.is_empty() => Value::Null,
            Err(error) => panic!("{status}: {error}: {body}"),
        };
        let error = &json["error"];
        let field = error["details"]["fields"][0]["field"]
            .as_str()
            .unwrap_or_default();
        let reason = error["reason"].as_str().unwrap_or_default();
        let path = String::from_utf8_lossy(parts(input).0).into_owned();
        let path = path.split('?').next().unwrap_or_default().to_owned();
        assert!(
            status < 400 || body.is_empty() || !reason.is_empty(),
            "an error says why: {status} {body}"
        );
        digits_out(&format!("{path} {status} {reason} {field}"))
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.node.stop();
    }
}

fn parts(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[]),
    }
}

/// One seed for each operation, with a body of every property that its schema has.
fn seeds_of(description: &str) -> Vec<Vec<u8>> {
    let description: Value = serde_json::from_str(description).unwrap_or_default();
    let mut seeds = Vec::new();
    let none = Map::new();
    for (path, item) in description["paths"].as_object().unwrap_or(&none) {
        for (method, operation) in item.as_object().unwrap_or(&none) {
            // Its answer has no end.
            if path == "/events" {
                continue;
            }
            let path = path.replace("{uuid}", "x").replace("{id}", "x");
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = example(&description, schema, 0);
            seeds.push(format!("{} {path}\n{body}", method.to_uppercase()).into_bytes());
        }
    }
    seeds
}

fn example(description: &Value, schema: &Value, depth: usize) -> Value {
    if depth > 6 {
        return Value::Null;
    }
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.trim_start_matches('#');
        return description
            .pointer(pointer)
            .map_or(Value::Null, |schema| example(description, schema, depth + 1));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let each = properties
            .iter()
            .map(|(name, schema)| (name.clone(), example(description, schema, depth + 1)));
        return Value::Object(each.collect());
    }
    // One kind, or several of which the first will do.
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("array") => json!([example(description, &schema["items"], depth + 1)]),
        Some("integer") => json!(1),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        Some("string") => json!("smoke"),
        Some("object") => json!({"a": "b"}),
        _ => Value::Null,
    }
}

impl Node {
    fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
        let (grpc, raft, http) = (free()?, free()?, free()?);
        let args = NodeArgs {
            id: Some(1),
            data_dir: Some(dir.path().join("data")),
            grpc_addr: Some(grpc),
            raft_addr: Some(raft),
            http_addr: Some(http),
            bootstrap_key: KEY.parse().ok(),
            ..NodeArgs::default()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let shutdown = CancellationToken::new();
        let task = runtime.spawn(reeve_node::run(args.load()?, shutdown.clone()));
        let node = Self {
            http,
            connection: None,
            shutdown,
            runtime: Some(runtime),
            task: Some(task),
            _dir: dir,
        };
        let deadline = Instant::now() + PATIENCE;
        while !node
            .called(b"GET /keys/self\n")
            .is_ok_and(|(status, _)| status == 200)
        {
            if Instant::now() > deadline {
                bail!("it does not become ready");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(node)
    }

    fn stop(&mut self) {
        self.shutdown.cancel();
        self.connection = None;
        if let (Some(runtime), Some(task)) = (self.runtime.take(), self.task.take()) {
            // A node that does not end in order is not what is looked for here.
            let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, task).await });
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// On a connection of its own.
    fn called(&self, input: &[u8]) -> Result<(u16, String)> {
        exchange(&mut self.dial()?, input)
    }

    fn dial(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }

    /// On the one connection, or on a new one where the node closed it.
    fn call(&mut self, input: &[u8]) -> Result<(u16, String)> {
        if let Some(mut connection) = self.connection.take()
            && let Ok(answer) = exchange(&mut connection, input)
        {
            self.connection = Some(connection);
            return Ok(answer);
        }
        let mut connection = self.dial()?;
        let answer = exchange(&mut connection, input)?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn exchange(connection: &mut BufReader<TcpStream>, input: &[u8]) -> Result<(u16, String)> {
    let (head, body) = parts(input);
    // The request line is to be one: what is fuzzed is Reeve, not the HTTP library.
    let line: String = head
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|char| char.is_ascii_graphic() || *char == ' ')
        .collect();
    let (method, path) = line.split_once(' ').unwrap_or(("GET", "/"));
    let method: String = method.chars().filter(char::is_ascii_uppercase).collect();
    let path = path.trim().replace(' ', "%20");
    let path = path.strip_prefix('/').unwrap_or(&path);
    let method = if ["GET", "POST", "DELETE"].contains(&method.as_str()) {
        method
    } else {
        "POST".to_owned()
    };
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection
        .get_mut()
        .write_all(&[request.as_bytes(), body].concat())?;
    let mut status = String::new();
    connection.read_line(&mut status)?;
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.with_context(|| format!("{status:?} is no answer"))?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        connection.read_line(&mut header)?;
        match header.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok((code, String::from_utf8(body)?))
}
