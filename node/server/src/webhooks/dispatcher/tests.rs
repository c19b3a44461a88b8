//! The loop on a state of its own, with a clock and receivers that the test holds.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use parking_lot::Mutex;
use reeve_state::apply;
use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::time::Millis;

use super::*;

/// A state with a log of one, and a clock that moves when it is told to.
#[derive(Clone)]
struct Log(Arc<LogInner>);

struct LogInner {
    state: Mutex<State>,
    now: Mutex<u64>,
    changed: Notify,
    /// What the next recordings come to, before it works.
    faults: Mutex<Vec<NotRecorded>>,
}

impl Log {
    fn new() -> Self {
        Self(Arc::new(LogInner {
            state: Mutex::default(),
            now: Mutex::new(1_000_000),
            changed: Notify::new(),
            faults: Mutex::default(),
        }))
    }

    fn apply(&self, command: Command) -> Reply {
        let entry = EntryMeta {
            term: 1,
            index: 1,
            stamp: Time(*self.0.now.lock()),
        };
        let step = apply(&mut self.0.state.lock(), &entry, &Envelope::internal(command));
        self.0.changed.notify_one();
        step.applied.result.unwrap()
    }

    fn pass(&self, span: Millis) {
        *self.0.now.lock() += span.0;
        self.0.changed.notify_one();
    }

    fn row(&self, key: DeliveryKey) -> Option<Arc<Delivery>> {
        self.0.state.lock().delivery(key).cloned()
    }
}

impl Outbox for Log {
    fn state(&self) -> Arc<State> {
        Arc::new(self.0.state.lock().clone())
    }

    fn now(&self) -> Time {
        Time(*self.0.now.lock())
    }

    async fn record(&self, results: Vec<DeliveryResult>) -> Result<(), NotRecorded> {
        if let Some(fault) = self.0.faults.lock().pop() {
            return Err(fault);
        }
        self.apply(Command::RecordDeliveries(RecordDeliveries { results }));
        Ok(())
    }
}

/// Receivers: they answer what the test says by address, or wait until it does.
#[derive(Clone)]
struct Receivers(Arc<ReceiversInner>);

struct ReceiversInner {
    posted: Mutex<Vec<Message>>,
    /// By host; none: it waits.
    answers: Mutex<BTreeMap<String, AttemptOutcome>>,
    news: Notify,
    open: Mutex<(usize, usize)>,
}

impl Receivers {
    fn new() -> Self {
        Self(Arc::new(ReceiversInner {
            posted: Mutex::default(),
            answers: Mutex::default(),
            news: Notify::new(),
            open: Mutex::default(),
        }))
    }

    fn answer(&self, host: &str, outcome: AttemptOutcome) {
        self.0.answers.lock().insert(host.to_owned(), outcome);
        self.0.news.notify_waiters();
    }

    fn posted(&self) -> Vec<Message> {
        self.0.posted.lock().clone()
    }

    /// Sequence numbers in the order in which they were posted to a host.
    fn seqs(&self, host: &str) -> Vec<u64> {
        let posted = self.posted();
        let to_host = posted.iter().filter(|message| message.url.host == host);
        to_host
            .map(|message| message.id.rsplit('_').next().unwrap().parse().unwrap())
            .collect()
    }
}

impl Post for Receivers {
    async fn post(&self, message: Message) -> AttemptOutcome {
        let host = message.url.host.clone();
        self.0.posted.lock().push(message);
        {
            let mut open = self.0.open.lock();
            open.0 += 1;
            open.1 = open.1.max(open.0);
        }
        loop {
            let news = self.0.news.notified();
            if let Some(outcome) = self.0.answers.lock().get(&host).cloned() {
                self.0.open.lock().0 -= 1;
                return outcome;
            }
            news.await;
        }
    }
}

fn webhook_id(n: u8) -> WebhookId {
    WebhookId::from_bytes([n; 16])
}

fn key(n: u8, seq: u64) -> DeliveryKey {
    DeliveryKey {
        webhook: webhook_id(n),
        seq,
    }
}

struct World {
    log: Log,
    receivers: Receivers,
    dispatcher: tokio::task::JoinHandle<()>,
}

