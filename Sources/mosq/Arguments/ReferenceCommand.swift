// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The commands of mosquitto that `mosq` replaces.
enum ReferenceCommand: String, CaseIterable, Sendable {
    case pub, sub, rr

    /// The name of mosquitto's own command, of its options file, and of a link to `mosq` that behaves in the same way.
    var name: String { "mosquitto_" + rawValue }

    /// The command of `mosq` that replaces it.
    var type: any (AsyncParsableCommand & ReadableArguments).Type {
        switch self {
        case .pub: Pub.self
        case .sub: Sub.self
        case .rr: Rr.self
        }
    }

    /// Returns true if the word is a flag that takes the next word as its value.
    func takesValue(_ word: String) -> Bool {
        ReferenceFlag.named(word, of: self).map { $0.value != .none } ?? AddedFlag.withValue.contains(word)
    }

    /// Returns the command of that name.
    init?(name: some StringProtocol) {
        guard let command = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = command
    }
}
