//! Webhooks of a whole node: what a receiver gets, and what the API says and refuses (R214).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reeve_node::NodeArgs;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{Answer, get, send};
use crate::node::Node;

/// One message as it came.
#[derive(Clone, Debug)]
struct Heard {
    headers: BTreeMap<String, String>,
    body: Value,
    raw: String,
}

/// A receiver that answers what it is told to.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    answer: Arc<Mutex<&'static str>>,
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const FAILS: &str = "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";
const GONE: &str = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
const MOVED: &str = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
/// No answer at all: the connection stays open.
const HANGS: &str = "";

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
            answer: Arc::new(Mutex::new(OK)),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        receiver
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut text = String::new();
        let mut buffer = [0; 4_096];
        let heard = loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => text.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
            }
            if let Some(heard) = parse(&text) {
                break heard;
            }
        };
        self.heard.lock().unwrap().push(heard);
        let answer = *self.answer.lock().unwrap();
        if answer == HANGS {
            std::future::pending::<()>().await;
        }
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn answers(&self, answer: &'static str) {
        *self.answer.lock().unwrap() = answer;
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    async fn until_heard(&self, count: usize) -> Vec<Heard> {
        until("the receiver hears it", async || {
            let heard = self.heard();
            (heard.len() >= count).then_some(heard)
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }
}

fn parse(text: &str) -> Option<Heard> {
    let (head, raw) = text.split_once("\r\n\r\n")?;
    let headers: BTreeMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    (raw.len() == length).then(|| Heard {
        headers,
        body: serde_json::from_str(raw).unwrap(),
        raw: raw.to_owned(),
    })
}

async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(30), waited).await;
    done.unwrap_or_else(|_| panic!("not in time: {what}"))
}

async fn start() -> Node {
    Node::start_with(NodeArgs {
        webhook_allow_private: Some("loopback".to_owned()),
        webhook_timeout_ms: Some(1_000),
        ..NodeArgs::default()
    })
    .await
}

async fn post(node: &Node, path: &str, body: &Value) -> Answer {
    send(node.http, "POST", path, &[], &body.to_string())
        .await
        .unwrap()
}

/// Creates a webhook named `h`; its secret.
async fn create(node: &Node, url: &str) -> String {
    let created = post(node, "/webhooks", &json!({"name": "h", "url": url})).await;
    assert_eq!(created.status, 201, "{}", created.body);
    created.json()["secret"].as_str().unwrap().to_owned()
}

async fn deliveries(node: &Node, query: &str) -> Vec<Value> {
    let listed = get(node.http, &format!("/webhooks/h/deliveries{query}"))
        .await
        .unwrap();
    assert_eq!(listed.status, 200, "{}", listed.body);
    listed.json()["items"].as_array().unwrap().clone()
}

/// The newest event, once it is as wanted.
async fn until_newest(node: &Node, wanted: impl Fn(&Value) -> bool) -> Value {
    until("the newest event is as wanted", async || {
        deliveries(node, "")
            .await
            .into_iter()
            .next()
            .filter(|row| wanted(row))
    })
    .await
}

