// SPDX-License-Identifier: Apache-2.0

/// Enhanced authentication (MQTT 5.0, section 4.12): the AUTH packets.
extension Session {
    /// Begins a re-authentication with the new credentials.
    func reauthenticate() {
        guard connection != nil, let (method, data) = keeper.reauthenticate() else {
            return perform(machine.reauthenticationFailed())
        }
        sendAuthentication(.reauthenticate, method, data)
    }

    /// Handles an AUTH packet.
    func authentication(_ packet: ServerAuthentication) {
        guard let method = keeper.method, let answer = keeper.answer(to: packet.data) else { return }
        switch MQTTReasonCode(rawValue: packet.reasonCode) {
        case .continueAuthentication:
            let attempt = generation
            keeper.task = Task { [weak self] in
                let answer = await answer()
                await self?.answered(answer, method, attempt: attempt)
            }
        case .success: perform(machine.reauthenticated(refreshIn: keeper.refreshDelay(now: .now)))
        default:
            ended(MQTTError(.protocolViolation, "the broker sent AUTH with the reason code \(packet.reasonCode)"))
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
        connection?.writeSecret(PacketEncoder.auth(code.rawValue, method: method, data: data))
        needsFlush()
    }
}
