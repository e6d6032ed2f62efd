// SPDX-License-Identifier: Apache-2.0

/// The commands of mosquitto that `mosq` replaces.
enum ReferenceCommand: String, CaseIterable, Sendable {
    case pub, sub, rr

    /// The name of mosquitto's own command, of its options file, and of a link to `mosq` that behaves in the same way.
    var name: String { "mosquitto_" + rawValue }

    /// Returns the command of that name.
    init?(name: some StringProtocol) {
        guard let command = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = command
    }
}
