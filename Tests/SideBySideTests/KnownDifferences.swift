// SPDX-License-Identifier: Apache-2.0

/// The intended differences between `mosq` and mosquitto's commands: the row's name, and the reason.
/// `docs/mosq-differences.md` documents them for users.
///
/// A row that no longer differs fails, and must be removed from this list.
let knownDifferences: [String: String] = {
    var differences: [String: String] = [:]
    for (reason, rows) in reasons {
        for row in rows { differences[row] = reason }
    }
    return differences
}()

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
    ("mosquitto_rr sends an empty request instead of the file or the input", ["rr: -f", "rr: -s"]),
    ("mosquitto_rr asks for retained messages also with -R", ["rr: -R"]),
]
