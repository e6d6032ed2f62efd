// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// nginx 1.22 and HAProxy 2.6.
@Suite(
    "A broker with WebSockets behind a real TLS front", .turn(.brokers), .realBroker(.mosquitto),
    .timeLimit(.minutes(3)))
struct TLSFrontTests {
    @Test(arguments: TLSFront.Kind.allCases, [MQTTVersion.v3_1_1, .v5_0])
    func `sends messages of every QoS and size back`(kind: TLSFront.Kind, version: MQTTVersion) async throws {
        let broker = try await Broker.start(.ws)
        let front = try await TLSFront.start(kind, before: broker.mosquitto.port)
        let configuration = front.leading(broker.configuration(version: version))
        let info = try await broker.whileAwake { try await expectMessagesComeBack(configuration) }
        #expect(info.tls != nil && info.endpoint.webSocket?.isSecure == true)
    }

    @Test(arguments: TLSFront.Kind.allCases)
    func `is connected to soon after it was away`(kind: TLSFront.Kind) async throws {
        let broker = try await Broker.start(.ws)
        let front = try await TLSFront.start(kind, before: broker.mosquitto.port)
        try await withMQTTClient(front.leading(broker.configuration()), logger: quiet) { client in
            let failures = Failures(client)
            try await client.publish("before", to: "a", qos: .exactlyOnce)
            broker.mosquitto.kill()
            #expect(await eventually { failures.all.count >= 2 })
            #expect(failures.statuses.allSatisfy { $0 == kind.statusWithoutBroker }, "\(failures.statuses)")
            #expect(failures.all.allSatisfy { $0.error.phase == .upgrade }, "\(failures.all.map(\.error))")
            #expect(failures.decisions.allSatisfy { $0 == .retry(.standard) }, "\(failures.decisions)")
            try await broker.mosquitto.restart()
            try await client.publish("after", to: "a", qos: .exactlyOnce)
        }
    }

    /// The first connection has the decisions of the later ones.
    @Test(arguments: TLSFront.Kind.allCases)
    func `is waited for, if the front is there first`(kind: TLSFront.Kind) async throws {
        let broker = try await Broker.start(.ws)
        let front = try await TLSFront.start(kind, before: broker.mosquitto.port)
        broker.mosquitto.kill()
        try await withMQTTClient(front.leading(broker.configuration()), logger: quiet) { client in
            let failures = Failures(client)
            #expect(await eventually { failures.all.count >= 2 })
            #expect(failures.statuses.allSatisfy { $0 == kind.statusWithoutBroker }, "\(failures.statuses)")
            try await broker.mosquitto.restart()
            try await client.publish("after", to: "a", qos: .exactlyOnce)
        }
    }

    @Test(arguments: TLSFront.Kind.allCases)
    func `loses no message when the front is restarted under load`(kind: TLSFront.Kind) async throws {
        let broker = try await Broker.start(.ws)
        let front = try await TLSFront.start(kind, before: broker.mosquitto.port)
        var configuration = front.leading(broker.configuration())
        configuration.session = .persistent
        let received = try await publishThroughInterruptions(configuration) { try await front.restart() }
        #expect(received.atLeastOnce.missing(of: 0..<Received.count).isEmpty)
        #expect(received.exactlyOnce.missing(of: 0..<Received.count).isEmpty)
    }

    /// Tokens of the broker, which checks them in CONNECT or in AUTH.
    @Test(arguments: TLSFront.Kind.allCases, [MQTTRotation.reconnectNow, .reauthenticate])
    func `takes a new token under load, and loses nothing`(kind: TLSFront.Kind, rotation: MQTTRotation) async throws {
        let broker = try RealBroker.current()
        let front = try await TLSFront.start(kind, before: try #require(broker.port(.ws)))
        var configuration = front.leading(
            broker.configuration(.ws, version: .v5_0) { [tokens = broker.tokens] _ in
                try tokens.credentials(lifetime: .seconds(3_600))
            })
        if rotation == .reauthenticate { configuration.authenticator = .token(method: "JWT") }
        let received = Tally()
        let count = 3 * 200
        try await withMQTTClient(configuration, logger: quiet) { client in
            let log = ClientLog(client)
            let topic = "front/\(kind)/\(rotation)"
            try await client.subscribe(to: MQTTSubscription(topic, qos: .exactlyOnce)) { messages in
                for turn in 0..<3 {
                    for number in turn * 200..<(turn + 1) * 200 {
                        try client.enqueue("\(number)", to: MQTTTopic(topic), qos: .exactlyOnce)
                    }
                    try await client.rotateCredentials(rotation)
                }
                for await message in messages {
                    received.add(try #require(Int(message.payloadString)))
                    if received.distinct == count { break }
                }
            }
            #expect(await eventually { log.gaps.count == 3 })
            #expect(log.gaps.allSatisfy { ($0 == .zero) == (rotation == .reauthenticate) }, "\(log.gaps)")
            #expect(log.disconnections.isEmpty)
        }
        #expect(received.missing(of: 0..<count).isEmpty && received.duplicates.isEmpty)
    }
}
