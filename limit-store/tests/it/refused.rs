//! Servers that cannot be used: the reason says why, and what to do. All of them are in a fixture.

use std::path::PathBuf;

use cellgate_limit_store::WhenStoreFails::Deny;
use cellgate_limit_store::{
    Atomicity, BadSettings, Credentials, Judge, RedisSettings, StoreFailure, TlsFiles, Topology,
};
use cellgate_tests::ports::ClosedPort;
use cellgate_tests::valkey::{ServerOptions, Valkey, cluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{ask, available, charge, connected, open, settings, unavailable};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/messages/unavailable.txt");

fn with_password(settings: RedisSettings, user: Option<&str>, password_file: PathBuf) -> RedisSettings {
    let credentials = Credentials { user: user.map(str::to_owned), password_file };
    RedisSettings { credentials: Some(credentials), ..settings }
}

/// The reason why no connection is made, without the port.
async fn reason(settings: RedisSettings) -> String {
    let store = open(settings.clone());
    let reason = unavailable(&store).await;
    assert_eq!(ask(&store, charge("a", "1/h", Deny)).await, (false, Judge::Denied, None));
    let port = settings.addresses[0].port.to_string();
    reason.replace(&port, "PORT")
}

#[tokio::test]
async fn every_reason_is_in_the_fixture() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let plain = Valkey::start(ServerOptions::new().option("databases", ["4"])).await.unwrap();
    let locked = Valkey::start(ServerOptions::new().password("correct")).await.unwrap();
    let full = Valkey::start(ServerOptions::new().option("maxmemory", ["1"])).await.unwrap();
    let nodes = cluster().await.unwrap();
    let closed = ClosedPort::take().unwrap();
    // A node that does not have the slot of the keys: with the slot, it would do as a standalone server.
    let slot: u16 = nodes[0].command(&["CLUSTER", "KEYSLOT", "{cellgate:limit:}"]).await.unwrap().parse().unwrap();
    let other = if slot <= 5460 { &nodes[1] } else { &nodes[0] };
    let [plain, locked, full, node, closed] = [
        plain.address().unwrap(),
        locked.address().unwrap(),
        full.address().unwrap(),
        other.address().unwrap(),
        closed.address().unwrap(),
    ]
    .map(settings);
    let web = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        settings(address)
    };
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = settings(silent.local_addr().unwrap());
    let tls = |settings: RedisSettings, ca: Option<PathBuf>| RedisSettings {
        tls: Some(TlsFiles { ca, client: None }),
        ..settings
    };
    let cases = [
        ("nothing listens", closed.clone()),
        ("no password", locked.clone()),
        ("wrong password", with_password(locked.clone(), None, file("wrong", "wrong\n"))),
        ("unknown user", with_password(locked.clone(), Some("nobody"), file("correct", "correct"))),
        ("empty password", with_password(locked.clone(), None, file("empty", "\n"))),
        ("no file of the password", with_password(locked.clone(), None, directory.path().join("none"))),
        ("no such database", RedisSettings { database: 4, ..plain.clone() }),
        ("another protocol", web),
        ("a server that says nothing", silent),
        ("TLS to a server without", tls(plain.clone(), None)),
        ("a file that is no certificate", tls(plain.clone(), Some(file("ca", "-----BEGIN CERTIFICATE-----\nAA")))),
        ("a node of a cluster as a standalone server", node),
        (
            "a standalone server as a cluster",
            RedisSettings { topology: Topology::Cluster(Atomicity::Domain), ..plain.clone() },
        ),
        ("a cluster where nothing listens", RedisSettings { topology: Topology::Cluster(Atomicity::Key), ..closed }),
        ("a server whose memory is full", full),
    ];
    let mut actual = String::new();
    for (name, settings) in cases {
        let reason = reason(settings).await.replace(directory.path().to_str().unwrap(), "DIRECTORY");
        actual += &format!("{name}:\n    {reason}\n");
    }
    actual += "settings:\n";
    let zero = std::time::Duration::ZERO;
    for bad in [
        BadSettings::NoAddress,
        BadSettings::ManyAddresses(2),
        BadSettings::ClusterDatabase(1),
        BadSettings::Prefix("{a}".to_owned()),
        BadSettings::Zero("max_failures"),
        BadSettings::Deadline(zero),
    ] {
        actual += &format!("    {bad}\n");
    }
    actual += "failures of a store that was connected:\n";
    for failure in [
        StoreFailure::Unavailable,
        StoreFailure::Overloaded,
        StoreFailure::Deadline,
        StoreFailure::Connection("ERROR".to_owned()),
        StoreFailure::Refused("ERROR".to_owned()),
        StoreFailure::Reply,
    ] {
        actual += &format!("    127.0.0.1:PORT {failure}\n");
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(SNAPSHOT, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        assert_eq!(actual, expected, "UPDATE=1 writes {SNAPSHOT}");
    }
    assert_eq!(actual.lines().count(), expected.lines().count(), "UPDATE=1 writes {SNAPSHOT}");
}

#[tokio::test]
async fn a_password_is_read_again_for_each_connection() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "first\n").unwrap();
    let server = Valkey::start(ServerOptions::new().password("first")).await.unwrap();
    let store = connected(with_password(settings(server.address().unwrap()), None, file.clone())).await;
    assert!(ask(&store, charge("a", "10/h", Deny)).await.0);

    server.command(&["CONFIG", "SET", "requirepass", "second"]).await.unwrap();
    server.command_with_password("second", &["CLIENT", "KILL", "TYPE", "normal"]).await.unwrap();
    let reason = unavailable(&store).await;
    assert!(reason.contains("closed the connection") || reason.contains("refuses the user"), "{reason}");
    std::fs::write(&file, "second\n").unwrap();
    available(&store).await;
    assert_eq!(ask(&store, charge("a", "10/h", Deny)).await, (true, Judge::Store, Some(8)));
}

#[tokio::test]
async fn a_user_of_its_own_needs_few_commands() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "secret").unwrap();
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    // As the documentation of the settings says.
    let rules =
        "on >secret ~{cellgate:limit:}* -@all +hello +client|setinfo +evalsha +eval +get +getdel +set +del +time";
    let words: Vec<&str> = ["ACL", "SETUSER", "cellgate"].into_iter().chain(rules.split(' ')).collect();
    server.command(&words).await.unwrap();
    let one = charge("a", "10/h", Deny);
    let store = connected(with_password(settings(server.address().unwrap()), Some("cellgate"), file.clone())).await;
    assert_eq!(ask(&store, one).await, (true, Judge::Store, Some(9)));
    assert!(store.usage(one.charge.key).await.unwrap().is_some());
    assert!(store.forget(one.charge.key).await.unwrap().is_some());
    // Keys of others are out of its reach.
    let mut other = with_password(settings(server.address().unwrap()), Some("cellgate"), file);
    other.prefix = "other:".to_owned();
    let reason = unavailable(&open(other)).await;
    assert!(reason.contains("No permissions"), "{reason}");
}
