//! Limits of a configuration on the time that each request or each start takes.

#[test]
fn lists_that_every_request_is_compared_with_have_at_most_64_items() {
    let text = |field: &str, item: &str, items: usize| {
        let (section, field) = field.split_once('.').unwrap();
        let items = vec![item; items].join(", ");
        format!(
            "routing_header: x\ncells: [a]\nkey: [{{ json: /t }}]\nplacement: {{ default: a }}\n{section}: {{ {field}: [{items}] }}"
        )
    };
    for (field, item) in [
        ("content_types.json", "a/json"),
        ("content_types.form", "a/form"),
        ("applies_to.hosts", "a.example.com"),
        ("applies_to.methods", "GET"),
        ("applies_to.paths", "/a"),
    ] {
        cellgate_config::from_yaml(&text(field, item, 64), "long.yaml").unwrap();
        let error = cellgate_config::from_yaml(&text(field, item, 65), "long.yaml").unwrap_err().to_string();
        assert!(error.ends_with(&format!(": {field}: expected at most 64 items, found 65")), "{error}");
    }
}

#[test]
fn peers_are_at_most_64_spiffe_ids() {
    let accepted = |peers: &[String]| {
        let peers = peers.join(", ");
        let text = format!(
            "routing_header: x\ncells: [a]\nkey: [{{ json: /t }}]\nplacement: {{ default: a }}\ndecided_by: {{ peers: [{peers}] }}"
        );
        cellgate_config::from_yaml(&text, "peers.yaml").map(|_| ()).map_err(|error| error.to_string())
    };
    let many: Vec<_> = (0..65).map(|number| format!("spiffe://a/{number}")).collect();
    assert_eq!(accepted(&many[..64]), Ok(()));
    assert!(accepted(&many).unwrap_err().ends_with(": decided_by.peers: expected at most 64 items, found 65"));

    let long = |size: usize| format!("spiffe://a/{}", "b".repeat(size - "spiffe://a/".len()));
    assert_eq!(accepted(&[long(2048)]), Ok(()));
    assert!(accepted(&[long(2049)]).unwrap_err().ends_with("[0]: expected at most 2048 bytes, found 2049"));

    for good in ["spiffe://a/b", "spiffe://a-b_c.1/B/..b/.b/b..", &format!("spiffe://{}/b", "a".repeat(255))] {
        assert_eq!(accepted(&[good.to_owned()]), Ok(()), "{good}");
    }
    for bad in [
        "SPIFFE://a/b",
        "spiffe:/a/b",
        "https://a/b",
        "spiffe:///b",
        "spiffe://a",
        "spiffe://a/",
        "spiffe://a/b/",
        "spiffe://a//b",
        "spiffe://a/./b",
        "spiffe://a/..",
        "spiffe://A/b",
        "spiffe://a:80/b",
        "spiffe://u@a/b",
        "'spiffe://a/b?c'",
        "'spiffe://a/b#c'",
        "'spiffe://a/%62'",
        "spiffe://a/é",
        "'spiffe://a/b '",
        &format!("spiffe://{}/b", "a".repeat(256)),
    ] {
        assert!(accepted(&[bad.to_owned()]).unwrap_err().contains("expected a SPIFFE ID"), "{bad}");
    }
}

#[test]
fn a_slot_table_that_takes_too_long_to_build_is_refused() {
    let check = |cells: usize, drained: usize, placement: &str| {
        let names: Vec<_> = (0..cells).map(|number| format!("c{number}")).collect();
        let weights: Vec<_> =
            names.iter().enumerate().map(|(n, name)| format!("{name}: {}", u8::from(n >= drained))).collect();
        let placement = placement.replace("WEIGHTS", &weights.join(", "));
        let text =
            format!("routing_header: x\ncells: [{}]\nkey: [{{ json: /t }}]\nplacement: {placement}", names.join(", "));
        cellgate_config::from_yaml(&text, "slots.yaml").map(|_| ()).map_err(|error| error.to_string())
    };
    let refused = |place: &str, most: u32, cells: u32, found: u32| {
        Err(format!(
            "slots.yaml:4:{place}: expected at most {most} slots for {cells} cells with a weight above 0, found {found}: \
             the time to build the table grows with both"
        ))
    };
    assert_eq!(check(1024, 0, "{ slots: { count: 4096 } }"), Ok(()));
    assert_eq!(check(1024, 0, "{ slots: { count: 4097 } }"), refused("30: placement.slots.count", 4096, 1024, 4097));
    assert_eq!(check(257, 0, "{ slots: {} }"), refused("21: placement.slots.count", 16_320, 257, 16_384));
    assert_eq!(check(257, 1, "{ slots: { weights: { WEIGHTS } } }"), Ok(()));
    // Without `slots`, the action `hash` uses the default count.
    let hash = "{ exact: { k: c0 } }\npolicy: { key_unplaced: hash }";
    assert_eq!(check(256, 0, hash), Ok(()));
    assert_eq!(check(257, 0, hash), refused("12: placement.slots", 16_320, 257, 16_384));
}
