// SPDX-License-Identifier: Apache-2.0

/// The way through a proxy with TLS.
extension Connection {
    /// True until the proxy has connected to the broker.
    var isTunnelling: Bool { stage == .tunnelling }

    /// Performs the first steps.
    func start() throws(MQTTError) -> Progress { isTunnelling ? try advanceTunnel() : .reached }

    /// Performs the possible steps of the proxy's TLS handshake and of its answer to CONNECT.
    func advanceTunnel() throws(MQTTError) -> Progress {
        guard isTunnelling, let tunnel else { return .reached }
        let step: Result<TLSStream.Step, MQTTError>
        do throws(MQTTError) { step = .success(try tunnel.establish(&received, scratch: scratch)) } catch {
            step = .failure(error)
        }
        let rest = try sendHandshake(step, .connect)
        defer { updateInterest() }
        if let rest { return rest }
        stage = firstStage
        return .reached
    }

    /// Decodes what has arrived together with the proxy's answer: the socket does not report it again.
    func consumeEarly() throws(MQTTError) {
        if tunnel != nil, stage == .established { try consume() }
    }

    /// Returns the error of a proxy that closed the connection before it was one to the broker.
    func proxyEnd(_ code: Int32? = nil) -> MQTTError {
        let hint = hasReceived ? "" : " without an answer to the TLS handshake; use an http proxy if it has no TLS"
        var error = MQTTError(.closed, "the proxy closed the connection" + hint, phase: .connect)
        error.systemCode = code
        return error
    }
}
