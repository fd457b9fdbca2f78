//! Rate limits in a Valkey that three replicas of the service share, through Envoy: the bound is exact, and requests are
//! answered while the Valkey hangs.

use std::net::SocketAddr;
use std::path::Path;

use cellgate_tests::client::{Http1, Request, Response};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{Options, sample_config};
use cellgate_tests::process::Signal;
use cellgate_tests::stack::Stack;
use cellgate_tests::valkey::{ServerOptions, Valkey};
use cellgate_tests::{artifacts, wait};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{arrived, code};

/// Units at once. After them one comes back an hour: no test lasts so long.
const BURST: usize = 30;

/// The replicas of the service.
const REPLICAS: usize = 3;

/// A request waits so long for the store. A busy machine must not make an answer late, which would be counted twice.
const TIMEOUT: &str = "2s";

const AVAILABLE: &str = "cellgate_rate_limit_store_available";
const BY_STORE: &str = r#"cellgate_rate_limit_answers_total{by="store"}"#;
const LATE: &str = r#"cellgate_rate_limit_store_failures_total{cause="deadline"}"#;

/// A limit for the paths below each value of `when_store_fails`. Only `local` has more than one unit.
fn limits() -> Value {
    let limit = |fails: &str, limit: String| {
        json!({
            "name": fails,
            "key": ["routing_key"],
            "limit": limit,
            "applies_to": {"paths": [format!("/{fails}/")]},
            "when_store_fails": fails,
        })
    };
    json!([
        limit("local", format!("1/h;burst={BURST}")),
        limit("allow", "1/h".to_owned()),
        limit("deny", "1/h".to_owned()),
    ])
}

