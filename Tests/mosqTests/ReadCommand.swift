// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

@testable import mosq

extension AsyncParsableCommand {
    /// Returns the command of these words, as the program reads them: by the argument parser only if it has to.
    static func read(_ words: [String]) throws -> Self {
        try ArgumentReader.command([_commandName] + words) as? Self ?? parse(words)
    }
}

extension ConnectionOptions {
    /// Returns the options of these words, as `mosq pub` reads them.
    static func read(_ words: [String]) throws -> Self { try Pub.read(words).connection }
}
