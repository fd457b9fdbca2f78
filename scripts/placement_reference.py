#!/usr/bin/env python3
"""An independent implementation of docs/placement.md, in plain Python with integers only.

Checks the test vectors (routing/tests/vectors/placement.json, or the file named) and exits with 1 if any differs.
"""

import json
import pathlib
import sys

MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def rotate(value, bits):
    return (value << bits | value >> (64 - bits)) & MASK


def xxh64(data, seed):
    """XXH64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md)."""

    def round_(lane, word):
        return rotate(lane + word * P2 & MASK, 31) * P1 & MASK

    def word(at, size):
        return int.from_bytes(data[at : at + size], "little")

    at = 0
    if len(data) >= 32:
        lanes = [seed + P1 + P2 & MASK, seed + P2 & MASK, seed, seed - P1 & MASK]
        while at + 32 <= len(data):
            lanes = [round_(lane, word(at + 8 * i, 8)) for i, lane in enumerate(lanes)]
            at += 32
        result = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            result = ((result ^ round_(0, lane)) * P1 + P4) & MASK
    else:
        result = seed + P5 & MASK
    result = result + len(data) & MASK
    while at + 8 <= len(data):
        result = (rotate(result ^ round_(0, word(at, 8)), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= len(data):
        result = (rotate(result ^ word(at, 4) * P1 & MASK, 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        result = rotate(result ^ byte * P5 & MASK, 11) * P1 & MASK
    result = (result ^ result >> 33) * P2 & MASK
    result = (result ^ result >> 29) * P3 & MASK
    return result ^ result >> 32


def cost(draw):
    """-log2(draw / 2^64) with 32 fractional bits."""
    draw |= 1
    exponent = draw.bit_length() - 1
    mantissa = draw << (63 - exponent)
    fraction = 0
    for _ in range(32):
        square = mantissa * mantissa
        bit = square >> 127
        fraction = fraction << 1 | bit
        mantissa = square >> (63 + bit)
    return (64 - exponent << 32) - fraction


def owner(slot, seed, weights):
    """The cell of a slot: the smallest cost / weight, the smaller name among equals."""
    best = None
    for name in sorted((name for name in weights if weights[name] > 0), key=str.encode):
        price = cost(xxh64(slot.to_bytes(4, "big") + name.encode(), seed))
        if best is None or price * weights[best[1]] < best[0] * weights[name]:
            best = (price, name)
    return best[1]


def place(key, rules, owners):
    """The cell of a key and the rule that names it."""
    for rule, table in (("override", "overrides"), ("exact", "exact")):
        if key in rules.get(table, {}):
            return rules[table][key], rule
    matching = [prefix for prefix in rules.get("prefixes", {}) if key.startswith(prefix)]
    if matching:
        return rules["prefixes"][max(matching, key=lambda prefix: len(prefix.encode()))], "prefix"
    if "slots" in rules:
        slots = rules["slots"]
        return owners[xxh64(key.encode(), slots["seed"]) % slots["count"]], "slot"
    if "default" in rules:
        return rules["default"], "default"
    return None, None


def check(vectors):
    """Yields (what, expected, found)."""
    for case in vectors["xxh64"]:
        yield f"xxh64 {case}", case["hash"], f"{xxh64(case['text'].encode(), case['seed']):016x}"
    for case in vectors["cost"]:
        yield f"cost {case['draw']}", case["cost"], cost(int(case["draw"], 16))
    for placement in vectors["placements"]:
        rules, owners = placement["placement"], []
        if "slots" in rules:
            slots = rules["slots"]
            weights = slots.get("weights") or {cell: 1 for cell in placement["cells"]}
            owners = [owner(slot, slots["seed"], weights) for slot in range(slots["count"])]
            table = b"".join(name.encode() + b"\n" for name in owners)
            yield "table", placement["table_xxh64"], f"{xxh64(table, 0):016x}"
            for slot, cell in placement["owners"]:
                yield f"slot {slot}", cell, owners[slot]
        for key, cell, rule in placement["keys"]:
            yield f"key {key}", (cell, rule), place(key, rules, owners)


def main():
    default = pathlib.Path(__file__).parent.parent / "routing/tests/vectors/placement.json"
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    results = list(check(json.loads(path.read_text(encoding="utf-8"))))
    for what, expected, found in results:
        if expected != found:
            print(f"{what}: expected {expected}, found {found}")
    agree = sum(expected == found for _, expected, found in results)
    print(f"placement vectors: {agree} of {len(results)} agree")
    sys.exit(0 if agree == len(results) and results else 1)


if __name__ == "__main__":
    main()
