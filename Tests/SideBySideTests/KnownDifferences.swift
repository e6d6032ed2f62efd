// SPDX-License-Identifier: Apache-2.0

/// The intended differences between `mosq` and mosquitto's commands: the row's name, and the reason.
/// `docs/mosq-differences.md` documents them for users.
///
/// A row that no longer differs fails, and must be removed from this list.
func knownDifferences(_ version: ReferenceVersion) -> [String: String] {
    var differences: [String: String] = [:]
    var all = reasons + (version < .v2_1 ? reasonsOf2_0 : reasonsOf2_1)
    if version > .v2_0_11 { all += reasonsAfter2_0_11 }
    for known in all {
        for row in known.rows { differences[row] = known.reason }
    }
    return differences
}

/// Differences from 2.0, of which mosquitto 2.1 has ended some.
private let reasonsOf2_0: [(reason: String, rows: [String])] = [
    ("mosquitto_rr sends an empty request instead of the file or the input", ["rr: -f", "rr: -s"]),
    ("mosquitto_rr asks for retained messages also with -R", ["rr: -R"]),
]

/// Differences from 2.0.21 and 2.1, which do otherwise than 2.0.11.
private let reasonsAfter2_0_11: [(reason: String, rows: [String])] = [
    (
        "the time of JSON has no Z beside its offset; in 2.1 retain is a boolean, and the user properties are a list",
        [
            "rr: --pretty", "rr: -F %j", "sub: -F %J", "sub: -F %J --pretty", "sub: -F %J --pretty, 5.0",
            "sub: -F %J, 5.0", "sub: -F %j --pretty", "sub: -F '%j'", "sub: -F '%j', 5.0", "sub: mosquitto, %J",
            "sub: mosquitto, %j", "sub: mosquitto, --pretty",
        ]
    ),
    ("mosquitto_sub reconnects after a DISCONNECT", ["sub: the broker ends the connection, 5.0"]),
]

/// Differences from 2.1, which does otherwise than 2.0.
private let reasonsOf2_1: [(reason: String, rows: [String])] = [
    (
        "a width of %x counts bytes in 2.1, and digits in 2.0",
        ["sub: -F '%10x|%-10x|%3x|%010X|%-X'", "sub: -F '%10x|%-10x|%3x|%010X|%-X', 5.0"]
    )
]

private let reasons: [(reason: String, rows: [String])] = [
    (
        "the help is mosq's own, goes to standard output only when it was asked for, and is no failure then",
        [
            "pub: only the name", "pub: only -t a", "pub: only -m x", "pub: only --help", "sub: only --help",
            "rr: only --help", "pub: only --version", "sub: only --version", "rr: only --version",
        ]
    ),
    (
        "properties are sent in an order of the library's, which has no meaning",
        [
            "pub: -D connect maximum-packet-size", "pub: -D connect request-problem-information",
            "pub: -D connect request-response-information", "pub: -D connect topic-alias-maximum",
            "pub: -D connect user-property", "pub: properties in another order", "rr: -D publish",
            "rr: -D publish correlation-data",
        ]
    ),
    (
        "an alias that the broker does not allow is not sent",
        ["pub: -D publish topic-alias"]
    ),
    ("mosquitto_pub publishes nothing then, and calls it a success", ["pub: properties with 3.1.1"]),
    ("the library's UNSUBSCRIBE has no properties", ["sub: -D unsubscribe"]),
    ("extended authentication needs TLS here", ["pub: -D connect authentication-method"]),
    ("several filters go into one UNSUBSCRIBE", ["sub: --unsubscribe, twice"]),
    (
        "a filter that no broker can accept is refused before it is sent",
        ["sub: a filter that is refused", "sub: mosquitto, an invalid filter for the broker"]
    ),
    (
        "packet identifiers begin with 1 on each connection",
        ["sub: the broker ends the connection"]
    ),
    ("the shortest expiry of a persistent session is a second", ["sub: -x 0 -c, 5.0"]),
    (
        "mosquitto_sub prints a tenth of what its manual says, even of 100 percent",
        ["sub: --random-filter"]
    ),
    (
        "mosquitto_sub hangs after the DISCONNECT that ends --remove-retained with -C",
        ["sub: --remove-retained", "sub: --remove-retained and -T"]
    ),
]
