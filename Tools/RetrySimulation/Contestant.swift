// SPDX-License-Identifier: Apache-2.0

/// A policy under its name.
struct Contestant: Sendable {
    var name: String
    var simulate: @Sendable (Scenario) -> Outcome

    static let ours = Contestant(name: "swift-mosquitto") { $0.simulate(MachineClient.init(seed:)) }

    static let peers = [
        peer("MQTT.js", MQTTJSPolicy()),
        peer("libmosquitto, linear", MosquittoLinearPolicy()),
        peer("libmosquitto, quadratic", MosquittoQuadraticPolicy()),
        peer("Paho C", PahoCPolicy()),
        peer("HiveMQ", HiveMQPolicy()),
        peer("aws-c-mqtt", AWSPolicy()),
    ]

    private static func peer(_ name: String, _ policy: some PeerPolicy) -> Contestant {
        Contestant(name: name) { scenario in scenario.simulate { PeerClient(policy, seed: $0) } }
    }
}

/// The outcome of a scenario under a named policy.
struct ContestantResult: Sendable {
    var name: String
    var outcome: Outcome
}
