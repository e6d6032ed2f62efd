// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The time after which a command that waits for messages ends.
struct TimeoutOption: ParsableArguments {
    @Option(name: .customShort("W"), parsing: .unconditional, help: "End with status 27 after so many seconds.")
    var seconds: Int?

    func duration() throws -> Duration? {
        guard let seconds else { return nil }
        guard (1...0xFFFF_FFFF).contains(seconds) else {
            throw CommandFailure.usage("Invalid timeout \"\(seconds)\".")
        }
        return .seconds(seconds)
    }
}

extension TimeoutOption: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        seconds = words.number("-W")
    }
}
