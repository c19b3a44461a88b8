//! What a worker is offered of SIP endpoints, and the media files that offers name.

use std::sync::Arc;
use std::time::Duration;

use reeve_proto::v1;
use reeve_state::command::{
    ApplyMode, ApplyTest, Command, DeleteMedia, NewAccount, PutAccounts, PutMedia, PutRegistrar, StartRun,
};
use reeve_state::definition::{DEFAULT_ANSWER_TIMEOUT, DEFAULT_REGISTER_EXPIRES};
use reeve_state::id::{ProjectName, RunId, ScopedName, TestId};
use reeve_state::record::{
    Executor, Group, Selector, SipAccountKey, SipAction, SipCodec, SipDeed, SipExecutor, SipTransport,
    TestDefinition,
};
use reeve_state::time::Millis;
use tonic::Code;
use uuid::Uuid;

use super::fake::{Fake, hello};
use super::world::{World, patient};
use crate::args::NodeArgs;
use crate::evidence::Sweep;
use crate::seal::Sealer;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn scoped(name: &str) -> ScopedName {
    ScopedName::new(&ProjectName::default(), name)
}

fn with_secret() -> NodeArgs {
    NodeArgs {
        cluster_secret: SECRET.parse().ok(),
        ..patient()
    }
}

/// Two callers, three receivers, of one pool; callers send a file and press a key.
fn definition() -> TestDefinition {
    let sip = SipExecutor {
        registrar: "lab".to_owned(),
        accounts: "pool".to_owned(),
        uri: None,
        codecs: vec![SipCodec::Pcma],
        media: None,
        packet_loss_concealment: true,
        answer_timeout: DEFAULT_ANSWER_TIMEOUT,
        ring: Millis(0),
        register_expires: DEFAULT_REGISTER_EXPIRES,
        register_buildup: None,
        actions: Vec::new(),
        trace_credentials: false,
    };
    let group = |name: &str, endpoints, callee: Option<&str>, sip| Group {
        name: name.to_owned(),
        endpoints,
        selector: Selector::default(),
        callee: callee.map(str::to_owned),
        executor: Executor::Sip(sip),
    };
    let callers = SipExecutor {
        media: Some("hello".to_owned()),
        actions: vec![SipAction {
            at: Millis(500),
            deed: SipDeed::Dtmf("1#".to_owned()),
        }],
        ..sip.clone()
    };
    TestDefinition {
        name: "calls".to_owned(),
        duration: Millis(1_000),
        buildup: Millis(3_000),
        queue_timeout: Millis(5_000),
        max_execution: Millis(60_000),
        on_worker_loss: Default::default(),
        groups: vec![
            group("callers", 4, Some("receivers"), callers),
            group("receivers", 3, None, sip),
        ],
    }
}

impl World {
    /// Registrar, ten accounts whose secrets are sealed with this cluster secret, and a media file of these bytes.
    async fn resources(&self, sealer: &Sealer, sha256: [u8; 32]) {
        let account = |number: u32| {
            let key = SipAccountKey {
                pool: scoped("pool"),
                username: format!("10{number:02}").into(),
            };
            NewAccount {
                secret: sealer.seal(&key, &format!("pw{number}")),
                username: key.username,
                realm: None,
            }
        };
        let commands = [
            Command::PutRegistrar(PutRegistrar {
                key: scoped("lab"),
                domain: "lab.example".to_owned(),
                host: Some("10.0.0.1".to_owned()),
                port: Some(5_070),
                transport: SipTransport::Tcp,
                outbound_proxy: None,
            }),
            Command::PutAccounts(PutAccounts {
                pool: scoped("pool"),
                accounts: (0..10).map(account).collect(),
            }),
            Command::PutMedia(PutMedia {
                key: scoped("hello"),
                sha256,
                bytes: 8,
                duration_ms: 1,
            }),
        ];
        for command in commands {
            self.propose(command).await.unwrap();
        }
    }