impl World {
    /// Webhooks 1 to `webhooks` at h1.test and so on.
    fn new(webhooks: u8) -> Self {
        let (log, receivers) = (Log::new(), Receivers::new());
        for n in 1..=webhooks {
            log.apply(Command::PutWebhook(PutWebhook {
                id: webhook_id(n),
                new: Some(NewWebhook {
                    project: ProjectName::default(),
                    secret: SigningSecret([n; 32]),
                }),
                name: None,
                url: Some(format!("https://h{n}.test/")),
                events: None,
                test: None,
            }));
        }
        let dispatcher = Self::lead(&log, &receivers);
        Self {
            log,
            receivers,
            dispatcher,
        }
    }

    fn lead(log: &Log, receivers: &Receivers) -> tokio::task::JoinHandle<()> {
        let limits = WebhookLimits { in_all: 6, to_one: 2 };
        let mut dispatcher = Dispatcher::new(log.clone(), receivers.clone(), limits);
        let log = log.clone();
        tokio::spawn(async move { dispatcher.run(&log.0.changed).await })
    }

    fn event(&self, n: u8) {
        self.log.apply(Command::TestWebhook(TestWebhook {
            webhook: webhook_id(n),
        }));
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waited = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(20), waited).await;
        assert!(done.is_ok(), "{what}: {:?}", self.receivers.posted());
    }

    fn status(&self, n: u8, seq: u64) -> Option<DeliveryStatus> {
        self.log.row(key(n, seq)).map(|row| row.status)
    }
}

#[tokio::test]
async fn what_is_due_is_posted_once_in_order_and_recorded() {
    let world = World::new(1);
    world.receivers.answer("h1.test", AttemptOutcome::Answered(200));
    for _ in 0..5 {
        world.event(1);
    }
    world
        .until("all arrived", |world| {
            world.status(1, 5) == Some(DeliveryStatus::Delivered)
        })
        .await;
    assert_eq!(world.receivers.seqs("h1.test"), [1, 2, 3, 4, 5]);
    let first = &world.receivers.posted()[0];
    assert_eq!(first.id, format!("msg_{}_1", webhook_id(1)));
    assert_eq!(first.timestamp, 1_000);
    let signed = signatures([SigningSecret([1; 32])].iter(), &first.id, 1_000, &first.body);
    assert_eq!(first.signature, signed);
}

