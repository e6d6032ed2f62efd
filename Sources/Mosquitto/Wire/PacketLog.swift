// SPDX-License-Identifier: Apache-2.0

import Logging

/// Logs a line for each packet at trace level, in libmosquitto's format.
struct PacketLog {
    private let logger: Logger
    private let clientID: String

    /// Returns `nil` if the logger discards trace messages.
    init?(_ logger: Logger, clientID: String) {
        guard logger.logLevel <= .trace else { return nil }
        (self.logger, self.clientID) = (logger, clientID)
    }

    func callAsFunction(_ line: String) { logger.trace("Client \(clientID) \(line)") }

    /// Logs a line without the client identifier.
    func nameless(_ line: String) { logger.trace("\(line)") }
}
