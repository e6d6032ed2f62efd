// SPDX-License-Identifier: Apache-2.0

/// A connection, and the registration of its socket with the loop.
struct Link {
    let connection: Connection
    private let loop: EventLoopCore
    let token: UInt64
    private var interest: PollEvents

    /// Registers a connection's socket for a client of the loop.
    init(_ connection: Connection, loop: EventLoopCore, client: any EventLoopClient) throws(MQTTError) {
        self.connection = connection
        self.loop = loop
        interest = connection.interest
        let token = loop.register(
            connection.descriptor, client: client, interest: interest, isPatient: connection.stage < .upgrading)
        guard let token else { throw MQTTError(.system, "the socket cannot be watched") }
        self.token = token
    }

    /// Updates the registration to the events that the connection waits for.
    mutating func update() {
        guard interest != connection.interest else { return }
        interest = connection.interest
        loop.setInterest(connection.descriptor, token: token, interest)
    }

    /// Ends the low priority of the socket: the handshake is over.
    func hurry() { loop.hurry(token) }

    func close() {
        loop.unregister(connection.descriptor, token: token)
        connection.close()
    }
}