/// The options of the service, with the files that they name.
fn service_options(store: SocketAddr, directory: &Path, password: &str) -> Vec<String> {
    let file = |name: &str, content: &str| {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let options = [
        ("--limit-store", format!("redis://{store}/1")),
        ("--limit-secret-file", file("limit-secret", "00112233445566778899aabbccddeeff\n")),
        ("--limit-store-password-file", file("password", password)),
        ("--limit-store-timeout", TIMEOUT.to_owned()),
        ("--limit-store-replicas", REPLICAS.to_string()),
    ];
    options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

struct Shared {
    stack: Stack,
    others: Vec<ExtProc>,
    store: Valkey,
    _directories: Vec<TempDir>,
}

impl Shared {
    async fn start() -> Self {
        let password = "of the store";
        let store = Valkey::start(ServerOptions::new().password(password)).await.unwrap();
        let mut config = sample_config();
        config["rate_limits"] = limits();
        let (mut others, mut directories) = (Vec::new(), Vec::new());
        for _ in 1..REPLICAS {
            let directory = tempfile::tempdir().unwrap();
            let options = service_options(store.address().unwrap(), directory.path(), password);
            others.push(ExtProc::start(&config, directory.path(), &options).await.unwrap());
            directories.push(directory);
        }
        let directory = tempfile::tempdir().unwrap();
        let options = service_options(store.address().unwrap(), directory.path(), password);
        directories.push(directory);
        let addresses: Vec<_> = others.iter().map(|other| other.addresses().grpc).collect();
        let stack = Options::default().config(config).adjust(move |bootstrap| add_endpoints(bootstrap, &addresses));
        let stack = options.chunks(2).fold(stack, |stack, pair| stack.service_option(&pair[0], &pair[1]));
        Self { stack: Stack::start(stack).await, others, store, _directories: directories }
    }

    fn replicas(&self) -> impl Iterator<Item = &ExtProc> {
        std::iter::once(self.stack.ext_proc()).chain(&self.others)
    }

    /// Waits until every replica says that the store is available, or that it is not.
    async fn store_is(&self, available: bool) {
        for replica in self.replicas() {
            let wanted = f64::from(u8::from(available));
            let reached = || async { Ok((replica.metric(AVAILABLE).await? == wanted).then_some(())) };
            wait::until(&format!("{AVAILABLE} to be {wanted}"), reached).await.unwrap();
        }
    }

    /// The sum of a metric over all replicas.
    async fn sum(&self, series: &str) -> f64 {
        let mut sum = 0.0;
        for replica in self.replicas() {
            sum += replica.metric(series).await.unwrap();
        }
        sum
    }

    /// Sends requests of a tenant at the same time, each on a connection of its own. Returns how many answers have each of
    /// the statuses 200, 429 and 503.
    async fn at_once(&self, count: usize, path: &'static str, tenant: &'static str) -> [usize; 3] {
        let mut clients = JoinSet::new();
        for _ in 0..count {
            let address = self.stack.address();
            clients.spawn(async move { Http1::connect(address).await?.send(&request(path, tenant)).await });
        }
        let answers = clients.join_all().await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        tally(&answers)
    }

    async fn send(&self, path: &str, tenant: &str) -> Response {
        self.stack.send(&request(path, tenant)).await
    }
}

fn request(path: &str, tenant: &str) -> Request {
    Request::get(path).header("x-tenant-id", tenant)
}

/// How many answers have each of the statuses 200, 429 and 503. There are no others.
#[track_caller]
fn tally(answers: &[Response]) -> [usize; 3] {
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    let tally = [200, 429, 503].map(count);
    assert_eq!(tally.iter().sum::<usize>(), answers.len(), "{answers:?}");
    tally
}

/// Further endpoints of the service. Envoy takes them in turn.
fn add_endpoints(bootstrap: &mut Value, addresses: &[SocketAddr]) {
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
    let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == "ext-proc").unwrap();
    let endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"].as_array_mut().unwrap();
    for address in addresses {
        let mut endpoint = endpoints[0].clone();
        endpoint["endpoint"]["address"]["socket_address"]["port_value"] = json!(address.port());
        endpoints.push(endpoint);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_share_a_bound_and_answer_while_the_store_hangs() {
    let shared = Shared::start().await;
    shared.store_is(true).await;
    exact_over_a_restart(&shared).await;
    answers_without_the_store(&shared).await;
    recovery_does_not_burst(&shared).await;
}

/// Exactly the bound is admitted, and a replica that was killed meanwhile forgets nothing.
async fn exact_over_a_restart(shared: &Shared) {
    let before = 9;
    for _ in 0..before {
        assert_eq!(shared.send("/local/", "acme").await.cell(), "cell-b");
    }
    for replica in shared.replicas() {
        assert_eq!(replica.metric(BY_STORE).await.unwrap(), 3.0, "Envoy does not take the replicas in turn");
    }
    let killed = &shared.others[0];
    killed.kill();
    // Envoy has noticed: no request goes to the killed process.
    shared.stack.admin().wait_for_stat("cluster.ext-proc.upstream_cx_active", |open| open == 2).await;
    killed.restart().await.unwrap();
    shared.store_is(true).await;

    let count = 90;
    let [admitted, refused, failed] = shared.at_once(count, "/local/", "acme").await;
    assert_eq!((admitted, refused, failed), (BURST - before, count + before - BURST, 0));
    assert_eq!(arrived(&shared.stack), BURST as u64);
    for replica in shared.replicas() {
        assert!(replica.metric(BY_STORE).await.unwrap() >= 20.0, "a replica took no part");
    }
    assert_eq!(shared.sum(LATE).await, 0.0);
}

/// While the store hangs, each limit answers by its `when_store_fails`.
async fn answers_without_the_store(shared: &Shared) {
    shared.store.signal(Signal::STOP).unwrap();
    // The first ones wait for the store. The limit has one unit.
    assert_eq!(shared.at_once(30, "/allow/", "acme").await, [30, 0, 0]);
    shared.store_is(false).await;
    assert_eq!(shared.at_once(9, "/deny/", "acme").await, [0, 0, 9]);
    let denied = shared.send("/deny/", "acme").await;
    assert_eq!((denied.status.as_u16(), &*code(&denied)), (503, "limit_unknown"));
    // Each replica admits a third: its share.
    assert_eq!(shared.at_once(90, "/local/", "globex").await, [BURST, 90 - BURST, 0]);

    for (series, least) in [
        (LATE, 1.0),
        (r#"cellgate_rate_limit_store_failures_total{cause="unavailable"}"#, 1.0),
        (r#"cellgate_rate_limit_store_switches_total{to="unavailable"}"#, 1.0),
        (r#"cellgate_rate_limit_answers_total{by="allowed"}"#, 10.0),
        (r#"cellgate_rate_limit_answers_total{by="denied"}"#, 3.0),
        (r#"cellgate_rate_limit_answers_total{by="local"}"#, 30.0),
    ] {
        for replica in shared.replicas() {
            let value = replica.metric(series).await.unwrap();
            assert!(value >= least, "{series} is {value}");
        }
    }
}

/// The store counts again, also what the replicas have admitted without it.
async fn recovery_does_not_burst(shared: &Shared) {
    let counted = shared.sum(BY_STORE).await;
    shared.store.signal(Signal::CONT).unwrap();
    shared.store_is(true).await;
    let mut answers = Vec::new();
    for _ in 0..BURST {
        answers.push(shared.send("/local/", "globex").await);
    }
    // The first request of each replica brings its 10 units. So the store has 10 and 1 after the first, 20 and 2 after the
    // second, and no room for a third.
    assert_eq!(tally(&answers), [2, BURST - 2, 0]);
    assert_eq!(shared.sum("cellgate_rate_limit_carried_units_total").await, 30.0);
    assert_eq!(shared.sum(BY_STORE).await - counted, 30.0);
    assert_eq!(shared.send("/local/", "acme").await.status, 429);
    for replica in shared.replicas() {
        replica.logged(&["the store of rate limits answers again"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported_and_the_right_one_needs_no_restart() {
    let store = Valkey::start(ServerOptions::new().password("right")).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "the-token-of-this-test").unwrap();
    let options = Options::default().configure(|config| config["rate_limits"] = limits());
    let options = options.service_option("--admin-token-file", &token.display().to_string());
    let options = service_options(store.address().unwrap(), directory.path(), "wrong")
        .chunks(2)
        .fold(options, |options, pair| options.service_option(&pair[0], &pair[1]));
    let stack = Stack::start(options).await;
    let service = stack.ext_proc();
    let refused = format!("{} refuses the user or the password", store.address().unwrap());
    service.logged(&[&refused]).await.unwrap();

    let admin = service.addresses().admin.to_string();
    let limits = ["limits", "show", "--admin", &admin, "--token-file", token.to_str().unwrap()];
    for words in [&["inspect", &admin][..], &limits] {
        let output = tokio::process::Command::new(artifacts::cellgate().unwrap()).args(words).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("unavailable") && text.contains(&refused), "{words:?}: {text}");
    }
    let answer = async |path: &str| stack.send(&request(path, "acme")).await;
    assert_eq!(answer("/local/").await.cell(), "cell-b");
    assert_eq!((answer("/allow/").await.status.as_u16(), answer("/allow/").await.status.as_u16()), (200, 200));
    assert_eq!(code(&answer("/deny/").await), "limit_unknown");

    std::fs::write(directory.path().join("password"), "right\n").unwrap();
    let available = || async { Ok((service.metric(AVAILABLE).await? == 1.0).then_some(())) };
    wait::until("the store to be available", available).await.unwrap();
    assert_eq!((answer("/deny/").await.status.as_u16(), answer("/deny/").await.status.as_u16()), (200, 429));
}
