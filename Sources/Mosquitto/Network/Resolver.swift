// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Looks host names up with `getaddrinfo`, which blocks and cannot be cancelled, on threads of its own.
///
/// Simultaneous look-ups of the same name share one call. At most ``maximumThreads`` run; further ones wait. A look-up
/// whose caller gave up ends with the system's own timeout.
final class Resolver: Sendable {
    static let shared = Resolver()

    typealias Answer = HostAddresses.Answer

    private struct State {
        var waiting: [String: [@Sendable (Answer) -> Void]] = [:]
        var queue: [String] = []
        var threads = 0
    }

    private let maximumThreads = 8
    private let state = Mutex(State())

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
            let answer = HostAddresses.of(host)
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
}