// Covers: R214
#[tokio::test]
async fn a_receiver_is_told_every_status_of_a_run_in_order() {
    let (node, receiver) = (start().await, Receiver::start().await);
    create(&node, &receiver.url()).await;
    let group = json!({"name": "g", "endpoints": 1, "sim": {"setup": "1ms..2ms"}});
    let test = json!({"name": "smoke", "duration": "1s", "groups": [group]});
    assert_eq!(post(&node, "/tests", &test).await.status, 201);
    let run = post(&node, "/tests/smoke/run", &json!({})).await.json();
    let heard = receiver.until_heard(2).await;
    let told: Vec<(&Value, &Value, &Value)> = heard
        .iter()
        .map(|heard| {
            let data = &heard.body["data"];
            (&data["from"], &data["to"], &data["sequence"])
        })
        .collect();
    assert_eq!(
        told,
        [
            (&Value::Null, &json!("PENDING"), &json!(1)),
            (&json!("PENDING"), &json!("CANNOT_RUN_FOR_NOW"), &json!(2)),
        ]
    );
    for heard in &heard {
        assert_eq!(heard.body["type"], "run.status_changed");
        assert_eq!(heard.body["data"]["runId"], run["id"]);
        assert_eq!(heard.body["data"]["testName"], "smoke");
        assert_eq!(heard.body["data"]["project"], "default");
    }
    assert_eq!(heard[1].body["data"]["reason"]["code"], "NO_ONLINE_WORKERS");
    let newest = until_newest(&node, |row| row["status"] == "DELIVERED").await;
    assert_eq!(newest["messageId"], heard[1].headers["webhook-id"]);
    assert_eq!(newest["lastHttpStatus"], 200);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn messages_are_signed_with_the_secret_that_was_shown_and_for_a_while_with_the_one_before() {
    let (node, receiver) = (start().await, Receiver::start().await);
    let first = create(&node, &receiver.url()).await;
    let tested = post(&node, "/webhooks/h/test", &json!({})).await.json();
    let heard = receiver.until_heard(1).await.remove(0);
    assert_eq!(heard.headers["webhook-id"], tested["messageId"].as_str().unwrap());
    assert_eq!(heard.body["type"], "webhook.test");
    assert_eq!(signatures(&heard), [signature(&first, &heard)]);
    let rotated = post(&node, "/webhooks/h/rotate-secret", &json!({"requestId": "r1"}))
        .await
        .json();
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert!(rotated["webhook"]["previousSecretUntil"].is_string());
    let again = post(&node, "/webhooks/h/rotate-secret", &json!({"requestId": "r1"}))
        .await
        .json();
    assert!(again["secret"].is_null(), "a secret is shown once");
    post(&node, "/webhooks/h/test", &json!({})).await;
    let heard = receiver.until_heard(2).await.remove(1);
    assert_eq!(
        signatures(&heard),
        [signature(&second, &heard), signature(&first, &heard)]
    );
    for path in ["/webhooks", "/webhooks/h", "/webhooks/h/deliveries"] {
        let shown = get(node.http, path).await.unwrap().body;
        assert!(!shown.contains("secret\"") && !shown.contains(&first), "{shown}");
    }
    node.stop().await.unwrap();
}

fn signatures(heard: &Heard) -> Vec<String> {
    let header = &heard.headers["webhook-signature"];
    header.split(' ').map(str::to_owned).collect()
}

/// By the words of the specification, apart from the code that signs.
fn signature(secret: &str, heard: &Heard) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, timestamp) = (&heard.headers["webhook-id"], &heard.headers["webhook-timestamp"]);
    let padded = |with: u8| -> Vec<u8> {
        let mut block = [with; 64];
        block.iter_mut().zip(&key).for_each(|(byte, key)| *byte ^= key);
        block.to_vec()
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(format!("{id}.{timestamp}.{}", heard.raw))
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize();
    format!("v1,{}", STANDARD.encode(outer))
}

