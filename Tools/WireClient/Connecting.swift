// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension WireClient {
    /// 01: CONNECT, keep-alive, will.
    static let connecting: [String: Program] = [
        "01-con-discon-success": { try await run(configuration($0, "01-con-discon-success")) },
        "01-keepalive-pingreq": { try await stay(configuration($0, "01-keepalive-pingreq", keepAlive: 5)) },
        "01-server-keepalive-pingreq": { try await stay(configuration($0, "01-server-keepalive-pingreq", .v5_0)) },
        "01-no-clean-session": { port in
            var configuration = configuration(port, "01-no-clean-session")
            configuration.session = .persistent
            try await stay(configuration)
        },
        "01-unpwd-set": { port in
            var configuration = configuration(port, "01-unpwd-set")
            configuration.credentials = .static(username: "uname", password: ";'[08gn=#")
            try await stay(configuration)
        },
        "01-will-set": { port in
            var configuration = configuration(port, "01-will-set")
            configuration.will = MQTTWill(
                topic: "topic/on/unexpected/disconnect", payload: "will message", qos: .atLeastOnce, retain: true)
            try await stay(configuration)
        },
        "01-will-unpwd-set": { port in
            var configuration = configuration(port, "01-will-unpwd-set")
            configuration.credentials = .static(username: "oibvvwqw", password: "#'^2hg9a&nm38*us")
            configuration.will = MQTTWill(topic: "will-topic", payload: "will message", qos: .exactlyOnce)
            try await stay(configuration)
        },
    ]
}
