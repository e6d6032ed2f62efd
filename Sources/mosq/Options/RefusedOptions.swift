// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The flags of mosquitto's commands, 2.1 included, that cannot be honoured: refused with a reason, never ignored.
struct RefusedOptions: ParsableArguments {
    @Option(name: .customLong("tls-engine-kpass-sha1"), parsing: .unconditional) var enginePassword: String?
    @Flag(name: .customShort("S")) var serviceLookup = false

    func check() throws {
        try Self.refuse([
            (
                enginePassword != nil,
                "--tls-engine-kpass-sha1 is not supported: a hash is no passphrase; put the PIN into the key's URI."
            ),
            (serviceLookup, "-S is not supported: libmosquitto is built without SRV look-ups; give -h and -p."),
        ])
    }

    static func refuse(_ flags: [(isGiven: Bool, reason: String)]) throws {
        if let flag = flags.first(where: \.isGiven) { throw CommandFailure.usage(flag.reason) }
    }
}

/// The refused flags that only `mosquitto_sub` has, since 2.1.
struct RefusedSubOptions: ParsableArguments {
    @Flag(name: [.customShort("w"), .long]) var watch = false
    @Flag(name: .customLong("message-rate")) var messageRate = false

    func check() throws {
        try RefusedOptions.refuse([
            (watch, "--watch is not supported; use -v and a pager."),
            (messageRate, "--message-rate is not supported; use mosq bench sub."),
        ])
    }
}

/// The refused flag that only `mosquitto_rr` has, since 2.1.
struct RefusedRrOptions: ParsableArguments {
    @Flag(name: .long) var latency = false

    func check() throws {
        try RefusedOptions.refuse([(latency, "--latency is not supported; use mosq bench sub.")])
    }
}

extension RefusedOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        enginePassword = words.text("--tls-engine-kpass-sha1")
        serviceLookup = words.flag("-S")
    }
}

extension RefusedSubOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        watch = words.flag("-w", "--watch")
        messageRate = words.flag("--message-rate")
    }
}

extension RefusedRrOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        latency = words.flag("--latency")
    }
}
