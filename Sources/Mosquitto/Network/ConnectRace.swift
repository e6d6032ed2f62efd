// SPDX-License-Identifier: Apache-2.0

/// Connects to the first address of a host that answers, according to RFC 8305: address families alternate, the next
/// address is tried when one fails or has not answered for ``stagger``, and all attempts continue until one is
/// connected. Confined to the loop's thread.
final class ConnectRace {
    /// The Connection Attempt Delay of RFC 8305, section 5.
    static let stagger = Duration.milliseconds(250)
    /// The delay before a suspect address. The address of a hung broker accepts TCP at once, and would overtake a
    /// working one that is far away.
    static let patience = Duration.seconds(1)

    /// The connected address and its socket.
    struct Winner {
        let address: String
        let socket: StreamSocket
    }

    private struct Runner {
        let address: String
        let socket: StreamSocket
        let token: UInt64
        /// The handshake with a proxy, once the proxy is connected.
        var handshake: (any ProxyHandshake)?
    }

    /// `nil` for the path of a Unix socket.
    private let port: Int?
    private let local: String?
    private let proxy: (any ProxyHandshake)?
    private let loop: EventLoopCore
    private let client: any EventLoopClient
    private var waiting: ArraySlice<String>
    /// Number of suspects at the end of the addresses.
    private let suspects: Int
    private var runners: [Runner] = []
    private var failure: MQTTError?

    /// - Parameters:
    ///   - port: `nil` if the address is the path of a Unix socket.
    ///   - local: the numeric address to connect from.
    ///   - proxy: the handshake to perform first, if the addresses are those of a proxy.
    ///   - client: receives the readiness of a socket from the loop, and passes it to ``ready(_:)``.
    init(
        _ order: AddressMemory.Order, port: Int?, from local: String? = nil, through proxy: (any ProxyHandshake)? = nil,
        loop: EventLoopCore, client: any EventLoopClient
    ) {
        self.port = port
        self.local = local
        self.proxy = proxy
        self.loop = loop
        self.client = client
        waiting = order.addresses[...]
        suspects = order.suspects
    }

    deinit { cancel() }

    /// True if there are addresses that have not been tried.
    var hasMore: Bool { !waiting.isEmpty }

    /// The delay of the next address after the previous one. A proxy that is connected needs time to reach the broker.
    var delay: Duration {
        waiting.count <= suspects || runners.contains { $0.handshake != nil } ? Self.patience : Self.stagger
    }

    /// Tries the next address, and further ones as long as they fail at once. Throws if no address is left and no
    /// attempt is in progress.
    func startNext() throws(MQTTError) {
        while let address = waiting.popFirst() {
            do throws(MQTTError) {
                let socket = try connect(to: address)
                let token = loop.register(
                    socket.descriptor, client: client, interest: .writable, isPatient: true)
                guard let token else {
                    socket.close()
                    throw MQTTError(.system, "the socket cannot be watched")
                }
                runners.append(Runner(address: address, socket: socket, token: token))
                return
            } catch {
                note(error)
            }
        }
        if runners.isEmpty { throw failure ?? MQTTError(.dns, "the host has no address") }
    }

    private func connect(to address: String) throws(MQTTError) -> StreamSocket {
        do throws(SystemCallError) {
            guard let port else { return try StreamSocket(connectingTo: address) }
            return try StreamSocket(connectingTo: address, port: port, from: local)
        } catch {
            throw .connecting(error.code)
        }
    }

    /// Handles a ready socket, which is connected or has failed. Returns the winner; throws if all addresses have
    /// failed.
    func ready(_ token: UInt64) throws(MQTTError) -> Winner? {
        guard let index = runners.firstIndex(where: { $0.token == token }) else { return nil }
        let outcome = Result { () throws(MQTTError) in try advance(&runners[index]) }
        if case .success(false) = outcome { return nil }
        let runner = runners.remove(at: index)
        loop.unregister(runner.socket.descriptor, token: runner.token)
        if case .failure(let error) = outcome {
            runner.socket.close()
            // The proxy would answer the same at another address, and count another wrong password.
            if error.code == .proxy, error.isAnswer {
                cancel()
                throw error
            }
            note(error)
            try startNext()
            return nil
        }
        cancel()
        return Winner(address: runner.address, socket: runner.socket)
    }

    /// Returns true if the socket is connected to the broker; with a proxy this takes more than a TCP connection.
    private func advance(_ runner: inout Runner) throws(MQTTError) -> Bool {
        if runner.handshake == nil {
            let code = runner.socket.connectResult()
            if code != 0 { throw .connecting(code) }
            guard let proxy else { return true }
            runner.handshake = proxy
            loop.setInterest(runner.socket.descriptor, token: runner.token, .readable)
            try send(proxy.greeting, to: runner)
        }
        while runner.handshake?.isComplete == false {
            switch runner.socket.peek(into: loop.scratch) {
            case .bytes(let count):
                let bytes = UnsafeRawBufferPointer(rebasing: loop.scratch[..<count])
                guard let step = try runner.handshake?.receive(bytes) else { return true }
                // Bytes after the handshake's stay in the socket: they belong to the broker's stream.
                _ = runner.socket.receive(into: UnsafeMutableRawBufferPointer(rebasing: loop.scratch[..<step.consumed]))
                if let answer = step.answer { try send(answer, to: runner) }
            case .nothing: return false
            case .end, .failed: throw MQTTError(.closed, "the proxy closed the connection", phase: .connect)
            }
        }
        return true
    }

    /// Sends all bytes at once: a new socket has room for these few. Overwrites them, since a password may be among
    /// them.
    private func send(_ bytes: consuming [UInt8], to runner: Runner) throws(MQTTError) {
        var bytes = bytes
        defer { SecretBytes.cleanse(&bytes) }
        switch bytes.withUnsafeBytes({ runner.socket.send($0) }) {
        case .bytes(bytes.count): break
        case .failed: throw MQTTError(.closed, "the proxy closed the connection", phase: .connect)
        default: throw MQTTError(.proxy, "the proxy reads nothing", phase: .connect)
        }
    }

    /// Closes all attempts in progress.
    func cancel() {
        waiting = []
        for runner in runners {
            loop.unregister(runner.socket.descriptor, token: runner.token)
            runner.socket.close()
        }
        runners = []
    }

    /// Keeps the most informative failure; of equal ones, the first.
    private func note(_ error: MQTTError) {
        if let failure, Self.rank(failure) >= Self.rank(error) { return }
        failure = error
    }

    /// The words of a proxy say most, and then the failure of an address at which somebody listens.
    private static func rank(_ error: MQTTError) -> Int {
        switch error.code {
        case .networkUnreachable: 0
        case .connectionRefused: 1
        case .proxy: 3
        default: 2
        }
    }
}