#[tokio::test]
async fn what_goes_wrong_is_shown_and_tried_again() {
    let (node, receiver) = (start().await, Receiver::start().await);
    create(&node, &receiver.url()).await;
    let cases = [
        (FAILS, "answered 500"),
        (MOVED, "answered 302; redirects are not followed"),
        (HANGS, "no answer within 1000 ms"),
    ];
    for (seq, (answer, error)) in (1_u64..).zip(cases) {
        receiver.answers(answer);
        post(&node, "/webhooks/h/test", &json!({})).await;
        let row = until_newest(&node, |row| row["seq"] == seq && row["attempts"] == 1).await;
        assert_eq!(
            (&row["status"], &row["lastError"]),
            (&json!("PENDING"), &json!(error))
        );
        assert!(row["nextAttemptAt"].is_string());
        let heard = receiver.heard().len();
        receiver.answers(OK);
        let path = "/webhooks/h/replay";
        assert_eq!(post(&node, path, &json!({"seq": seq})).await.status, 200);
        until_newest(&node, |row| row["status"] == "DELIVERED").await;
        let heard = receiver.until_heard(heard + 1).await;
        let [.., before, last] = heard.as_slice() else {
            panic!("{heard:?}")
        };
        assert_eq!(before.headers["webhook-id"], last.headers["webhook-id"]);
        assert_eq!(before.raw, last.raw, "the same message under the same id");
    }
    let refused = post(&node, "/webhooks/h/replay", &json!({"seq": 1})).await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (400, "DELIVERY_DELIVERED")
    );
    let missing = post(&node, "/webhooks/h/replay", &json!({"seq": 99})).await;
    assert_eq!(
        (missing.status, missing.reason().as_str()),
        (404, "DELIVERY_NOT_FOUND")
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_until_it_is_resumed() {
    let (node, receiver) = (start().await, Receiver::start().await);
    create(&node, &receiver.url()).await;
    receiver.answers(GONE);
    post(&node, "/webhooks/h/test", &json!({})).await;
    until("it is gone", async || {
        let hook = get(node.http, "/webhooks/h").await.unwrap().json();
        (hook["status"] == "GONE").then_some(())
    })
    .await;
    let refused = post(&node, "/webhooks/h/test", &json!({})).await;
    assert_eq!((refused.status, refused.reason().as_str()), (400, "WEBHOOK_GONE"));
    receiver.answers(OK);
    assert_eq!(
        post(&node, "/webhooks/h/resume", &json!({})).await.json()["status"],
        "ACTIVE"
    );
    until_newest(&node, |row| row["status"] == "DELIVERED").await;
    assert_eq!(receiver.heard().len(), 2);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn events_wait_while_a_webhook_is_paused() {
    let (node, receiver) = (start().await, Receiver::start().await);
    create(&node, &receiver.url()).await;
    assert_eq!(
        post(&node, "/webhooks/h/pause", &json!({})).await.json()["status"],
        "PAUSED"
    );
    post(&node, "/webhooks/h/test", &json!({})).await;
    assert_eq!(deliveries(&node, "?status=pending").await.len(), 1);
    assert_eq!(get(node.http, "/webhooks/h").await.unwrap().json()["pending"], 1);
    let metrics = get(node.http, "/metrics").await.unwrap().body;
    assert!(metrics.contains("reeve_webhook_pending 1\n"), "{metrics}");
    assert!(receiver.heard().is_empty());
    post(&node, "/webhooks/h/resume", &json!({})).await;
    receiver.until_heard(1).await;
    until_newest(&node, |row| row["status"] == "DELIVERED").await;
    let metrics = get(node.http, "/metrics").await.unwrap().body;
    assert!(
        metrics.contains("reeve_webhook_deliveries_total{result=\"delivered\"}"),
        "{metrics}"
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_where_they_are_named_and_where_they_are_used() {
    let node = Node::start().await;
    let refused = [
        ("", "is required"),
        ("http://example.test/", "must begin with https://"),
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://10.0.0.1/", "private"),
        ("https://169.254.169.254/latest/meta-data", "link-local"),
        ("https://[::ffff:192.168.0.1]/", "private"),
        ("https://user:secret@a.test/", "user name"),
        ("ftp://a.test/", "https://"),
        ("https://a.test:99999/", "port"),
    ];
    for (url, rule) in refused {
        let answer = post(&node, "/webhooks", &json!({"url": url})).await;
        assert_eq!(answer.status, 400, "{url}: {}", answer.body);
        assert_eq!(answer.fields(), ["url"], "{url}");
        assert!(answer.body.contains(rule), "{url}: {}", answer.body);
    }
    // A name can only be looked at when something is sent there.
    create(&node, "https://localhost/").await;
    post(&node, "/webhooks/h/test", &json!({})).await;
    let row = until_newest(&node, |row| row["attempts"] == 1).await;
    let error = row["lastError"].as_str().unwrap();
    assert!(error.contains("loopback"), "{error}");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_webhook_is_made_found_changed_and_forgotten() {
    let node = start().await;
    let group = json!({"name": "g", "endpoints": 1, "sim": {"setup": "1ms..2ms"}});
    let test = json!({"name": "smoke", "duration": "1s", "groups": [group]});
    let test = post(&node, "/tests", &test).await.json();
    let body = json!({"name": "h", "url": "https://a.test/x", "events": ["run.status_changed"],
        "test": "smoke", "requestId": "c1"});
    let created = post(&node, "/webhooks", &body).await.json();
    let hook = &created["webhook"];
    assert!(created["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(
        (&hook["testId"], &hook["events"]),
        (&test["id"], &json!(["run.status_changed"]))
    );
    let repeated = post(&node, "/webhooks", &body).await.json();
    assert_eq!(
        (&repeated["webhook"]["id"], &repeated["secret"]),
        (&hook["id"], &Value::Null)
    );
    let taken = post(&node, "/webhooks", &json!({"name": "h", "url": "https://b.test"})).await;
    assert_eq!((taken.status, taken.reason().as_str()), (409, "NAME_TAKEN"));
    for (body, fields) in [
        (
            json!({"url": "https://a.test", "events": ["run.status_changed", "run.gone"]}),
            ["events[1]"],
        ),
        (json!({"url": "https://a.test", "test": "nope"}), ["test"]),
        (
            json!({"url": "https://a.test", "name": "x".repeat(129)}),
            ["name"],
        ),
    ] {
        let answer = post(&node, "/webhooks", &body).await;
        assert_eq!(
            (answer.status, answer.fields()),
            (400, fields.map(str::to_owned).to_vec()),
            "{body}"
        );
    }
    let path = format!("/webhooks/{}", hook["id"].as_str().unwrap());
    assert_eq!(get(node.http, &path).await.unwrap().json()["name"], "h");
    let change = json!({"events": [], "test": "", "url": "https://b.test/"}).to_string();
    let changed = send(node.http, "PATCH", "/webhooks/h", &[], &change)
        .await
        .unwrap()
        .json();
    assert_eq!(
        (
            &changed["events"],
            &changed["testId"],
            &changed["url"],
            &changed["name"]
        ),
        (&json!([]), &Value::Null, &json!("https://b.test/"), &json!("h"))
    );
    let change = json!({"url": "https://10.0.0.1/"}).to_string();
    let refused = send(node.http, "PATCH", "/webhooks/h", &[], &change)
        .await
        .unwrap();
    assert_eq!((refused.status, refused.fields()), (400, vec!["url".to_owned()]));
    let listed = get(node.http, "/webhooks?pageSize=1").await.unwrap().json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    for status in [204, 204] {
        let gone = send(node.http, "DELETE", "/webhooks/h", &[("X-Request-Id", "d1")], "").await;
        assert_eq!(gone.unwrap().status, status, "repeating it is answered alike");
    }
    assert_eq!(get(node.http, "/webhooks/h").await.unwrap().status, 404);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn webhooks_are_for_operators_and_of_their_project() {
    let node = start().await;
    for name in ["red", "blue"] {
        let created = post(&node, "/projects", &json!({ "name": name })).await;
        assert_eq!(created.status, 201, "{}", created.body);
    }
    let key = async |role: &str, project: &str| {
        let name = format!("{role}-{project}");
        let created = post(
            &node,
            "/keys",
            &json!({"name": name, "role": role, "project": project}),
        )
        .await;
        format!("Bearer {}", created.json()["secret"].as_str().unwrap())
    };
    let (red, blue, viewer) = (
        key("OPERATOR", "red").await,
        key("OPERATOR", "blue").await,
        key("VIEWER", "red").await,
    );
    let call = async |key: &str, method: &str, path: &str, body: &Value| {
        send(
            node.http,
            method,
            path,
            &[("authorization", key)],
            &body.to_string(),
        )
        .await
        .unwrap()
    };
    let body = json!({"name": "h", "url": "https://a.test"});
    assert_eq!(call(&viewer, "POST", "/webhooks", &body).await.status, 403);
    let created = call(&red, "POST", "/webhooks", &body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.json()["webhook"]["project"], "red");
    let id = created.json()["webhook"]["id"].as_str().unwrap().to_owned();
    assert_eq!(call(&viewer, "GET", "/webhooks/h", &json!({})).await.status, 200);
    assert_eq!(
        call(&viewer, "POST", "/webhooks/h/test", &json!({})).await.status,
        403
    );
    let nothing = json!({});
    for (method, path) in [
        ("GET", format!("/webhooks/{id}")),
        ("GET", format!("/webhooks/{id}/deliveries")),
        ("PATCH", format!("/webhooks/{id}")),
        ("POST", format!("/webhooks/{id}/test")),
        ("POST", format!("/webhooks/{id}/pause")),
        ("POST", format!("/webhooks/{id}/rotate-secret")),
        ("POST", format!("/webhooks/{id}/replay")),
        ("DELETE", format!("/webhooks/{id}")),
    ] {
        let answer = call(&blue, method, &path, &nothing).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    }
    assert_eq!(
        call(&blue, "GET", "/webhooks", &nothing).await.json()["items"],
        json!([])
    );
    let other = json!({"name": "h", "url": "https://a.test", "project": "red"});
    assert_eq!(call(&blue, "POST", "/webhooks", &other).await.status, 403);
    assert_eq!(
        call(&blue, "POST", "/webhooks", &body).await.status,
        201,
        "the name is free there"
    );
    node.stop().await.unwrap();
}
