// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

/// Every attempt sends the credentials: the client must not connect to a host that the policy does not allow, whatever
/// a broker asks for.
@Suite(.turn(.units)) struct `No attempt leaves the policy` {
    private static let configured = [
        MQTTEndpoint(host: "broker-a.example", port: 8_883), MQTTEndpoint(host: "Broker-B.example.", port: 8_883),
        MQTTEndpoint(host: "2001:db8::1", port: 1), .unixSocket("evil"),
    ]

    private static let hosts = [
        "broker-a.example", "BROKER-A.example.", "broker-b.example", "evil", "evil.example", "a.broker-a.example",
        "broker-a.example.evil", "[2001:db8::1]", "2001:db8::1", "[2001:db8::2]", "[evil]", "mqtt://broker-a.example",
        "broker-a.example@evil", "unix:evil", "", " ", ":", "[",
    ]

    private func reference(using generator: inout JitterGenerator) -> String? {
        if Int.random(in: 0..<10, using: &generator) == 0 { return nil }
        return (0..<Int.random(in: 1...4, using: &generator)).map { _ in
            let port = ["", ":1", ":8883", ":x", ":0"].randomElement(using: &generator)!
            return Self.hosts.randomElement(using: &generator)! + port
        }.joined(separator: " ")
    }

    /// All endpoints that were dialled, asked for, or asked a turn for.
    private func visited(_ policy: MQTTRedirectPolicy, seed: UInt64) -> Set<MQTTEndpoint> {
        var generator = JitterGenerator(seed: seed)
        var trace = MachineTrace(hasProvider: Bool.random(using: &generator)) {
            $0.endpoints = Self.configured
            $0.endpointOrder = seed.isMultiple(of: 2) ? .ordered : .shuffled
            $0.redirects = policy
            $0.retry.seed = seed
        }
        var visited: Set<MQTTEndpoint> = []
        _ = trace.start()
        for _ in 0..<500 {
            note(trace.actions, &visited)
            _ = trace.credentials()
            note(trace.actions, &visited)
            let code = Bool.random(using: &generator) ? MQTTReasonCode.useAnotherServer : .serverMoved
            let error =
                Int.random(in: 0..<4, using: &generator) == 0
                ? MQTTError.refusedConnection : .redirection(code, to: reference(using: &generator))
            if Bool.random(using: &generator) {
                trace.connectAgain()
                _ = trace.loses(error, after: .seconds(Int.random(in: 0...60, using: &generator)))
            } else {
                _ = trace.fails(error)
            }
            note(trace.actions, &visited)
            trace.waitForAttempt()
        }
        return visited
    }

    private func note(_ actions: [SessionStateMachine.Action], _ visited: inout Set<MQTTEndpoint>) {
        for action in actions {
            switch action {
            case .dial(let endpoint), .requestTurn(let endpoint): visited.insert(endpoint)
            case .fetchCredentials(let attempt): visited.insert(attempt.endpoint)
            case .emit(.attemptStarted(let started)): visited.insert(started.endpoint)
            default: break
            }
        }
    }

    @Test(arguments: UInt64(0)..<32)
    func `of none, that is, of the configured endpoints`(seed: UInt64) {
        #expect(visited(.none, seed: seed) == Set(Self.configured))
    }

    @Test(arguments: UInt64(0)..<32)
    func `of the listed hosts`(seed: UInt64) {
        let listed: Set = ["broker-a.example", "broker-b.example", "2001:db8::1"]
        let visited = visited(.listed, seed: seed)
        for endpoint in visited where !Self.configured.contains(endpoint) {
            let host = endpoint.host.lowercased()
            #expect(listed.contains(host.hasSuffix(".") ? String(host.dropLast()) : host))
            #expect(!endpoint.isUnixSocket)
        }
        #expect(visited.count > Self.configured.count)
    }

    @Test(arguments: UInt64(0)..<8)
    func `of any host, but only to what can be dialled`(seed: UInt64) {
        let visited = visited(.any, seed: seed)
        for endpoint in visited { #expect(throws: Never.self) { try endpoint.validate() } }
        #expect(visited.contains { $0.host.hasPrefix("evil") && !$0.isUnixSocket })
    }
}
