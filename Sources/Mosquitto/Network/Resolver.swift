import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Resolves host names with `getaddrinfo`, which blocks and cannot be cancelled, on its own threads.
///
/// Simultaneous look-ups of the same name share one call. At most ``maximumThreads`` run; further ones wait. A look-up
/// whose caller gave up ends with the system's own timeout.
final class Resolver: Sendable {
    static let shared = Resolver()

    /// Numeric addresses in the system's order of preference, or the error.
    typealias Answer = Result<[String], MQTTError>

    private struct State {
        var waiting: [String: [@Sendable (Answer) -> Void]] = [:]
        var queue: [String] = []
        var threads = 0
    }

    private let maximumThreads = 8
    private let state = Mutex(State())

    /// Returns the address itself if `host` is a numeric address, including an IPv6 scope; else `nil`.
    static func numeric(_ host: String) -> String? {
        try? lookUp(host, flags: AI_NUMERICHOST).get().first
    }

    func resolve(_ host: String) async -> Answer {
        await withCheckedContinuation { continuation in
            resolve(host) { continuation.resume(returning: $0) }
        }
    }

    private func resolve(_ host: String, _ answer: @escaping @Sendable (Answer) -> Void) {
        let startsThread = state.withLock { state in
            state.waiting[host, default: []].append(answer)
            guard state.waiting[host]?.count == 1 else { return false }
            state.queue.append(host)
            guard state.threads < maximumThreads else { return false }
            state.threads += 1
            return true
        }
        if startsThread, !startThread(name: "mosquitto-dns", { [self] in work() }) { giveUp() }
    }

    /// Handles the failure to create a thread. Running threads carry on with the queue; without any, the queued
    /// look-ups fail.
    private func giveUp() {
        let callbacks = state.withLock { state in
            state.threads -= 1
            guard state.threads == 0 else { return [] as [@Sendable (Answer) -> Void] }
            let hosts = state.queue
            state.queue.removeAll()
            return hosts.flatMap { state.waiting.removeValue(forKey: $0) ?? [] }
        }
        let error = MQTTError(.system, "no thread could be started for the name look-up", phase: .resolve)
        for callback in callbacks { callback(.failure(error)) }
    }

    private func work() {
        while let host = next() {
            let answer = Self.lookUp(host, flags: 0)
            let waiting = state.withLock { $0.waiting.removeValue(forKey: host) ?? [] }
            for callback in waiting { callback(answer) }
        }
    }

    private func next() -> String? {
        state.withLock { state in
            if state.queue.isEmpty {
                state.threads -= 1
                return nil
            }
            return state.queue.removeFirst()
        }
    }

    private static func lookUp(_ host: String, flags: Int32) -> Answer {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = streamType
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let rc = getaddrinfo(host, nil, &hints, &list)
        guard rc == 0 else {
            var error = MQTTError(
                .dns, "host \(quoted(host)) did not resolve: \(String(cString: gai_strerror(rc)))", phase: .resolve)
            error.systemCode = rc
            return .failure(error)
        }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var entry = list
        while let info = entry {
            var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(
                info.pointee.ai_addr, info.pointee.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
                == 0
            {
                let address = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if !addresses.contains(address) { addresses.append(address) }
            }
            entry = info.pointee.ai_next
        }
        return addresses.isEmpty
            ? .failure(MQTTError(.dns, "host \(quoted(host)) has no address", phase: .resolve)) : .success(addresses)
    }
}
