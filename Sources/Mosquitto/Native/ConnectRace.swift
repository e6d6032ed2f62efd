#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Connects to whichever address of a host answers first, as RFC 8305 does: families take turns, the next address is tried
/// when one fails or has not answered for ``stagger``, and all go on until one is connected. Confined to the loop's thread.
///
/// The first address that does not fail at once is libmosquitto's own socket, so the common case is the library's. A later
/// one that wins takes its place under libmosquitto's descriptor, which has not been used yet.
final class ConnectRace {
    /// The Connection Attempt Delay of RFC 8305, section 5.
    static let stagger = Duration.milliseconds(250)

    /// The address that is connected, and a descriptor of its connection for the loop.
    struct Winner {
        let address: String
        let socket: StreamSocket
    }

    private struct Runner {
        let address: String
        let socket: StreamSocket
        let token: UInt64
        let isLibrarys: Bool
    }

    private let port: Int
    private let handle: MosquittoHandle
    private let loop: EventLoopCore
    private let client: any EventLoopClient
    private let connectLibrary: (String) throws(MQTTError) -> Void
    private var waiting: ArraySlice<String>
    private var runners: [Runner] = []
    /// libmosquitto's own, whose descriptor a later winner takes over.
    private var hasLibrarySocket = false
    private var failure: MQTTError?

    /// - Parameters:
    ///   - client: is told by the loop when a socket is ready, and passes that on to ``ready(_:)``.
    ///   - connectLibrary: makes libmosquitto connect to an address.
    init(
        _ addresses: [String], port: Int, handle: MosquittoHandle, loop: EventLoopCore, client: any EventLoopClient,
        connectLibrary: @escaping (String) throws(MQTTError) -> Void
    ) {
        self.port = port
        self.handle = handle
        self.loop = loop
        self.client = client
        self.connectLibrary = connectLibrary
        waiting = Self.interleaved(addresses)[...]
    }

    deinit { cancel() }

    /// Whether there are addresses that have not been tried.
    var hasMore: Bool { !waiting.isEmpty }

    /// Tries the next address, and those after it that fail at once. Throws when none is left and none is under way.
    func startNext() throws(MQTTError) {
        while let address = waiting.popFirst() {
            do throws(MQTTError) {
                let isLibrarys = !hasLibrarySocket
                let socket = try connect(to: address)
                guard let token = loop.register(socket.descriptor, client: client, interest: .writable) else {
                    socket.close()
                    throw MQTTError(.system, "the socket cannot be watched")
                }
                runners.append(Runner(address: address, socket: socket, token: token, isLibrarys: isLibrarys))
                return
            } catch {
                // What concerns the library's handle concerns every address.
                if error.code == .library { throw error }
                note(error)
            }
        }
        if runners.isEmpty { throw failure ?? MQTTError(.dns, "the host has no address") }
    }

    private func connect(to address: String) throws(MQTTError) -> StreamSocket {
        if hasLibrarySocket {
            do throws(SystemCallError) {
                return try StreamSocket(connectingTo: address, port: port)
            } catch {
                throw MosquittoHandle.connectError(error.code)
            }
        }
        try connectLibrary(address)
        guard let socket = StreamSocket(duplicating: handle.socket) else {
            throw MosquittoHandle.systemError(errno, "a socket could not be duplicated")
        }
        hasLibrarySocket = true
        return socket
    }

    /// A socket is ready: connected or failed. Returns the winner; throws when all have failed.
    func ready(_ token: UInt64) throws(MQTTError) -> Winner? {
        guard let index = runners.firstIndex(where: { $0.token == token }) else { return nil }
        let runner = runners.remove(at: index)
        loop.unregister(runner.socket.descriptor, token: runner.token)
        let code = runner.socket.connectResult()
        guard code == 0 else {
            runner.socket.close()
            note(MosquittoHandle.connectError(code))
            try startNext()
            return nil
        }
        cancel()
        if !runner.isLibrarys, !runner.socket.replace(handle.socket) {
            let code = errno
            runner.socket.close()
            throw MosquittoHandle.systemError(code, "a socket could not be handed over")
        }
        return Winner(address: runner.address, socket: runner.socket)
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

    /// Of several failures, that of an address with a route says more.
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
