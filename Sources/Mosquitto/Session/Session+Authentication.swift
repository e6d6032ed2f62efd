/// Enhanced authentication (MQTT 5.0, section 4.12): the AUTH packets, which libmosquitto does not know.
extension Session {
    /// What an authenticator made in time, checked. Its own errors are those of a credential provider.
    static func authenticationData(
        within timeout: Duration, _ make: @escaping @Sendable () async throws -> [UInt8]?
    ) async -> Result<[UInt8]?, MQTTError> {
        let made = await within(timeout) { () -> Result<[UInt8]?, MQTTError> in
            do { return .success(try await make()) } catch { return .failure(TokenRotator.failure(error)) }
        }
        guard let made else { return .failure(TokenRotator.overdue(timeout, "authenticator")) }
        if case .success(let data?) = made, data.count > 65_535 {
            return .failure(
                MQTTError(
                    .credentials, "the authentication data has \(data.count) bytes; at most 65535 are allowed",
                    phase: .credentials))
        }
        return made
    }

    /// Begins a re-authentication with the new credentials.
    func reauthenticate() {
        guard let authenticator = configuration.authenticator, connection != nil else {
            return perform(machine.reauthenticationFailed())
        }
        shown = credentials
        sendAuthentication(.reauthenticate, authenticator.method, authenticationData)
    }

    /// An AUTH packet of the broker.
    func authentication(_ packet: ServerAuthentication) {
        guard let authenticator = configuration.authenticator else { return }
        switch MQTTReasonCode(rawValue: packet.reasonCode) {
        case .continueAuthentication: answer(packet.data, authenticator)
        case .success: perform(machine.reauthenticated(refreshIn: refreshDelay()))
        default:
            ended(MQTTError(.protocolViolation, "the broker sent AUTH with the reason code \(packet.reasonCode)"))
        }
    }

    private func answer(_ challenge: [UInt8], _ authenticator: any MQTTAuthenticator) {
        let attempt = generation
        let credentials = credentials
        let timeout = configuration.timeouts.credentials
        credentialTask = Task { [weak self] in
            let answer = await Self.authenticationData(within: timeout) {
                try await authenticator.respond(to: challenge, with: credentials)
            }
            await self?.answered(answer, authenticator.method, attempt: attempt)
        }
    }

    private func answered(_ answer: Result<[UInt8]?, MQTTError>, _ method: String, attempt: Int) {
        guard attempt == generation else { return }
        switch answer {
        case .success(let data):
            sendAuthentication(.continueAuthentication, method, data)
        case .failure(let error):
            if case .dialing = machine.state { fail(error) } else { perform(machine.reauthenticationFailed()) }
        }
    }

    private func sendAuthentication(_ code: MQTTReasonCode, _ method: String, _ data: [UInt8]?) {
        connection?.sendAuthentication(code.rawValue, method: method, data: data)
        needsFlush()
    }
}
