/// Connects to whichever address of a host answers first, as RFC 8305 does: families take turns, the next address is
/// tried when one fails or has not answered for ``stagger``, and all go on until one is connected. Confined to the
/// loop's thread.
final class ConnectRace {
    /// The Connection Attempt Delay of RFC 8305, section 5.
    static let stagger = Duration.milliseconds(250)
    /// The delay before a suspect address: one that hangs answers TCP at once, and would overtake a good one that is
    /// far away.
    static let patience = Duration.seconds(1)

    /// The address that is connected, and a descriptor of its connection for the loop.
    struct Winner {
        let address: String
        let socket: StreamSocket
    }

    private struct Runner {
        let address: String
        let socket: StreamSocket
        let token: UInt64
        /// The dialogue with a proxy, once it is connected.
        var handshake: SOCKSHandshake?
    }

    /// `nil` for the path of a Unix socket.
    private let port: Int?
    private let local: String?
    private let proxy: SOCKSHandshake?
    private let loop: EventLoopCore
    private let client: any EventLoopClient
    private var waiting: ArraySlice<String>
    /// The number of the last addresses that are suspects.
    private let suspects: Int
    private var runners: [Runner] = []
    private var failure: MQTTError?

    /// - Parameters:
    ///   - port: `nil` if the address is the path of a Unix socket.
    ///   - local: the numeric address to connect from.
    ///   - proxy: what is said first, if the addresses are a proxy's.
    ///   - client: is told by the loop when a socket is ready, and passes that on to ``ready(_:)``.
    init(
        _ order: AddressMemory.Order, port: Int?, from local: String? = nil, through proxy: SOCKSHandshake? = nil,
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

    /// The time that the next address waits for the one before it.
    var delay: Duration { waiting.count <= suspects ? Self.patience : Self.stagger }

    /// Tries the next address, and those after it that fail at once. Throws when none is left and none is under way.
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

    /// A socket is ready: connected or failed. Returns the winner; throws when all have failed.
    func ready(_ token: UInt64) throws(MQTTError) -> Winner? {
        guard let index = runners.firstIndex(where: { $0.token == token }) else { return nil }
        let outcome = Result { () throws(MQTTError) in try advance(&runners[index]) }
        if case .success(false) = outcome { return nil }
        let runner = runners.remove(at: index)
        loop.unregister(runner.socket.descriptor, token: runner.token)
        if case .failure(let error) = outcome {
            runner.socket.close()
            note(error)
            try startNext()
            return nil
        }
        cancel()
        return Winner(address: runner.address, socket: runner.socket)
    }

    /// Returns whether the broker is at the other end: with a proxy, that takes more than a connection.
    private func advance(_ runner: inout Runner) throws(MQTTError) -> Bool {
        if runner.handshake == nil {
            let code = runner.socket.connectResult()
            if code != 0 { throw .connecting(code) }
            guard let proxy else { return true }
            runner.handshake = proxy
            loop.setInterest(runner.socket.descriptor, token: runner.token, .readable)
            try send(proxy.greeting, to: runner)
        }
        while let needed = runner.handshake?.needed, needed > 0 {
            guard let bytes = try receive(needed, from: runner) else { return false }
            if let answer = try runner.handshake?.receive(bytes) { try send(answer, to: runner) }
        }
        return true
    }

    /// A fresh socket takes these few bytes at once.
    private func send(_ bytes: [UInt8], to runner: Runner) throws(MQTTError) {
        switch bytes.withUnsafeBytes({ runner.socket.send($0) }) {
        case .bytes(bytes.count): break
        case .failed: throw MQTTError(.closed, "the proxy closed the connection", phase: .connect)
        default: throw MQTTError(.proxy, "the proxy reads nothing", phase: .connect)
        }
    }

    /// No more than is there, and than was asked for: what follows is the broker's. `nil` if there is nothing.
    private func receive(_ count: Int, from runner: Runner) throws(MQTTError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        switch bytes.withUnsafeMutableBytes({ runner.socket.receive(into: $0) }) {
        case .bytes(let received): return Array(bytes[..<received])
        case .nothing: return nil
        case .end, .failed: throw MQTTError(.closed, "the proxy closed the connection", phase: .connect)
        }
    }

    /// Ends all that are under way.
    func cancel() {
        waiting = []
        for runner in runners {
            loop.unregister(runner.socket.descriptor, token: runner.token)
            runner.socket.close()
        }
        runners = []
    }

    /// Keeps the failure that says most: that of an address with a route.
    private func note(_ error: MQTTError) {
        if failure == nil || failure?.code == .networkUnreachable { failure = error }
    }

    /// RFC 8305, section 4: the system's order, with the families taking turns.
    static func interleaved(_ addresses: [String]) -> [String] {
        guard let first = addresses.first else { return [] }
        let leading = addresses.filter { $0.contains(":") == first.contains(":") }
        let others = addresses.filter { $0.contains(":") != first.contains(":") }
        var result: [String] = []
        for index in 0..<max(leading.count, others.count) {
            if index < leading.count { result.append(leading[index]) }
            if index < others.count { result.append(others[index]) }
        }
        return result
    }
}
