//! What a configuration may not ask for, as each request or each start would pay for it.

use cellgate_routing::Config;

#[test]
fn lists_that_every_request_goes_through_are_short() {
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
        ("applies_to.methods", "GET"),
        ("applies_to.paths", "/a"),
    ] {
        Config::from_yaml(&text(field, item, 64), "long.yaml").unwrap();
        let error = Config::from_yaml(&text(field, item, 65), "long.yaml").unwrap_err().to_string();
        assert!(error.ends_with(&format!(": {field}: expected at most 64 items, found 65")), "{error}");
    }
}

#[test]
fn a_slot_table_that_takes_too_long_to_make_is_refused() {
    let check = |cells: usize, drained: usize, placement: &str| {
        let names: Vec<_> = (0..cells).map(|number| format!("c{number}")).collect();
        let weights: Vec<_> =
            names.iter().enumerate().map(|(n, name)| format!("{name}: {}", u8::from(n >= drained))).collect();
        let placement = placement.replace("WEIGHTS", &weights.join(", "));
        let text =
            format!("routing_header: x\ncells: [{}]\nkey: [{{ json: /t }}]\nplacement: {placement}", names.join(", "));
        Config::from_yaml(&text, "slots.yaml").map(|_| ()).map_err(|error| error.to_string())
    };
    let refused = |place: &str, most: u32, cells: u32, found: u32| {
        Err(format!(
            "slots.yaml:4:{place}: expected at most {most} slots for {cells} cells with a weight above 0, found {found}: \
             every start shares all slots out among all cells"
        ))
    };
    assert_eq!(check(1024, 0, "{ slots: { count: 4096 } }"), Ok(()));
    assert_eq!(check(1024, 0, "{ slots: { count: 4097 } }"), refused("30: placement.slots.count", 4096, 1024, 4097));
    assert_eq!(check(257, 0, "{ slots: {} }"), refused("21: placement.slots.count", 16_320, 257, 16_384));
    assert_eq!(check(257, 1, "{ slots: { weights: { WEIGHTS } } }"), Ok(()));
    // Without slots of its own, `hash` has the default count.
    let hash = "{ exact: { k: c0 } }\npolicy: { key_unplaced: hash }";
    assert_eq!(check(256, 0, hash), Ok(()));
    assert_eq!(check(257, 0, hash), refused("12: placement.slots", 16_320, 257, 16_384));
}
