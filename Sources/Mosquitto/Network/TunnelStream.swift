// SPDX-License-Identifier: Apache-2.0

/// A connection to a broker within the TLS session of a proxy: TLS with the proxy, CONNECT, and then the broker's
/// transport, whose bytes are the payload of the proxy's.
final class TunnelStream: Transport {
    /// The proxy: its TLS, and the request to it.
    struct Proxy {
        let context: TLSContext
        let handshake: HTTPConnectHandshake
    }

    private let proxy: TLSStream
    private let broker: any Transport
    /// The handshake, until the tunnel is open.
    private var handshake: HTTPConnectHandshake?
    private var isRequested = false
    /// Decrypted bytes, for the broker's transport.
    private var received = ByteQueue()
    /// True after the first byte from beyond the proxy.
    private(set) var hasReceived = false
    /// The protocol of a broker whose first bytes are neither TLS nor MQTT.
    private(set) var foreign: ForeignProtocol?

    init(_ broker: any Transport, through proxy: Proxy) throws(MQTTError) {
        self.broker = broker
        self.proxy = try TLSStream(proxy.context)
        handshake = proxy.handshake
    }

    /// True if the received bytes end within a record of the broker.
    var isInMidRecord: Bool { !received.isEmpty }

    // MARK: Opening

    /// Performs the steps for which bytes were received, up to the proxy's answer to CONNECT. The bytes they produce
    /// must be sent, even if a step fails.
    func establish(
        _ ciphertext: inout ByteQueue, scratch: UnsafeMutableRawBufferPointer
    ) throws(MQTTError) -> TLSStream.Step {
        if !isRequested {
            let step = try ofProxy { () throws(MQTTError) in try proxy.handshake(&ciphertext) }
            guard case .finished = step else { return step }
            isRequested = true
            try request()
        }
        while handshake != nil {
            guard try fill(&ciphertext, scratch) else { return .pending }
        }
        return .finished
    }

    /// Sets the decision about the proxy, before its handshake is resumed.
    func answer(isTrusted: Bool) { proxy.answer(isTrusted: isTrusted) }

    private func request() throws(MQTTError) {
        guard var request = handshake?.greeting else { return }
        defer { SecretBytes.cleanse(&request) }
        let result = request.withUnsafeBytes { bytes in
            Result { () throws(MQTTError) in try ofProxy { () throws(MQTTError) in try proxy.write(bytes) } }
        }
        try result.get()
    }

    /// Performs the steps of the broker's handshake for which bytes were received.
    func handshake(
        of tls: TLSStream, _ ciphertext: inout ByteQueue, scratch: UnsafeMutableRawBufferPointer
    ) throws(MQTTError) -> TLSStream.Step {
        while true {
            let step = try tls.handshake(&received)
            guard case .pending = step, try fill(&ciphertext, scratch) else { return step }
        }
    }

    // MARK: Inbound

    func open(_ ciphertext: inout ByteQueue, into scratch: UnsafeMutableRawBufferPointer) throws(MQTTError) -> Int? {
        while true {
            let count = try broker.open(&received, into: scratch)
            // TLS may have answered, such as a request for new keys.
            if broker.unsent > 0 { try push() }
            if let count { return count }
            guard try fill(&ciphertext, scratch) else { return nil }
        }
    }

    /// Decrypts the next received bytes. Returns false if too few were received. At most one `scratch` of them waits
    /// for the broker's transport, and a part of a record.
    private func fill(
        _ ciphertext: inout ByteQueue, _ scratch: UnsafeMutableRawBufferPointer
    ) throws(MQTTError) -> Bool {
        let count = try ofProxy { () throws(MQTTError) in try proxy.open(&ciphertext, into: scratch) }
        guard let count else { return false }
        var bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
        while !bytes.isEmpty, let step = try handshake?.receive(bytes) {
            bytes = UnsafeRawBufferPointer(rebasing: bytes[step.consumed...])
            if handshake?.isComplete == true { handshake = nil }
        }
        if bytes.isEmpty { return true }
        if !hasReceived {
            hasReceived = true
            foreign = ForeignProtocol(bytes)
        }
        received.append(bytes)
        return true
    }

    // MARK: Outbound

    /// The plaintext of a record of the broker that fits, encrypted, into one record of the proxy: TLS adds less than
    /// 256 bytes. A multiple of four, for the masks of WebSocket frames.
    static let pieceSize = TLSRecord.size - 256

    /// Writes piece by piece, so that each record of the broker is in one record of the proxy.
    func write(_ bytes: UnsafeRawBufferPointer) throws(MQTTError) {
        var rest = bytes
        while !rest.isEmpty {
            try broker.write(UnsafeRawBufferPointer(rebasing: rest.prefix(Self.pieceSize)))
            try push()
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(Self.pieceSize))
        }
    }

    /// Encrypts what the broker's transport has written.
    private func push() throws(MQTTError) {
        var failure: MQTTError?
        _ = broker.send { bytes in
            do throws(MQTTError) { try proxy.write(bytes) } catch {
                failure = error
                return .nothing
            }
            return .bytes(bytes.count)
        }
        if let failure { throw failure.ofProxy(phase) }
    }

    /// Ends the broker's TLS, then the proxy's.
    func finishWriting() {
        broker.finishWriting()
        do throws(MQTTError) { try push() } catch {}
        proxy.finishWriting()
    }

    var unsent: Int { broker.unsent + proxy.unsent }

    func send(_ take: (UnsafeRawBufferPointer) -> StreamSocket.Transfer) -> TransportProgress {
        // A step of the broker's handshake, or its alert. If the proxy's session has failed, the next read reports it.
        if broker.unsent > 0 { do throws(MQTTError) { try push() } catch {} }
        return proxy.send(take)
    }

    func rest() {
        broker.rest()
        proxy.rest()
        received.rest()
    }

    // MARK: Failures

    private var phase: MQTTError.Phase { handshake == nil ? .connected : .connect }

    private func ofProxy<R>(_ step: () throws(MQTTError) -> R) throws(MQTTError) -> R {
        do throws(MQTTError) { return try step() } catch { throw error.ofProxy(phase) }
    }
}

extension MQTTError {
    /// The error of a TLS session with a proxy, told as one of the proxy.
    fileprivate func ofProxy(_ phase: Phase) -> MQTTError {
        if var failure = tls {
            failure.isProxy = true
            return failure.error(phase: phase)
        }
        guard code == .closed else { return self }
        let who = phase == .connect ? "the proxy" : "the broker or the proxy"
        return MQTTError(.closed, "\(who) closed the connection", phase: phase)
    }
}
