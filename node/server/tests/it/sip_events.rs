//! What SIP endpoints need can be watched.

use std::time::Duration;

use reeve_proto::v1;
use reeve_proto::v1::ResourceKind as Kind;
use reeve_proto::v1::resource::Resource;
use reeve_proto::v1::sip_client::SipClient;
use reeve_proto::v1::watch_response::Event;

use crate::node::{ADMIN, Keyed, Node};
use crate::projects::create_project;

fn sip(node: &Node) -> SipClient<Keyed> {
    SipClient::new(node.keyed(Some(ADMIN)))
}

async fn watch(node: &Node, request: v1::WatchRequest) -> tonic::Streaming<v1::WatchResponse> {
    let kinds = [Kind::Registrar, Kind::AccountPool, Kind::MediaFile];
    let request = v1::WatchRequest {
        kinds: kinds.map(i32::from).to_vec(),
        ..request
    };
    node.watch().watch(request).await.unwrap().into_inner()
}

/// What comes next, in one line.
async fn told(stream: &mut tonic::Streaming<v1::WatchResponse>) -> String {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(30), stream.message());
        match message.await.unwrap().unwrap().unwrap().event.unwrap() {
            Event::Put(put) => match put.resource.unwrap() {
                Resource::Registrar(one) => return format!("registrar {} {}", one.name, one.domain),
                Resource::AccountPool(one) => return format!("pool {} {}", one.name, one.accounts),
                Resource::MediaFile(one) => return format!("media {} {}", one.name, one.bytes),
                other => panic!("{other:?}"),
            },
            Event::Deleted(gone) => {
                return format!("deleted {:?} {} of {}", gone.kind(), gone.id, gone.project);
            }
            Event::Bookmark(_) => {}
            Event::Reset(reset) => panic!("{reset:?}"),
        }
    }
}

async fn apply_registrar(node: &Node, project: &str, domain: &str) {
    let request = v1::ApplyRegistrarRequest {
        name: "lab".to_owned(),
        project: project.to_owned(),
        domain: domain.to_owned(),
        ..Default::default()
    };
    sip(node).apply_registrar(request).await.unwrap();
}

async fn apply_accounts(node: &Node, names: &[&str]) {
    let account = |name: &&str| v1::NewSipAccount {
        username: (*name).to_owned(),
        ..Default::default()
    };
    let request = v1::ApplyAccountsRequest {
        pool: "phones".to_owned(),
        accounts: names.iter().map(account).collect(),
        ..Default::default()
    };
    sip(node).apply_accounts(request).await.unwrap();
}

/// Half a second of silence, PCMU.
fn sound() -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend([7_u16, 1].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([8_000_u32, 8_000].iter().flat_map(|long| long.to_le_bytes()));
    file.extend([1_u16, 8].iter().flat_map(|word| word.to_le_bytes()));
    file.extend(b"data");
    file.extend(4_000_u32.to_le_bytes());
    file.extend([0xff; 4_000]);
    file
}

#[tokio::test]
async fn registrars_pools_and_media_files_are_told_as_they_come_change_and_go() {
    let node = Node::start().await;
    let mut stream = watch(&node, v1::WatchRequest::default()).await;
    apply_registrar(&node, "", "one.example").await;
    assert_eq!(told(&mut stream).await, "registrar lab one.example");
    apply_registrar(&node, "", "two.example").await;
    assert_eq!(told(&mut stream).await, "registrar lab two.example");
    apply_accounts(&node, &["1001", "1002", "1003"]).await;
    assert_eq!(told(&mut stream).await, "pool phones 3", "once for all of them");
    apply_accounts(&node, &["1003", "1004"]).await;
    assert_eq!(told(&mut stream).await, "pool phones 4");
    let media = v1::PutMediaRequest {
        name: "hello".to_owned(),
        content: sound(),
        ..Default::default()
    };
    sip(&node).put_media(media).await.unwrap();
    assert_eq!(told(&mut stream).await, format!("media hello {}", sound().len()));

    let mut late = watch(
        &node,
        v1::WatchRequest {
            send_initial: true,
            ..Default::default()
        },
    )
    .await;
    for expected in ["registrar lab two.example", "pool phones 4", "media hello 4044"] {
        assert_eq!(told(&mut late).await, expected, "first what there is");
    }

    let accounts = |usernames: &[&str]| v1::DeleteAccountsRequest {
        pool: "phones".to_owned(),
        usernames: usernames.iter().map(|name| (*name).to_owned()).collect(),
        all: usernames.is_empty(),
        ..Default::default()
    };
    sip(&node).delete_accounts(accounts(&["1001"])).await.unwrap();
    assert_eq!(told(&mut stream).await, "pool phones 3");
    sip(&node).delete_accounts(accounts(&[])).await.unwrap();
    assert_eq!(told(&mut stream).await, "deleted AccountPool phones of default");
    let media = v1::DeleteMediaRequest {
        name: "hello".to_owned(),
        ..Default::default()
    };
    sip(&node).delete_media(media).await.unwrap();
    assert_eq!(told(&mut stream).await, "deleted MediaFile hello of default");
    let registrar = v1::DeleteRegistrarRequest {
        name: "lab".to_owned(),
        ..Default::default()
    };
    sip(&node).delete_registrar(registrar).await.unwrap();
    assert_eq!(told(&mut stream).await, "deleted Registrar lab of default");
    for _ in 0..4 {
        told(&mut late).await;
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_watch_of_a_project_hears_of_its_own_resources_only() {
    let node = Node::start().await;
    create_project(&node, "blue").await;
    let request = v1::WatchRequest {
        project: "blue".to_owned(),
        ..Default::default()
    };
    let mut stream = watch(&node, request).await;
    apply_registrar(&node, "", "default.example").await;
    apply_accounts(&node, &["1001"]).await;
    apply_registrar(&node, "blue", "blue.example").await;
    assert_eq!(told(&mut stream).await, "registrar lab blue.example");
    node.stop().await.unwrap();
}
