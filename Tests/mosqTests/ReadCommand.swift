// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Testing

@testable import mosq

extension ParsableCommand {
    /// Returns the command of these words, as the program reads them: without the argument parser, if that is possible.
    static func read(_ words: [String]) throws -> Self {
        try #require(try Main.command([_commandName] + words) as? Self)
    }
}
