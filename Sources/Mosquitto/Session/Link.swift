/// A connection, and the loop's watch over its socket.
struct Link {
    let connection: Connection
    private let loop: EventLoopCore
    let token: UInt64
    private var interest: PollEvents

    /// Watches a connection for a client of the loop.
    init(_ connection: Connection, loop: EventLoopCore, client: any EventLoopClient) throws(MQTTError) {
        self.connection = connection
        self.loop = loop
        interest = connection.interest
        let token = loop.register(
            connection.descriptor, client: client, interest: interest, isPatient: connection.tls != nil)
        guard let token else { throw MQTTError(.system, "the socket cannot be watched") }
        self.token = token
    }

    /// Has the socket watched for what the connection wants now.
    mutating func update() {
        guard interest != connection.interest else { return }
        interest = connection.interest
        loop.setInterest(connection.descriptor, token: token, interest)
    }

    /// The handshake is over: readiness is not put off any more.
    func hurry() { loop.hurry(token) }

    func close() {
        loop.unregister(connection.descriptor, token: token)
        connection.close()
    }
}
