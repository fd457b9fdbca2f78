use super::*;

fn settings() -> RedisSettings {
    RedisSettings::new(RedisAddress { host: "redis".to_owned(), port: 6379 })
}

#[test]
fn settings_that_cannot_be_used_have_a_reason() {
    assert_eq!(settings().check(), Ok(()));
    let cluster = Topology::Cluster(Atomicity::Domain);
    let two = vec![settings().addresses[0].clone(); 2];
    for (settings, bad) in [
        (RedisSettings { addresses: vec![], ..settings() }, BadSettings::NoAddress),
        (RedisSettings { addresses: two.clone(), ..settings() }, BadSettings::ManyAddresses(2)),
        (RedisSettings { topology: cluster, database: 1, ..settings() }, BadSettings::ClusterDatabase(1)),
        (RedisSettings { prefix: String::new(), ..settings() }, BadSettings::Prefix(String::new())),
        (RedisSettings { prefix: "{a}".to_owned(), ..settings() }, BadSettings::Prefix("{a}".to_owned())),
        (RedisSettings { deadline: Duration::ZERO, ..settings() }, BadSettings::Deadline(Duration::ZERO)),
        (RedisSettings { max_failures: 0, ..settings() }, BadSettings::Zero("max_failures")),
        (RedisSettings { max_in_flight: 0, ..settings() }, BadSettings::Zero("max_in_flight")),
        (RedisSettings { replicas: 0, ..settings() }, BadSettings::Zero("replicas")),
        (RedisSettings { max_local_keys: 0, ..settings() }, BadSettings::Zero("max_local_keys")),
    ] {
        assert_eq!(settings.check(), Err(bad));
    }
    assert_eq!(RedisSettings { addresses: two, topology: cluster, ..settings() }.check(), Ok(()));
}

#[test]
fn an_address_is_written_as_in_a_url() {
    let text = |host: &str| RedisAddress { host: host.to_owned(), port: 6379 }.to_string();
    assert_eq!((text("redis.svc"), text("::1")), ("redis.svc:6379".to_owned(), "[::1]:6379".to_owned()));
}
