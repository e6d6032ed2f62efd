// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The file by which `mosq health` finds out about a running command.
struct HealthOptions: ParsableArguments {
    @Option(
        name: .customLong("health-file"), parsing: .unconditional,
        help: "A file that tells \"mosq health\" how the client is: written every 2 seconds, removed at the end.")
    var path: String?
}

extension HealthOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        path = words.text("--health-file")
    }
}
