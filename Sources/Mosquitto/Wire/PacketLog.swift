import Logging

/// Writes a line for each packet at the level trace, as libmosquitto writes its own.
struct PacketLog {
    private let logger: Logger
    private let clientID: String

    /// `nil` if nobody reads them.
    init?(_ logger: Logger, clientID: String) {
        guard logger.logLevel <= .trace else { return nil }
        (self.logger, self.clientID) = (logger, clientID)
    }

    func callAsFunction(_ line: String) { logger.trace("Client \(clientID) \(line)") }

    /// A line that does not name the client.
    func nameless(_ line: String) { logger.trace("\(line)") }
}