    async fn sip_run(&self, definition: TestDefinition) -> RunId {
        let test = TestId::from_bytes(Uuid::now_v7().into_bytes());
        let apply = ApplyTest {
            id: test,
            definition: Arc::new(definition),
            mode: ApplyMode::CreateOnly,
            project: ProjectName::default(),
        };
        self.propose(Command::ApplyTest(apply)).await.unwrap();
        let run = RunId::from_bytes(Uuid::now_v7().into_bytes());
        self.propose(Command::StartRun(StartRun { run, test }))
            .await
            .unwrap();
        run
    }
}

fn sip(offer: &v1::Offer) -> v1::SipOffer {
    match &offer.executor {
        Some(v1::offer::Executor::Sip(sip)) => sip.clone(),
        other => panic!("{other:?}"),
    }
}

// Covers: R121, R139
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_has_the_registrar_the_credentials_and_whom_each_endpoint_calls() {
    let world = World::start(with_secret()).await;
    let sealer = Sealer::new(world.context.config.cluster_secret.as_ref().unwrap());
    world.resources(&sealer, [7; 32]).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    world.sip_run(definition()).await;
    let mut offers = [fake.hear_offer().await, fake.hear_offer().await];
    offers.sort_by(|one, other| one.group.cmp(&other.group));
    let [callers, receivers] = offers;
    let (calling, waiting) = (sip(&callers), sip(&receivers));
    let registrar = v1::SipRegistrar {
        domain: "lab.example".to_owned(),
        host: "10.0.0.1".to_owned(),
        port: 5_070,
        transport: v1::SipTransport::Tcp.into(),
        outbound_proxy: String::new(),
    };
    assert_eq!(calling.registrar, Some(registrar));
    let credentials = |offer: &v1::SipOffer| -> Vec<(String, String)> {
        let accounts = offer.accounts.iter();
        accounts
            .map(|one| (one.username.clone(), one.secret.clone()))
            .collect()
    };
    let expected = |numbers: std::ops::Range<u32>| -> Vec<(String, String)> {
        numbers
            .map(|number| (format!("10{number:02}"), format!("pw{number}")))
            .collect()
    };
    assert_eq!(credentials(&calling), expected(0..4));
    assert_eq!(credentials(&waiting), expected(4..7));
    let targets = ["1004", "1005", "1006", "1004"].map(|user| format!("sip:{user}@lab.example"));
    assert_eq!(calling.targets, targets, "endpoint i calls endpoint i mod 3");
    assert_eq!(waiting.targets, [""; 0], "they wait for calls");
    assert_eq!(
        (calling.media_sha256.as_slice(), waiting.media_sha256.len()),
        (&[7; 32][..], 0)
    );
    assert_eq!(calling.codecs, [i32::from(v1::SipCodec::Pcma)]);
    assert_eq!(calling.actions.len(), 1);
    // Build-up and settling of their own group, build-up of the callers, a call, and 10 s.
    assert_eq!(waiting.wait_ms, 3_000 + 2_000 + 3_000 + 1_000 + 10_000);
    assert_eq!(
        (calling.answer_timeout_ms, calling.register_expires_s),
        (32_000, 600)
    );
    // Both groups register over the build-up at the same time; calls follow after settling.
    let registers = |sip: &v1::SipOffer| (sip.register_before_ms, sip.register_buildup_ms);
    assert_eq!(registers(&calling), (Some(3_000 + 2_000), 3_000));
    assert_eq!(registers(&waiting), (None, 3_000), "they begin with it");
    assert_eq!((calling.problem.as_str(), waiting.problem.as_str()), ("", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_whose_secrets_cannot_be_read_says_why_and_has_no_credentials() {
    let world = World::start(with_secret()).await;
    let other = reeve_store::ClusterSecret::new(&SECRET.to_uppercase()).unwrap();
    world.resources(&Sealer::new(&other), [7; 32]).await;
    let (_, token) = world.worker("w1").await;
    let (mut fake, _) = Fake::connect(&world, hello(&token)).await;
    world.sip_run(definition()).await;
    let offer = sip(&fake.hear_offer().await);
    assert!(offer.accounts.is_empty());
    assert!(
        offer.problem.contains("another cluster secret"),
        "{}",
        offer.problem
    );
}

// Covers: R122
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_the_media_file_that_an_offer_names_and_nobody_else_does() {
    let world = World::start(patient()).await;
    let data = bytes::Bytes::from_static(b"a file");
    let sha256 = crate::media::hash(&data);
    crate::media::spread(&world.context, sha256, data.clone())
        .await
        .unwrap();
    let (_, token) = world.worker("w1").await;
    let mut client = world.client().await;
    let mut ask = async |token: &str, sha256: &[u8]| {
        let request = v1::GetMediaRequest {
            token: token.to_owned(),
            sha256: sha256.to_vec(),
        };
        let answer = client.get_media(request).await;
        answer
            .map(|answer| answer.into_inner().data)
            .map_err(|status| status.code())
    };
    assert_eq!(ask(&token, &sha256).await, Ok(data.to_vec()));
    assert_eq!(ask(&token, &[1; 32]).await, Err(Code::NotFound));
    assert_eq!(ask(&token, &[1; 3]).await, Err(Code::InvalidArgument));
    assert_eq!(ask("cmw_1", &sha256).await, Err(Code::Unauthenticated));
    let stranger = token.replace(|digit: char| digit.is_ascii_digit(), "a");
    assert_eq!(ask(&stranger, &sha256).await, Err(Code::Unauthenticated));
}

impl World {
    /// Stores a file, without a name.
    async fn stored(&self, data: &'static [u8]) -> [u8; 32] {
        let data = bytes::Bytes::from_static(data);
        let sha256 = crate::media::hash(&data);
        crate::media::spread(&self.context, sha256, data).await.unwrap();
        sha256
    }

    async fn is_stored(&self, sha256: &[u8; 32]) -> bool {
        let objects = self.context.evidence.objects();
        objects.get(&crate::media::path(sha256)).await.is_ok()
    }

    async fn name(&self, name: &str, sha256: [u8; 32]) {
        let command = PutMedia {
            key: scoped(name),
            sha256,
            bytes: 8,
            duration_ms: 1,
        };
        self.propose(Command::PutMedia(command)).await.unwrap();
    }

    async fn unname(&self, name: &str) {
        let command = DeleteMedia { key: scoped(name) };
        self.propose(Command::DeleteMedia(command)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_file_goes_when_two_looks_in_a_row_miss_the_name_that_it_had() {
    let world = World::start(patient()).await;
    let (kept, lost) = (world.stored(b"kept").await, world.stored(b"lost").await);
    let (again, strange) = (world.stored(b"again").await, world.stored(b"strange").await);
    world.name("kept", kept).await;
    world.name("lost", lost).await;
    world.name("lost-too", lost).await;
    world.name("again", again).await;
    let mut sweep = Sweep::new(Duration::ZERO);
    assert_eq!(sweep.look(&world.context).await, Ok(0));
    world.unname("lost").await;
    assert_eq!(sweep.look(&world.context).await, Ok(0), "it has another name");
    world.unname("lost-too").await;
    world.unname("again").await;
    assert_eq!(
        sweep.look(&world.context).await,
        Ok(0),
        "marked, and stored all the same"
    );
    assert!(world.is_stored(&lost).await);
    world.name("again", again).await;
    assert_eq!(sweep.look(&world.context).await, Ok(1));
    assert!(!world.is_stored(&lost).await);
    assert!(world.is_stored(&kept).await && world.is_stored(&again).await);
    world.unname("again").await;
    assert_eq!(sweep.look(&world.context).await, Ok(0), "it is marked anew");
    assert_eq!(sweep.look(&world.context).await, Ok(1));
    assert!(!world.is_stored(&again).await);
    assert!(world.is_stored(&strange).await, "it never had a name here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_file_that_gets_its_name_while_it_is_deleted_is_put_back() {
    let world = World::start(patient()).await;
    let file = world.stored(b"file").await;
    world.name("file", file).await;
    let mut sweep = Sweep::new(Duration::from_secs(3));
    assert_eq!(sweep.look(&world.context).await, Ok(0));
    world.unname("file").await;
    assert_eq!(sweep.look(&world.context).await, Ok(0));
    let rename = async {
        while world.is_stored(&file).await {
            tokio::task::yield_now().await;
        }
        world.name("file", file).await;
    };
    let (deleted, ()) = tokio::join!(sweep.look(&world.context), rename);
    assert_eq!(deleted, Ok(0));
    assert!(world.is_stored(&file).await);
}