#[tokio::test]
async fn a_failure_is_tried_again_when_its_time_has_come_under_the_same_id() {
    let world = World::new(1);
    world.receivers.answer("h1.test", AttemptOutcome::Answered(500));
    world.event(1);
    world
        .until("the first failed", |world| {
            world.log.row(key(1, 1)).is_some_and(|row| row.attempts == 1)
        })
        .await;
    world.receivers.answer("h1.test", AttemptOutcome::Answered(200));
    world.log.pass(Millis(29_000));
    assert_eq!(world.receivers.posted().len(), 1);
    world.log.pass(Millis(1_000));
    world
        .until("it arrived", |world| {
            world.status(1, 1) == Some(DeliveryStatus::Delivered)
        })
        .await;
    let posted = world.receivers.posted();
    assert_eq!(posted.len(), 2);
    assert_eq!((&posted[0].id, &posted[0].body), (&posted[1].id, &posted[1].body));
    assert_eq!(posted[1].timestamp, posted[0].timestamp + 30);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_its_own_events_only() {
    let world = World::new(3);
    world.receivers.answer("h2.test", AttemptOutcome::Answered(200));
    world.receivers.answer("h3.test", AttemptOutcome::Answered(200));
    for _ in 0..3 {
        (1..=3).for_each(|n| world.event(n));
    }
    world
        .until("the others arrived", |world| {
            [2, 3]
                .iter()
                .all(|n| world.status(*n, 3) == Some(DeliveryStatus::Delivered))
        })
        .await;
    assert_eq!(world.receivers.seqs("h1.test"), [1]);
}

#[tokio::test]
async fn no_more_is_under_way_than_the_limits_say() {
    let world = World::new(4);
    // Each event of a run of its own: none waits for another.
    world.log.apply(Command::ApplyTest(ApplyTest {
        id: TestId::from_bytes([1; 16]),
        definition: Arc::new(definition()),
        mode: ApplyMode::CreateOnly,
        project: ProjectName::default(),
    }));
    for n in 1..=20_u8 {
        world.log.apply(Command::StartRun(StartRun {
            run: RunId::from_bytes([n; 16]),
            test: TestId::from_bytes([1; 16]),
        }));
    }
    world
        .until("six are under way", |world| world.receivers.posted().len() == 6)
        .await;
    let to_each: Vec<usize> = (1..=4)
        .map(|n| world.receivers.seqs(&format!("h{n}.test")).len())
        .collect();
    assert!(to_each.iter().all(|count| (1..=2).contains(count)), "{to_each:?}");
    for n in 1..=4 {
        world
            .receivers
            .answer(&format!("h{n}.test"), AttemptOutcome::Answered(200));
    }
    world
        .until("all arrived", |world| {
            (1..=4).all(|n| world.log.0.state.lock().webhook(webhook_id(n)).unwrap().delivered == 20)
        })
        .await;
    assert_eq!(world.receivers.posted().len(), 80, "each once");
    assert!(world.receivers.0.open.lock().1 <= 6);
}

fn definition() -> TestDefinition {
    TestDefinition {
        name: "t".to_owned(),
        duration: Millis(1_000),
        buildup: Millis(0),
        queue_timeout: Millis(1_000),
        max_execution: Millis(60_000),
        on_worker_loss: reeve_state::record::OnWorkerLoss::Continue,
        groups: vec![Group {
            name: "g".to_owned(),
            endpoints: 1,
            selector: Selector::default(),
            callee: None,
            executor: Executor::Sim(SimExecutor {
                setup_min: Millis(0),
                setup_max: Millis(0),
                outcomes: Vec::new(),
                quality: None,
            }),
        }],
    }
}

#[tokio::test]
async fn results_that_cannot_be_recorded_are_recorded_later_and_not_posted_again() {
    let world = World::new(1);
    *world.log.0.faults.lock() = vec![NotRecorded::Later];
    world.receivers.answer("h1.test", AttemptOutcome::Answered(200));
    world.event(1);
    world
        .until("it is recorded", |world| {
            world.status(1, 1) == Some(DeliveryStatus::Delivered)
        })
        .await;
    assert_eq!(world.receivers.posted().len(), 1);
}

#[tokio::test]
async fn a_leader_that_lost_stops_and_the_next_posts_what_is_not_recorded() {
    let mut world = World::new(1);
    *world.log.0.faults.lock() = vec![NotRecorded::LostLead];
    world.receivers.answer("h1.test", AttemptOutcome::Answered(200));
    world.event(1);
    (&mut world.dispatcher).await.unwrap();
    assert_eq!(world.status(1, 1), Some(DeliveryStatus::Pending));
    world.dispatcher = World::lead(&world.log, &world.receivers);
    world
        .until("it arrived", |world| {
            world.status(1, 1) == Some(DeliveryStatus::Delivered)
        })
        .await;
    let posted = world.receivers.posted();
    assert_eq!(posted.len(), 2, "at least once");
    assert_eq!(posted[0].id, posted[1].id);
}

#[tokio::test]
async fn a_webhook_that_is_paused_or_gone_is_left_alone() {
    let world = World::new(1);
    let pause = |paused| {
        Command::PauseWebhook(PauseWebhook {
            webhook: webhook_id(1),
            paused,
        })
    };
    world.log.apply(pause(true));
    world.event(1);
    world.receivers.answer("h1.test", AttemptOutcome::Answered(410));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(world.receivers.posted().is_empty());
    world.log.apply(pause(false));
    world
        .until("it is gone", |world| {
            world.log.0.state.lock().webhook(webhook_id(1)).unwrap().status == WebhookStatus::Gone
        })
        .await;
    world.receivers.answer("h1.test", AttemptOutcome::Answered(200));
    world.log.apply(pause(false));
    world
        .until("it arrived", |world| {
            world.status(1, 1) == Some(DeliveryStatus::Delivered)
        })
        .await;
    assert_eq!(world.receivers.seqs("h1.test"), [1, 1]);
}

#[test]
fn attempts_are_counted_by_what_came_of_them() {
    let failed = AttemptOutcome::Failed("x".to_owned());
    let cases = [
        (AttemptOutcome::Answered(204), 1, "delivered"),
        (AttemptOutcome::Answered(410), 1, "gone"),
        (AttemptOutcome::Answered(500), 6, "failed"),
        (AttemptOutcome::Answered(302), 7, "dead"),
        (failed.clone(), 1, "failed"),
        (failed, 7, "dead"),
    ];
    for (outcome, attempt, expected) in cases {
        assert_eq!(counted_as(&outcome, attempt), expected, "{outcome:?} {attempt}");
    }
}
